//! Runs for the commands to look at: a database in which some have been, and a server that has functions.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use stepcast::{Error, RunId, RunStatus, prelude::*};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::Semaphore};

use crate::process::{Ended, Process, run, stepcast};

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

#[derive(Event, Serialize, Deserialize)]
#[event("it/flaky")]
struct Flaky {
    name: String,
}

/// What the first attempt of `it/flaky` waits for before it fails.
pub(crate) static MAY_FAIL: Semaphore = Semaphore::const_new(0);

/// Speaks, and fails the first time, once it may.
async fn flaky(ctx: Ctx<Flaky>) -> Result<(), Error> {
    let channel = Greetings::at(&ctx.event.name);
    let mut tries = 0;
    ctx.step("work")
        .run(|| {
            tries += 1;
            let (ctx, channel, is_first) = (&ctx, &channel, tries == 1);
            async move {
                let text = "hello".to_owned();
                ctx.publish(channel, Greetings::Said { text }).await?;
                if is_first {
                    let allowed = MAY_FAIL.acquire().await;
                    allowed.expect("it is never closed").forget();
                    return Err(Error::msg("the first time"));
                }
                Ok(())
            }
        })
        .await
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
        runtime().block_on(Self::prepare()).unwrap()
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

/// A program with functions that serves its engine as the binary does.
pub(crate) struct Embedded {
    url: String,
    _runtime: Runtime,
    _directory: TempDir,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
        let file = directory.path().join("it.db");
        let address = runtime.block_on(serve(file)).unwrap();
        Self {
            url: format!("http://{address}"),
            _runtime: runtime,
            _directory: directory,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run(arguments.iter().chain(&["--url", &*self.url]))
    }

    /// Starts a command against it.
    pub(crate) fn start_command(&self, arguments: &[&str]) -> Process {
        let url = ["--url", &*self.url];
        Process::start(stepcast(arguments.iter().chain(&url)))
    }
}

async fn serve(file: PathBuf) -> Result<SocketAddr, Error> {
    let app = App::new("flaky")
        .channel::<Greetings>()
        .function(function("flaky", flaky));
    let stepcast = Stepcast::open(file, app).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = stepcast.router().merge(stepcast.operator_router(Keys::Dev));
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}
