//! The quick start: a status, a few words, and an end that is not lost.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event("greeting/wanted")]
pub(crate) struct Greet {
    pub(crate) job: String,
    pub(crate) name: String,
}

/// One greeting as it comes about.
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("greeting:{job}")]
pub(crate) enum Greeting {
    #[topic(keep = "latest")]
    Status {
        message: String,
        step: Option<String>,
    },
    #[topic(keep = "text", text = "token")]
    Tokens { token: String },
}

pub(crate) async fn greet(ctx: Ctx<Greet>, pace: Duration) -> Result<(), Error> {
    let greeting = Greeting::at(&ctx.event.job);
    let status = |message: &str, step: Option<&str>| Greeting::Status {
        message: message.to_owned(),
        step: step.map(str::to_owned),
    };
    ctx.publish(&greeting, status("Looking for words…", None))
        .await?;
    let name = &ctx.event.name;
    let text = format!(
        "Good to see you, {name}. This page has heard every word at once, in order, from a function that survives its server."
    );
    ctx.step("speak")
        .run(|| async {
            for word in text.split_inclusive(' ') {
                tokio::time::sleep(3 * pace).await;
                let token = word.to_owned();
                ctx.publish(&greeting, Greeting::Tokens { token }).await?;
            }
            Ok(())
        })
        .await?;
    // One commit holds the step and the message.
    ctx.step("end")
        .publish(&greeting, status("Done", Some("speak")))
        .await
}
