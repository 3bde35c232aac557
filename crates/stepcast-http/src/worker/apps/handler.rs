//! What is known of the URLs that are asked, and what is worth saying of it. A state that goes on is said once.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;
use stepcast_protocol::{Timestamp, names::AppId};

use super::error::SyncError;

/// A URL that is asked for an app.
#[derive(Debug, Clone, Serialize)]
pub struct Handler {
    /// The URL.
    pub url: String,
    /// Whether it answers.
    pub health: Health,
    /// The app that was served there last, if it said so.
    pub app: Option<AppId>,
    /// Why it is not taken in.
    pub error: Option<String>,
    /// When it was last taken in.
    pub synced_at: Option<Timestamp>,
    #[serde(skip)]
    mark: Option<String>,
    #[serde(skip)]
    checksum: Option<String>,
}

/// Whether a URL answers as an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not asked yet.
    Unknown,
    /// It answers, and its functions are known.
    Up,
    /// It does not.
    Down,
}

/// What is worth saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It answers for the first time.
    Found,
    /// It answers again.
    Back,
    /// It does not answer, or not as before.
    Lost,
    /// Nothing new.
    Nothing,
}

/// All URLs that are asked.
#[derive(Debug, Default)]
pub(super) struct Handlers(Mutex<BTreeMap<String, Handler>>);

impl Handlers {
    pub(super) fn all(&self) -> Vec<Handler> {
        self.0.lock().values().cloned().collect()
    }

    /// Changes what is known of a URL.
    pub(super) fn change<T>(&self, url: &str, change: impl FnOnce(&mut Handler) -> T) -> T {
        let mut handlers = self.0.lock();
        let handler = handlers
            .entry(url.to_owned())
            .or_insert_with(|| Handler::new(url));
        change(handler)
    }
}

impl Handler {
    fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            health: Health::Unknown,
            app: None,
            error: None,
            synced_at: None,
            mark: None,
            checksum: None,
        }
    }

    /// Whether it has said the same when it was taken in last.
    pub(super) fn is_known_as(&self, checksum: &str) -> bool {
        self.health == Health::Up && self.checksum.as_deref() == Some(checksum)
    }

    pub(super) fn on_synced(&mut self, said: Option<(AppId, String)>, now: Timestamp) -> News {
        let before = std::mem::replace(&mut self.health, Health::Up);
        (self.app, self.checksum) = said.unzip();
        (self.error, self.mark, self.synced_at) = (None, None, Some(now));
        match before {
            Health::Unknown => News::Found,
            Health::Up => News::Nothing,
            Health::Down => News::Back,
        }
    }

    pub(super) fn on_failed(&mut self, error: &SyncError) -> News {
        let mark = Some(error.mark());
        let is_new = self.mark != mark;
        self.health = Health::Down;
        (self.error, self.mark) = (Some(error.to_string()), mark);
        if is_new { News::Lost } else { News::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn refused(status: u16, message: &str) -> SyncError {
        SyncError::Refused {
            url: "u".to_owned(),
            status,
            message: message.to_owned(),
        }
    }

    #[test]
    fn each_change_is_said_once() {
        let handlers = Handlers::default();
        let said =
            |change: &dyn Fn(&mut Handler) -> News| handlers.change("u", |handler| change(handler));
        let up = |handler: &mut Handler| {
            let id = AppId::parse("a").unwrap();
            handler.on_synced(Some((id, "1".to_owned())), NOW)
        };
        assert_eq!(said(&up), News::Found);
        assert_eq!(said(&up), News::Nothing);
        assert_eq!(
            said(&|handler| handler.on_failed(&refused(500, "x"))),
            News::Lost
        );
        assert_eq!(
            said(&|handler| handler.on_failed(&refused(500, "y"))),
            News::Nothing
        );
        assert_eq!(
            said(&|handler| handler.on_failed(&refused(404, "y"))),
            News::Lost
        );
        assert!(handlers.all()[0].error.as_ref().unwrap().contains("404"));
        assert!(!handlers.change("u", |handler| handler.is_known_as("1")));
        assert_eq!(said(&up), News::Back);
        assert!(handlers.change("u", |handler| handler.is_known_as("1")));
        assert_eq!(handlers.all()[0].error, None);
    }
}
