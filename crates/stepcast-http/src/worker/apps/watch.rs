//! Asks apps again and again: those whose URLs are given, and those that are discovered.
//!
//! A change in an app's functions is seen within one interval. An app that is down is asked on, and taken in when it is back.

use std::collections::BTreeSet;

use stepcast_protocol::names::AppId;
use tokio::task::{JoinHandle, JoinSet};

use super::{
    Apps, Health,
    discovery::Discovery,
    error::SyncError,
    handler::News,
    sync::{self, Introspection, Synced},
};

/// Apps that are asked until this is dropped.
#[derive(Debug)]
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Apps {
    /// Asks the apps at these URLs from now on.
    #[must_use]
    pub fn watch(&self, urls: impl IntoIterator<Item = String>) -> Watch {
        let mut asking = JoinSet::new();
        for url in urls.into_iter().collect::<BTreeSet<_>>() {
            asking.spawn(self.clone().follow(url));
        }
        Watch(tokio::spawn(async move {
            while asking.join_next().await.is_some() {}
        }))
    }

    /// Looks for apps on this machine from now on, and asks those it finds.
    #[must_use]
    pub fn discover(&self, discovery: Discovery) -> Watch {
        let apps = self.clone();
        Watch(tokio::spawn(async move {
            let mut asking = JoinSet::new();
            let mut known = BTreeSet::new();
            loop {
                for url in discovery.look(apps.client(), &known).await {
                    asking.spawn(apps.clone().follow(url.clone()));
                    known.insert(url);
                }
                tokio::time::sleep(apps.0.poll).await;
            }
        }))
    }

    /// Asks the app at a URL once, now.
    ///
    /// # Errors
    /// [`SyncError`] says why it is not taken in.
    pub async fn sync(&self, url: &str) -> Result<(), SyncError> {
        let handlers = &self.0.handlers;
        let is_up = handlers.change(url, |handler| handler.health == Health::Up);
        match self.ask(url, is_up).await {
            Ok(said) => {
                let now = self.0.engine.clock().now();
                match handlers.change(url, |handler| handler.on_synced(said, now)) {
                    News::Found => tracing::info!(url, "an app is synced"),
                    News::Back => tracing::info!(url, "the app is back, and synced"),
                    News::Lost | News::Nothing => {}
                }
                Ok(())
            }
            Err(error) => {
                if handlers.change(url, |handler| handler.on_failed(&error)) == News::Lost {
                    tracing::warn!(url, %error, "an app cannot be synced; it is asked on");
                }
                Err(error)
            }
        }
    }

    async fn follow(self, url: String) {
        loop {
            // Said and kept where it was found out.
            drop(self.sync(&url).await);
            tokio::time::sleep(self.0.poll).await;
        }
    }

    /// What the app says, if it does. Whoever has not answered as an app before is looked at before it is sent anything.
    async fn ask(&self, url: &str, is_up: bool) -> Result<Option<(AppId, String)>, SyncError> {
        if !is_up {
            let Introspection {
                mode,
                function_count,
            } = sync::introspect(self.client(), url).await?;
            tracing::debug!(url, mode, function_count, "an app answers");
        }
        match sync::sync(self.client(), url).await? {
            Synced::OutOfBand => Ok(None),
            Synced::InBand(registration) => {
                let said = (
                    registration.config.id.clone(),
                    registration.checksum.clone(),
                );
                let is_known = |handler: &mut super::Handler| handler.is_known_as(&said.1);
                if !self.0.handlers.change(url, is_known) {
                    self.register(&registration).await?;
                }
                Ok(Some(said))
            }
        }
    }
}
