//! `stepcast bench runs`: runs of a function that this process serves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;
use stepcast::RunStatus;
use tokio::{task::JoinSet, time::timeout_at};

use super::{
    Measure,
    crowd::ON_ITS_WAY,
    load::{TimeBound, count},
    report::Report,
    samples,
    served::Served,
    subject::{Meter, Subject},
};
use crate::exit::Failure;

/// Runs of a function with a few steps that this process serves, as an app of npm `inngest` would: CPU time and duration of a run
///
/// A step is a call of the server and a commit. A run is counted when the server says that it has ended; whoever waits for that costs the server
/// something as well. One that has not completed, or has not ended 10 seconds after --time, counts as lost.
#[derive(Debug, Args)]
pub(super) struct Runs {
    /// Runs at most
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs that are in flight at once
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,
    /// Steps of each
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    steps: u32,
    /// The address at which the server reaches this process
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    app_host: std::net::IpAddr,
    #[command(flatten)]
    time: TimeBound,
}

/// What one flight has seen.
struct Flown {
    completed: u64,
    /// Failed, or not ended in time.
    lost: u64,
    times: Histogram<u64>,
}

impl Measure for Runs {
    fn measure(self, subject: &Subject) -> Result<Report, Failure> {
        let Self {
            runs,
            in_flight,
            steps,
            app_host,
            time,
        } = self;
        let before = subject.resident();
        let served = Served::start(subject, app_host, steps)?;
        let left = Arc::new(AtomicU32::new(runs));
        let (meter, deadline) = (Meter::start(subject), time.deadline());
        let flown = subject.runtime().block_on(async {
            let mut flights = JoinSet::new();
            for _ in 0..in_flight {
                flights.spawn(fly(
                    subject.clone(),
                    served.event.clone(),
                    Arc::clone(&left),
                    deadline,
                ));
            }
            flights.join_all().await
        });
        let spent = meter.read(subject);
        let mut sum = Flown::new();
        for flown in flown {
            sum.add(&flown?);
        }
        served.end()?;
        let Flown {
            completed,
            lost,
            times,
        } = sum;
        let load = json!({ "in_flight": count(in_flight), "steps": steps });
        let report = Report::new("runs", load, subject, ("run", completed), spent);
        Ok(report
            .with_latency("from sending the event to hearing of the run's end", &times)
            .with_lost(lost)
            .with_memory(subject, 0, before, None))
    }
}

impl Flown {
    fn new() -> Self {
        Self {
            completed: 0,
            lost: 0,
            times: samples::histogram(),
        }
    }

    fn add(&mut self, other: &Self) {
        let Self {
            completed,
            lost,
            times,
        } = other;
        self.completed += completed;
        self.lost += lost;
        samples::add(&mut self.times, times);
    }

    fn on_end(&mut self, status: RunStatus, took: Duration) {
        samples::record(&mut self.times, took);
        if status == RunStatus::Completed {
            self.completed += 1;
        } else {
            self.lost += 1;
        }
    }
}

/// One run after the other, until the deadline. One that is under way then has some time left.
async fn fly(
    subject: Subject,
    event: String,
    left: Arc<AtomicU32>,
    deadline: Instant,
) -> Result<Flown, Failure> {
    let mut flown = Flown::new();
    let next = || {
        let one_less = |left: u32| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    };
    while Instant::now() < deadline && next() {
        let began = Instant::now();
        let patience = (deadline + ON_ITS_WAY).into();
        match timeout_at(patience, run_once(&subject, &event)).await {
            Ok(status) => flown.on_end(status?, began.elapsed()),
            Err(_) => flown.lost += 1,
        }
    }
    Ok(flown)
}

async fn run_once(subject: &Subject, event: &str) -> Result<RunStatus, stepcast::Error> {
    let sent = subject.client.send_json(event, &json!({})).await?;
    Ok(sent.run().await?.end().await?.status)
}
