//! An answer as a model writes it, word for word. The first connection to the model breaks in the middle, as they do.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepcast::prelude::*;

/// What the model says before its connection breaks, and what it says when it is asked again: never the same words.
const BROKEN: &str = "A durable function is a function that, roughly speaking, keeps a diary. Suppose you call three services in a row and the";
const WHOLE: &str = "A durable function is ordinary code whose steps are remembered. When the process dies between two of them, \
the next one picks the run up where it was: finished steps give the results they had, and only the one that was under way runs again. \
What a step has said to a page while it ran belongs to its attempt. If the attempt fails, its words are taken back from every screen, \
and the words of the next attempt stand in their place. So a page never shows a sentence twice, nor half of one that was given up. ";

#[derive(Event, Serialize, Deserialize)]
#[event("answer/wanted")]
pub(crate) struct Ask {
    pub(crate) job: String,
    /// How long the answer is to be.
    pub(crate) words: usize,
    /// Whether the model's first connection breaks.
    pub(crate) breaks: bool,
}

/// One answer.
#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("answer:{job}")]
pub(crate) enum Answer {
    #[topic(keep = "text", text = "token")]
    Tokens { token: String },
    /// The end, once.
    Usage { words: usize },
}

pub(crate) async fn answer(ctx: Ctx<Ask>, pace: Duration) -> Result<usize, Error> {
    let answer = Answer::at(&ctx.event.job);
    let (length, mut will_break) = (ctx.event.words, ctx.event.breaks);
    let ask = ctx
        .step("ask-model")
        .retry(Retry::times(4).with_base(Duration::from_millis(500)));
    let words = ask
        .run(|| {
            let breaks = std::mem::take(&mut will_break);
            let text = if breaks { BROKEN } else { WHOLE };
            let (ctx, answer) = (&ctx, &answer);
            async move {
                let words = text.split_inclusive(' ');
                let most = if breaks {
                    words.clone().count()
                } else {
                    length
                };
                for token in words.cycle().take(most) {
                    // A model would think here.
                    tokio::time::sleep(pace).await;
                    let token = token.to_owned();
                    ctx.publish(answer, Answer::Tokens { token }).await?;
                }
                if breaks {
                    return Err(Error::msg("the connection to the model broke"));
                }
                Ok(most)
            }
        })
        .await?;
    ctx.step("count-words")
        .publish(&answer, Answer::Usage { words })
        .await?;
    Ok(words)
}
