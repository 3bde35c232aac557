//! Where a reader gets its tokens from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepcast_protocol::{ChannelName, TopicName, paths};

use super::remote::{Ask, Remote};
use crate::{
    error::Error,
    verbs::{Answer, Grant},
};

/// Makes a token each time one is needed.
#[derive(Clone)]
pub(super) struct Tokens(Arc<dyn Fn() -> Answer<String> + Send + Sync>);

/// What the server is asked for.
#[derive(Serialize)]
struct Request {
    channel: ChannelName,
    topics: Vec<TopicName>,
    lifetime: u64,
    history: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
}

#[derive(Deserialize)]
struct Minted {
    jwt: String,
}

impl Tokens {
    /// Tokens of somebody else.
    pub(super) fn given<F, Fut>(make: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, Error>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(make())))
    }

    /// Tokens that the server mints for an operator.
    pub(super) fn minted(remote: Remote, grant: Grant) -> Self {
        Self::given(move || {
            let (remote, grant) = (remote.clone(), grant.clone());
            async move { mint(&remote, grant).await }
        })
    }

    /// Another one.
    pub(super) fn get(&self) -> Answer<String> {
        (self.0)()
    }
}

pub(super) async fn mint(remote: &Remote, grant: Grant) -> Result<String, Error> {
    let Grant {
        channel,
        topics,
        history,
        lifetime,
        session,
    } = grant;
    let request = Request {
        channel,
        topics,
        lifetime: lifetime.as_secs(),
        history,
        session: session.map(|session| session.as_secs()),
    };
    let url = remote.server.url(paths::TOKEN, &[]);
    let minted: Minted = remote
        .ask(Ask::post(url, serde_json::to_vec(&request)?))
        .await?;
    Ok(minted.jwt)
}
