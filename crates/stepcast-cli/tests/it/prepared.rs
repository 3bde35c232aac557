//! A database in which runs have been.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use stepcast::{Error, RunId, RunStatus, prelude::*};
use tempfile::TempDir;

#[derive(Event, Serialize, Deserialize)]
#[event("it/greet")]
struct Greet {
    name: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event("it/fail")]
struct Fail {}

#[derive(Event, Serialize, Deserialize)]
#[event("it/wait")]
struct Wait {}

#[derive(Channel, Serialize, Deserialize)]
#[channel("greetings:{name}")]
enum Greetings {
    #[topic(unchecked)]
    Said { text: String },
}

async fn greet(ctx: Ctx<Greet>) -> Result<String, Error> {
    let channel = Greetings::at(&ctx.event.name);
    for (step, text) in [("first", "hello"), ("second", "goodbye")] {
        let said = Greetings::Said { text: text.into() };
        ctx.step(step).publish(&channel, said).await?;
    }
    Ok(format!("greeted {}", ctx.event.name))
}

async fn fail(_: Ctx<Fail>) -> Result<(), Error> {
    Err(Error::msg("it had to fail").terminal())
}

async fn wait(ctx: Ctx<Wait>) -> Result<(), Error> {
    ctx.step("long").sleep(Duration::from_secs(3600)).await
}

/// One run that has completed, one that has failed, and one that goes on.
pub(crate) struct Prepared {
    directory: TempDir,
    pub(crate) completed: RunId,
    pub(crate) failed: RunId,
    pub(crate) waiting: RunId,
}

impl Prepared {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(Self::prepare()).unwrap()
    }

    async fn prepare() -> Result<Self, Error> {
        let directory = tempfile::tempdir()?;
        let app = App::new("prepared")
            .channel::<Greetings>()
            .function(function("greet", greet))
            .function(function("fail", fail))
            .function(function("wait", wait));
        let stepcast = Stepcast::open(directory.path().join("it.db"), app).await?;
        let name = "ann".to_owned();
        let completed = stepcast.send(Greet { name }).await?.run().await?;
        completed.end().await?;
        let failed = stepcast.send(Fail {}).await?.run().await?;
        failed.end().await?;
        let waiting = stepcast.send(Wait {}).await?.run().await?;
        assert!(matches!(
            waiting.status().await?,
            RunStatus::Running | RunStatus::Queued
        ));
        stepcast.shutdown().await?;
        Ok(Self {
            directory,
            completed: completed.id(),
            failed: failed.id(),
            waiting: waiting.id(),
        })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("it.db")
    }
}
