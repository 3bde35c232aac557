//! `stepcast bench`: load on a server, and what it costs.
//!
//! - [`subject`]: the server under load, which is a process of its own; [`process`]: what that has used.
//! - [`connection`] and [`publisher`]: requests; [`crowd`] and [`crew`]: readers; [`frame`] and [`tally`]: what they look at (pure); [`served`]: an app.
//! - [`samples`] and [`report`]: figures. [`limit`]: how many files may be open.
//! - [`broadcast`]: publishing to readers, in the ways of [`fanout`], [`latency`], [`channels`] and [`slow_reader`].
//! - [`idle`], [`publish`], [`replay`], [`resume_storm`], [`runs`]: the others.
//!
//! Load is made by plain threads and sockets, as little as possible for each message, since it runs on the machine it measures.

mod broadcast;
mod channels;
mod connection;
mod crew;
mod crowd;
mod fanout;
mod frame;
mod idle;
mod latency;
mod limit;
mod load;
mod process;
mod publish;
mod publisher;
mod replay;
mod report;
mod resume_storm;
mod runs;
mod samples;
mod served;
mod slow_reader;
mod subject;
mod tally;

use clap::{Args, Subcommand};

use self::{
    channels::Channels,
    fanout::Fanout,
    idle::Idle,
    latency::Latency,
    publish::Publish,
    replay::Replay,
    report::Report,
    resume_storm::ResumeStorm,
    runs::Runs,
    slow_reader::SlowReader,
    subject::{Subject, SubjectArgs},
};
use crate::{exit::Failure, output::Output, serve::signal::Signals};

const ENDS: &str = "\
Ends with 1 when a message was lost, came twice or came out of order, after the figures. docs/performance.md explains them.";

/// Put load on a server and say what it costs: rates, times, losses, CPU time and memory
///
/// Without --url it starts a server of its own, `stepcast dev` in a process of its own with a database file, and removes both afterwards. Each
/// load is bounded in time and count, and ends with whichever bound comes first.
#[derive(Debug, Args)]
#[command(after_help = ENDS)]
pub(crate) struct Bench {
    #[command(subcommand)]
    load: Load,
}

#[derive(Debug, Subcommand)]
enum Load {
    Fanout(Against<Fanout>),
    Idle(Against<Idle>),
    Latency(Against<Latency>),
    Publish(Against<Publish>),
    Channels(Against<Channels>),
    Runs(Against<Runs>),
    Replay(Against<Replay>),
    ResumeStorm(Against<ResumeStorm>),
    SlowReader(Against<SlowReader>),
}

// A load, and the server it is for. What the load says of itself is shown by `--help`, so it comes last, and this is no documentation.
#[derive(Debug, Args)]
struct Against<L: Args> {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    load: L,
}

/// One kind of load.
trait Measure: Send + 'static {
    /// Puts it on the server and says what was seen.
    fn measure(self, subject: &Subject) -> Result<Report, Failure>;
}

impl Bench {
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        match self.load {
            Load::Fanout(load) => load.run(output).await,
            Load::Idle(load) => load.run(output).await,
            Load::Latency(load) => load.run(output).await,
            Load::Publish(load) => load.run(output).await,
            Load::Channels(load) => load.run(output).await,
            Load::Runs(load) => load.run(output).await,
            Load::Replay(load) => load.run(output).await,
            Load::ResumeStorm(load) => load.run(output).await,
            Load::SlowReader(load) => load.run(output).await,
        }
    }
}

impl<L: Args + Measure> Against<L> {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let Self { load, subject } = self;
        let mut signals = Signals::listen()?;
        limit::raise_open_files();
        // Held here, so that its process ends with this command however the load ends.
        let server = subject.server().await?;
        let subject = server.subject();
        let measured = subject.clone();
        let measuring = tokio::task::spawn_blocking(move || load.measure(&measured));
        let report = tokio::select! {
            report = measuring => report.map_err(Failure::failed)??,
            () = signals.next() => {
                clear(subject, &mut signals).await;
                return Err(Failure::failed("interrupted; nothing was measured"));
            }
        };
        output.fact(&report, &report)?;
        report.verdict()
    }
}

/// Takes away what an interrupted load would leave with the server, unless the next signal says that this takes too long.
async fn clear(subject: Subject, signals: &mut Signals) {
    if subject.is_own {
        return;
    }
    let removing = tokio::task::spawn_blocking(move || served::remove(&subject));
    tokio::select! {
        // Nobody can do more than to have tried.
        _ = removing => {}
        () = signals.next() => {}
    }
}
