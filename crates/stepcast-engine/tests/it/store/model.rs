//! Any sequence of batches leaves what a simple model says, however the writer groups them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stepcast_engine::store::{
    Batch, CommitError, Expect, Fence, MessageQuery, Phase, RunRow, Store, StoreExt, Urgency,
    Write,
    conformance::{Place, samples},
};
use stepcast_protocol::{Cursor, RunId};

use super::{Home, InMemory, within};

const CHANNELS: [&str; 3] = ["a", "b", "c"];
const RUNS: [u64; 2] = [1, 2];

/// A write of few values, so that they meet.
#[derive(Debug, Clone)]
enum Op {
    Message(usize, u64),
    Head(usize, u64),
    Run(u64, Phase, u32),
}

#[derive(Debug, Clone)]
struct Plan {
    fence: Option<(u64, u32)>,
    open: Option<u64>,
    ops: Vec<Op>,
    urgency: Urgency,
}

fn op() -> impl Strategy<Value = Op> {
    let run = prop::sample::select(&RUNS[..]);
    let phase = prop::sample::select(&Phase::ALL[..]);
    prop_oneof![
        4 => (0..CHANNELS.len(), 0..60_u64).prop_map(|(channel, offset)| Op::Message(channel, offset)),
        1 => (0..CHANNELS.len(), 0..90_u64).prop_map(|(channel, offset)| Op::Head(channel, offset)),
        1 => (run, phase, 0..3_u32).prop_map(|(run, phase, lease)| Op::Run(run, phase, lease)),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let run = prop::sample::select(&RUNS[..]);
    (
        prop::option::weighted(0.2, (run.clone(), 0..3_u32)),
        prop::option::weighted(0.1, run),
        prop::collection::vec(op(), 0..4),
        prop_oneof![Just(Urgency::Now), Just(Urgency::Soon)],
    )
        .prop_map(|(fence, open, ops, urgency)| Plan {
            fence,
            open,
            ops,
            urgency,
        })
}

/// What must be stored.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    messages: BTreeSet<(usize, u64)>,
    heads: BTreeMap<usize, u64>,
    runs: BTreeMap<u64, (Phase, u32)>,
}

impl Model {
    /// Applies the plan and says how it must end.
    fn apply(&mut self, plan: &Plan) -> &'static str {
        let held = plan
            .fence
            .is_none_or(|(run, lease)| self.runs.get(&run) == Some(&(Phase::Leased, lease)));
        let open = plan.open.is_none_or(|run| {
            self.runs
                .get(&run)
                .is_some_and(|(phase, _)| !phase.is_final())
        });
        if !held || !open {
            return "refused";
        }
        let mut next = self.clone();
        for op in &plan.ops {
            match *op {
                Op::Message(channel, offset) => {
                    if !next.messages.insert((channel, offset)) {
                        return "rejected";
                    }
                    next.raise(channel, offset);
                }
                Op::Head(channel, offset) => next.raise(channel, offset),
                Op::Run(run, phase, lease) => {
                    next.runs.insert(run, (phase, lease));
                }
            }
        }
        *self = next;
        "committed"
    }

    fn raise(&mut self, channel: usize, offset: u64) {
        let head = self.heads.entry(channel).or_default();
        *head = offset.max(*head);
    }

    async fn read(store: &dyn Store) -> Self {
        let mut stored = Self::default();
        for (index, name) in CHANNELS.into_iter().enumerate() {
            let channel = samples::channel(name);
            if let Some(row) = store.channel(channel.clone()).await.unwrap() {
                stored.heads.insert(index, row.head.offset.0);
            }
            let up_to = samples::cursor(u64::MAX, u64::MAX);
            let query = MessageQuery {
                channel,
                after: Cursor::START,
                up_to,
                topics: None,
                limit: 1_000,
            };
            let page = store.messages(query).await.unwrap().messages;
            stored
                .messages
                .extend(page.iter().map(|message| (index, message.cursor.offset.0)));
        }
        for run in RUNS {
            if let Some(row) = store.run_row(samples::run_id(run)).await.unwrap() {
                stored.runs.insert(run, (row.phase, row.lease));
            }
        }
        stored
    }
}

fn batch(plan: &Plan) -> Batch {
    let id = |run: u64| -> RunId { samples::run_id(run) };
    let write = |op: &Op| match *op {
        Op::Message(channel, offset) => samples::write_message(CHANNELS[channel], offset),
        Op::Head(channel, offset) => Write::Head(
            samples::channel(CHANNELS[channel]),
            samples::cursor(1, offset),
        ),
        Op::Run(run, phase, lease) => samples::write_run(RunRow {
            lease,
            ..samples::run(run, phase)
        }),
    };
    Batch {
        fence: plan.fence.map(|(run, lease)| Fence {
            run: id(run),
            lease,
        }),
        expect: plan
            .open
            .map(|run| Expect::RunIsOpen(id(run)))
            .into_iter()
            .collect(),
        writes: plan.ops.iter().map(write).collect(),
        urgency: plan.urgency,
    }
}

fn check(place: &dyn Place, plans: &[Plan]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = place.open();
        let mut model = Model::default();
        let fates: Vec<_> = plans.iter().map(|plan| store.commit(batch(plan))).collect();
        for (plan, fate) in plans.iter().zip(fates) {
            let fate = match within(fate).await {
                Ok(_) => "committed",
                Err(CommitError::Refused(_)) => "refused",
                Err(CommitError::Rejected(_)) => "rejected",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(fate, model.apply(plan), "{plan:?}");
        }
        assert_eq!(Model::read(&*store).await, model);
        drop(store);
        assert_eq!(Model::read(&*place.open()).await, model);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn groups_are_as_good_as_one_batch_after_another(plans in prop::collection::vec(plan(), 1..80)) {
        check(&Home::new(), &plans);
        check(&InMemory::default(), &plans);
    }
}
