//! `$run` and `$step`: where a run and its steps are, for those who watch.
//!
//! They are not kept: what the store knows of a run is the truth, and says it to whoever comes. Changes are told to those who are there,
//! after their commit, in the order of commits; a channel that nobody reads costs nothing.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use serde::Serialize;
use stepcast_protocol::{
    ChannelName, Keep, Origin, Progress, RunError, RunId, RunNews, StepId, StepNews, Timestamp,
    TopicName,
    run::{RUN_TOPIC, STEP_TOPIC},
};

use super::{Inner, Runs, cell::RunCell};
use crate::{
    hub::{Channel, Derive, Draft, Piece},
    store::{BoxFuture, Outcome, Phase, RunRow, StepRow, StepState, StoreError},
};

fn json(news: &impl Serialize) -> Bytes {
    serde_json::to_vec(news)
        .expect("strings and numbers can always be written as JSON")
        .into()
}

/// Where a run is, and what it came to: whoever may read `$run` may know its result.
pub(super) fn run_news(row: &RunRow) -> Piece {
    let (error, result) = match &row.outcome {
        Some(Outcome::Err(error)) => (Some(error.shown()), None),
        Some(Outcome::Ok(json)) => (None, serde_json::from_slice(json).ok()),
        None => (None, None),
    };
    let waits = row.phase == Phase::Queued && error.is_some();
    let status = if waits {
        Progress::Retrying
    } else {
        row.phase.status().into()
    };
    let news = RunNews {
        run_id: row.id,
        function_id: row.function.clone(),
        status,
        attempt: row.attempt,
        created_at: row.created_at.to_string(),
        started_at: row.started_at.map(|at| at.to_string()),
        ended_at: row.ended_at.map(|at| at.to_string()),
        next_at: waits.then(|| row.due_at.to_string()),
        error,
        result,
    };
    Piece {
        payload: json(&news),
        at: row.ended_at.or(row.started_at).unwrap_or(row.created_at),
        origin: Some(Arc::new(Origin {
            run: row.id,
            step: None,
            attempt: row.attempt,
        })),
    }
}

fn step_news(row: &StepRow) -> Piece {
    let (status, next_at, error) = match &row.state {
        StepState::Open { next_at, error } => (Progress::Retrying, Some(*next_at), error.clone()),
        StepState::Waiting { until } => (Progress::Waiting, *until, None),
        StepState::Done { outcome, .. } => match outcome {
            Outcome::Ok(_) => (Progress::Completed, None, None),
            Outcome::Err(error) => (Progress::Failed, None, Some(error.clone())),
        },
    };
    step_piece(row, status, next_at, error)
}

fn step_piece(
    row: &StepRow,
    status: Progress,
    next_at: Option<Timestamp>,
    error: Option<RunError>,
) -> Piece {
    let took = match row.state {
        StepState::Done { .. } => Some(row.changed_at.since(row.began_at)),
        StepState::Open { .. } | StepState::Waiting { .. } => None,
    };
    let news = StepNews {
        step_id: row.step.clone(),
        verb: row.verb.as_str().to_owned(),
        target: row.target.clone(),
        status,
        attempt: row.attempts,
        began_at: row.began_at.to_string(),
        duration_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        next_at: next_at.map(|at| at.to_string()),
        error: error.as_ref().map(RunError::shown),
    };
    Piece {
        payload: json(&news),
        at: row.changed_at,
        origin: Some(Arc::new(Origin {
            run: row.run,
            step: Some(row.step.clone()),
            attempt: row.attempts,
        })),
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("the engine's topics have names")
}

/// The channel that is named by a run.
pub(super) fn channel_of(run: RunId) -> ChannelName {
    ChannelName::parse(run.to_string()).expect("a run's id is a name")
}

/// What has changed about a run in one commit.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) run: bool,
    pub(super) steps: Vec<StepId>,
}

impl Runs {
    /// Tells those who watch the run what a commit has changed.
    pub(super) fn announce(&self, news: News, cell: &RunCell, run: &super::RunState) {
        if !news.run && news.steps.is_empty() {
            return;
        }
        if news.run {
            let published = || cell.published().marked();
            self.tell_followers(&run.row, &cell.event, published);
        }
        let Some(channel) = self.0.hub.find(&cell.channel) else {
            return;
        };
        let steps = news.steps.iter().filter_map(|step| run.steps.get(step));
        steps.for_each(|row| self.tell(&channel, STEP_TOPIC, step_news(row)));
        if news.run {
            self.tell(&channel, RUN_TOPIC, run_news(&run.row));
        }
    }

    /// Tells those who watch the run that an attempt of a step has begun. Nothing is committed.
    pub(super) fn announce_attempt(&self, cell: &RunCell, row: impl FnOnce() -> StepRow) {
        if let Some(channel) = self.0.hub.find(&cell.channel) {
            let piece = step_piece(&row(), Progress::Running, None, None);
            self.tell(&channel, STEP_TOPIC, piece);
        }
    }

    fn tell(&self, channel: &Arc<Channel>, name: &str, piece: Piece) {
        let draft = Draft::new(topic(name), Keep::Live, piece.payload, piece.origin);
        // It is not kept, so nothing can wait to be written; and whoever comes later is told by the store.
        if let Err(error) = self.0.hub.post(channel, draft, |_, _| {}, |_| {}) {
            tracing::debug!(channel = %channel.name(), %error, "those who watch a run were not told of a change");
        }
    }
}

impl Inner {
    pub(super) fn exposes_result(&self, row: &RunRow) -> bool {
        self.registry
            .get(&row.function)
            .is_some_and(|function| function.exposes_result)
    }
}

/// Makes the topics of runs from the store.
pub(super) struct Lifecycle(pub(super) Weak<Inner>);

impl Derive for Lifecycle {
    fn derive(
        &self,
        channel: &ChannelName,
        topic: &TopicName,
    ) -> BoxFuture<'static, Result<Option<Vec<Piece>>, StoreError>> {
        let (run, inner) = (channel.as_str().parse::<RunId>().ok(), self.0.upgrade());
        let is_run_topic = topic.as_str() == RUN_TOPIC;
        Box::pin(async move {
            let (Some(id), Some(inner)) = (run, inner) else {
                return Ok(None);
            };
            let Some(run) = inner.store.run(id).await? else {
                return Ok(None);
            };
            Ok(Some(if is_run_topic {
                vec![run_news(&run.row)]
            } else {
                run.steps.iter().map(step_news).collect()
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use stepcast_protocol::RunStatus;

    use super::*;
    use crate::store::conformance::samples;

    fn payload(piece: &Piece) -> serde_json::Value {
        serde_json::from_slice(&piece.payload).unwrap()
    }

    #[test]
    fn a_run_that_waits_for_its_next_attempt_says_when_and_why() {
        let row = RunRow {
            attempt: 2,
            outcome: Some(Outcome::Err(samples::error("no"))),
            ..samples::run(1, Phase::Queued)
        };
        let news = payload(&run_news(&row));
        assert_eq!(news["status"], "retrying");
        assert_eq!(news["next_at"], row.due_at.to_string());
        assert_eq!(news["error"]["message"], "no");
    }

    #[test]
    fn what_a_run_came_to_is_shown() {
        let row = RunRow {
            outcome: Some(Outcome::Ok(Bytes::from_static(b"[1.50]"))),
            ..samples::run(1, Phase::Completed)
        };
        let news = payload(&run_news(&row));
        assert_eq!(news["result"], serde_json::json!([1.5]));
        assert_eq!(news["status"], RunStatus::Completed.as_str());
    }

    #[test]
    fn a_step_that_has_ended_says_how_long_it_took() {
        let news = payload(&step_news(&samples::done(1, "s", 1)));
        assert_eq!(news["status"], "completed");
        assert_eq!(news["duration_ms"], 5);
        assert_eq!(news["step_id"], "s");
    }
}
