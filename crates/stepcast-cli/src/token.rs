//! `stepcast token`: mints a token for somebody who reads a channel.

use clap::Args;
use serde_json::json;

use crate::{exit::Failure, output::Output, span::Span, target::Target};

/// Mint a token with which a page may read a channel
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The channel's name, e.g. pipeline:j1
    channel: String,
    /// The topics it allows to read; those that the server knows of the channel when none is named
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// How long a connection may be opened with it, with a unit: s, m, h; at most 24h
    #[arg(long, value_name = "TIME", default_value = "60s")]
    expires_in: Span,
    /// How long a connection may go on before it shows another token, with a unit; at most 24h [default: 1h]
    #[arg(long, value_name = "TIME")]
    session: Option<Span>,
    /// Allow nothing from before this moment
    #[arg(long)]
    no_history: bool,
    #[command(flatten)]
    target: Target,
}

impl Token {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self {
            channel,
            topics,
            expires_in,
            session,
            no_history,
            target,
        } = self;
        let named = target.client()?.json_channel(&channel);
        let topics = if topics.is_empty() {
            known(&named, &channel).await?
        } else {
            topics
        };
        let mint = named.token(&topics).lifetime(expires_in.0);
        let mint = match session {
            Some(session) => mint.session(session.0),
            None => mint,
        };
        let mint = if no_history {
            mint.without_history()
        } else {
            mint
        };
        let token = mint.await?;
        let fact = json!({ "token": token, "channel": channel, "topics": topics });
        output.fact(&fact, &token)
    }
}

async fn known(channel: &stepcast::JsonChannel, name: &str) -> Result<Vec<String>, Failure> {
    let topics = channel.topics().await?;
    if topics.is_empty() {
        let why = format!(
            "the server knows no topic of channel `{name}` yet; name those that the token is to allow"
        );
        return Err(Failure::usage(why));
    }
    Ok(topics.iter().map(ToString::to_string).collect())
}
