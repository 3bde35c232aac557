//! The function, its event and its channel.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

#[derive(Event, Serialize, Deserialize)]
#[event("app/generate")]
pub(crate) struct Generate {
    pub(crate) job: String,
}

/// Progress of one generation.
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("pipeline:{job}")]
pub(crate) enum Pipeline {
    #[topic(keep = "latest")]
    Status {
        message: String,
        step: Option<String>,
    },
    #[topic(keep = "text", text = "token")]
    Tokens { token: String },
}

pub(crate) async fn generate(ctx: Ctx<Generate>) -> Result<(), Error> {
    let pipeline = Pipeline::at(&ctx.event.job);

    // Not durable: fires when this line runs.
    ctx.publish(
        &pipeline,
        Pipeline::Status {
            message: "Starting…".into(),
            step: None,
        },
    )
    .await?;

    ctx.step("stream-output")
        .run(|| async {
            for token in ["Hello", " ", "world"] {
                // A model would think here.
                tokio::time::sleep(Duration::from_millis(150)).await;
                ctx.publish(
                    &pipeline,
                    Pipeline::Tokens {
                        token: token.into(),
                    },
                )
                .await?;
            }
            Ok(())
        })
        .await?;

    // Durable: one commit holds the step and the message.
    ctx.step("final-status")
        .publish(
            &pipeline,
            Pipeline::Status {
                message: "Done!".into(),
                step: Some("complete".into()),
            },
        )
        .await
}
