//! The last part of a reading that ends: read by polling, as an answer says up to where it is complete, which a stream never does.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;
use stepcast_protocol::{Beginning, Cursor, limits, paths};

use super::{
    remote::{Ask, Envelope, Remote},
    server::with_query,
    session::{Heard, Session},
    tokens::Tokens,
};
use crate::{error::Error, verbs::Item};

/// What is left to read.
pub(super) struct Rest {
    from: Option<Beginning>,
    /// Where the channel was when the end was asked for.
    last: Option<Cursor>,
    items: VecDeque<Item>,
    wait: &'static str,
    is_complete: bool,
}

/// What is known of a channel.
#[derive(Deserialize)]
struct Shown {
    head: Cursor,
}

/// What a poll answers.
#[derive(Deserialize)]
struct Page {
    cursor: Cursor,
    frames: Vec<Box<RawValue>>,
}

impl Rest {
    pub(super) fn new(from: Option<Beginning>) -> Self {
        Self {
            from,
            last: None,
            items: VecDeque::new(),
            wait: "0",
            is_complete: false,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Whether there is nothing after what was taken.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Asks for the next page.
    pub(super) async fn ask(
        &mut self,
        remote: &Remote,
        tokens: &Tokens,
        session: &mut Session,
    ) -> Result<(), Error> {
        let last = match self.last {
            Some(last) => last,
            None => {
                let url = remote.server.url(paths::CHANNEL, &[session.channel()]);
                let shown: Envelope<Shown> = remote.ask(Ask::get(url)).await?;
                *self.last.insert(shown.data.head)
            }
        };
        let page = self.page(remote, &tokens.get().await?).await?;
        self.from = Some(Beginning::After(page.cursor));
        self.is_complete = page.cursor >= last;
        // What is not visible yet waits for its commit.
        self.wait = if page.frames.is_empty() { "1" } else { "0" };
        for frame in page.frames {
            if let Heard::Item(item) = session.on_text(frame.get())? {
                self.items.push_back(item);
            }
        }
        Ok(())
    }

    async fn page(&self, remote: &Remote, token: &str) -> Result<Page, Error> {
        let from = self.from.map(|from| from.to_string());
        let limit = limits::POLL_FRAMES.to_string();
        let mut query = vec![("token", token), ("wait", self.wait), ("limit", &*limit)];
        query.extend(from.as_deref().map(|from| ("from", from)));
        let url = with_query(remote.server.url(paths::MESSAGES, &[]), &query);
        remote.ask_plainly(Ask::get(url)).await
    }
}
