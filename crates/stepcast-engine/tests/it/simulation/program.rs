//! Functions that chance has written: trees of steps, branches and publishes. The same seed writes the same ones.

use std::time::Duration;

use stepcast_engine::catalog::Catalog;
use stepcast_protocol::{
    ChannelName, ChannelSpec, Keep, Retention, TopicName, TopicSpec, sdk::Conflict,
};

use super::chance::Chance;

pub(crate) const FUNCTIONS: usize = 4;
/// Channels whose topics keep everything, and one whose logs are short.
pub(crate) const CHANNELS: [&str; 3] = ["room:a", "room:b", "tight:c"];
pub(crate) const TOPICS: [&str; 4] = ["log", "last", "text", "live"];
/// Events that functions and the outside send; the first ones start functions, all of them end waits.
pub(crate) const EVENTS: [&str; 6] = ["start-0", "start-1", "start-2", "start-3", "go", "stop"];

/// What steps wait for, and the outside sends.
pub(crate) const SIGNAL: &str = "done";

/// Where something is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) channel: &'static str,
    pub(crate) topic: &'static str,
}

impl Target {
    pub(crate) fn any(chance: &Chance) -> Self {
        Self {
            channel: chance.pick(&CHANNELS),
            topic: chance.pick(&TOPICS),
        }
    }

    pub(crate) fn channel(self) -> ChannelName {
        ChannelName::parse(self.channel).unwrap()
    }

    pub(crate) fn topic(self) -> TopicName {
        TopicName::parse(self.topic).unwrap()
    }

    pub(crate) fn keep(self) -> Keep {
        keep(self.topic)
    }
}

fn keep(topic: &str) -> Keep {
    match topic {
        "last" => Keep::Latest,
        "text" => Keep::Text {
            field: "said".to_owned(),
        },
        "live" => Keep::Live,
        _ => Keep::Log,
    }
}

/// What every program publishes to.
pub(crate) fn catalog() -> Catalog {
    let catalog = Catalog::default();
    let long = Duration::from_secs(10_000 * 24 * 60 * 60);
    for (template, messages) in [("room:{name}", None), ("tight:{name}", Some(8))] {
        let topic = |name: &&str| TopicSpec {
            name: TopicName::parse(*name).unwrap(),
            keep: keep(name),
            retention: Retention {
                messages,
                bytes: None,
                age: Some(long),
            },
            schema: None,
            doc: String::new(),
        };
        let spec = ChannelSpec {
            template: template.parse().unwrap(),
            topics: TOPICS.iter().map(topic).collect(),
            rust_type: String::new(),
            doc: String::new(),
        };
        catalog.declare(&spec).unwrap();
    }
    catalog
}

/// One thing a function does. Ids are used once per function.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// User code that fails for its first attempts.
    Run(Code),
    /// A durable message.
    Publish(String, Target),
    Sleep(String, Duration),
    Wait {
        step: String,
        event: &'static str,
        timeout: Duration,
        since_run_start: bool,
    },
    Signal {
        step: String,
        conflict: Conflict,
        timeout: Duration,
    },
    Invoke {
        step: String,
        function: usize,
        timeout: Option<Duration>,
    },
    Send(String, &'static str),
    /// A message of the body.
    Say(String, Target),
    /// All of them, beside each other.
    Join(Vec<Vec<Node>>),
    /// Until the first of them is done; the others are dropped.
    Race(Vec<Vec<Node>>),
    /// The body fails in its first attempts.
    Fail {
        attempts: u32,
        terminal: bool,
    },
}

/// User code of a step.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) step: String,
    /// Attempts that fail.
    pub(crate) fails: u32,
    pub(crate) terminal: bool,
    /// Whether the function goes on when the step has failed for good.
    pub(crate) is_caught: bool,
    pub(crate) retries: u32,
    pub(crate) says: Vec<Target>,
    /// How often it lets others go first.
    pub(crate) yields: u64,
}

/// One function.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    pub(crate) retries: u32,
}

pub(crate) fn programs(chance: &Chance) -> Vec<Program> {
    let program = |function| {
        let mut author = Author {
            chance: chance.fork(),
            function,
            ids: 0,
        };
        let length = 1 + author.chance.below(5);
        Program {
            nodes: author.nodes(length, 2),
            retries: u32::try_from(author.chance.below(4)).unwrap(),
        }
    };
    (0..FUNCTIONS).map(program).collect()
}

/// Makes waits of all kinds into waits for [`SIGNAL`], or leaves them.
pub(crate) fn wait_for_signals(programs: &mut [Program], chance: &Chance) {
    let of_programs = programs.iter_mut().flat_map(|program| &mut program.nodes);
    of_programs.for_each(|node| wait_for_signal(node, chance));
}

fn wait_for_signal(node: &mut Node, chance: &Chance) {
    let (step, timeout) = match node {
        Node::Sleep(step, timeout) | Node::Wait { step, timeout, .. } => (step.clone(), *timeout),
        Node::Join(branches) | Node::Race(branches) => {
            let nodes = branches.iter_mut().flatten();
            return nodes.for_each(|node| wait_for_signal(node, chance));
        }
        Node::Run(_)
        | Node::Publish(..)
        | Node::Signal { .. }
        | Node::Invoke { .. }
        | Node::Send(..)
        | Node::Say(..)
        | Node::Fail { .. } => return,
    };
    if !chance.one_in(4) {
        *node = Node::Signal {
            step,
            conflict: chance.pick(&[Conflict::Fail, Conflict::Replace]),
            timeout: timeout.max(Duration::from_secs(3)),
        };
    }
}

struct Author {
    chance: Chance,
    function: usize,
    ids: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Run,
    Publish,
    Sleep,
    Wait,
    Invoke,
    Send,
    Say,
    Join,
    Race,
    Fail,
}

impl Author {
    fn nodes(&mut self, length: u64, depth: u32) -> Vec<Node> {
        (0..length).map(|_| self.node(depth)).collect()
    }

    fn node(&mut self, depth: u32) -> Node {
        let branches = u64::from(depth > 0);
        let kind = self.chance.weighted(&[
            (8, Kind::Run),
            (4, Kind::Publish),
            (2, Kind::Sleep),
            (2, Kind::Wait),
            // Only later functions, so that every chain of them ends.
            (u64::from(self.function + 1 < FUNCTIONS), Kind::Invoke),
            (1, Kind::Send),
            (6, Kind::Say),
            (2 * branches, Kind::Join),
            (2 * branches, Kind::Race),
            (1, Kind::Fail),
        ]);
        self.ids += 1;
        let id = format!("s{}", self.ids);
        match kind {
            Kind::Run => Node::Run(self.code(id)),
            Kind::Publish => Node::Publish(id, Target::any(&self.chance)),
            Kind::Sleep => Node::Sleep(id, self.time()),
            Kind::Wait => Node::Wait {
                step: id,
                event: self.chance.pick(&EVENTS),
                timeout: self.time(),
                since_run_start: self.chance.one_in(2),
            },
            Kind::Invoke => Node::Invoke {
                step: id,
                function: self.later_function(),
                timeout: self.chance.one_in(3).then(|| self.time()),
            },
            Kind::Send => Node::Send(id, self.chance.pick(&EVENTS[self.function + 1..])),
            Kind::Say => Node::Say(id, Target::any(&self.chance)),
            Kind::Join => Node::Join(self.branches(depth)),
            Kind::Race => Node::Race(self.branches(depth)),
            Kind::Fail => Node::Fail {
                attempts: u32::try_from(self.chance.below(3)).unwrap(),
                terminal: self.chance.one_in(8),
            },
        }
    }

    fn branches(&mut self, depth: u32) -> Vec<Vec<Node>> {
        let count = 2 + self.chance.below(2);
        let mut branch = || {
            let length = 1 + self.chance.below(3);
            self.nodes(length, depth - 1)
        };
        (0..count).map(|_| branch()).collect()
    }

    fn code(&self, step: String) -> Code {
        let says = self.chance.below(4);
        Code {
            step,
            fails: u32::try_from(self.chance.weighted(&[(3, 0), (2, 1), (1, 2)])).unwrap(),
            terminal: self.chance.one_in(6),
            is_caught: self.chance.one_in(2),
            retries: u32::try_from(self.chance.below(4)).unwrap(),
            says: (0..says).map(|_| Target::any(&self.chance)).collect(),
            yields: self.chance.below(4),
        }
    }

    fn later_function(&self) -> usize {
        let later = FUNCTIONS - self.function - 1;
        self.function + 1 + usize::try_from(self.chance.below(later as u64)).unwrap()
    }

    fn time(&self) -> Duration {
        let millis =
            self.chance
                .weighted(&[(2, 0), (3, 50), (3, 3_000), (2, 70_000), (1, 7_200_000)]);
        Duration::from_millis(millis)
    }
}
