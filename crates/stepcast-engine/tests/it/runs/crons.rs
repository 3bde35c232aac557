//! Functions that a time starts.

use std::time::Duration;

use serde_json::Value;
use stepcast_engine::{
    runs::{Cron, FunctionConfig},
    schedule::Schedule,
};

use super::script::{Life, World, function};

const MINUTE: Duration = Duration::from_secs(60);

fn cron(text: &str) -> Cron {
    Cron {
        schedule: Schedule::parse(text).unwrap(),
        jitter: None,
    }
}

fn each_minute() -> FunctionConfig {
    FunctionConfig {
        triggers: Vec::new(),
        crons: vec![cron("* * * * *"), cron("*/2 * * * *")],
        ..function("f")
    }
}

/// The schedules and times of so many runs that begin.
async fn ticks(life: &mut Life, count: usize) -> Vec<(String, String)> {
    let mut ticks = Vec::new();
    for _ in 0..count {
        let run = life.next().await;
        assert_eq!(run.run.function, "f");
        let data: Value = serde_json::from_slice(&run.run.event.data).unwrap();
        let text = |key: &str| data[key].as_str().unwrap().to_owned();
        ticks.push((text("cron"), text("scheduledAt")));
        run.returns().await;
    }
    ticks.sort();
    ticks
}

#[tokio::test]
async fn a_time_starts_each_of_its_schedules_once() {
    let mut world = World::new();
    world.functions = vec![each_minute()];
    let mut life = world.open().await;
    // It is 40 s past a minute that both name.
    world.clock.advance(Duration::from_secs(20));
    let first = ticks(&mut life, 1).await;
    assert_eq!(first[0].0, "* * * * *");
    world.clock.advance(MINUTE);
    let both = ticks(&mut life, 2).await;
    assert_eq!((&*both[0].0, &*both[1].0), ("* * * * *", "*/2 * * * *"));
    assert_eq!(both[0].1, both[1].1);
    // Whoever registers the same again changes nothing.
    life.engine.register("", vec![each_minute()]).unwrap();
    world.clock.advance(MINUTE);
    let second = ticks(&mut life, 1).await;
    assert_eq!(second[0].0, "* * * * *");
    life.dies();
    let mut life = world.open().await;
    assert!(!life.has_started());
    world.clock.advance(MINUTE);
    assert_eq!(ticks(&mut life, 2).await.len(), 2);
    life.engine.register("", vec![]).unwrap();
    world.clock.advance(MINUTE * 10);
    assert!(!life.has_started());
}
