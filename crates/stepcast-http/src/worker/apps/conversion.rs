//! What the engine makes of a function's configuration. Pure.

use std::collections::BTreeSet;

use stepcast_engine::{
    expression::Expression,
    runs::{CancelOn, Cron, FunctionConfig, KeyLimit, LimitScope, Trigger},
    schedule::{Jitter, Schedule},
};
use stepcast_protocol::{
    EventPattern, FunctionId,
    sdk::{
        Until,
        config::{self, Cancel, Concurrency, Scope, Unsupported},
    },
};

use super::{directory::AppFunction, error::SyncError, uuid};
use crate::{gateway::ServerKind, worker::served::ServedFunction};

/// What is taken, and how.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) kind: ServerKind,
    /// Options that are ignored where they would be refused.
    pub(crate) ignored: BTreeSet<String>,
    /// Functions whose results are seen by those who watch their runs.
    pub(crate) exposed: BTreeSet<FunctionId>,
    /// Attempts after the first one, for functions that do not say it.
    pub(crate) retries: u32,
}

/// The options of functions that Stepcast does not follow.
pub fn unsupported_options() -> impl Iterator<Item = &'static str> {
    Unsupported::ALL.iter().map(|option| option.as_str())
}

pub(super) fn function(
    config: &config::FunctionConfig,
    policy: &Policy,
) -> Result<AppFunction, SyncError> {
    let id = &config.id;
    let reader = Reader { function: id };
    let (triggers, crons) = reader.triggers(&config.triggers)?;
    let mut engine = FunctionConfig {
        triggers,
        crons,
        idempotency: reader.expression("idempotency", config.idempotency.as_deref())?,
        cancel_on: reader.cancels(&config.cancel)?,
        starts_within: config.timeouts.start,
        ends_within: config.timeouts.finish,
        exposes_result: policy.exposed.contains(id),
        speaks_from_outside: true,
        announces_end: true,
        ..FunctionConfig::new(id.clone(), Vec::new())
    };
    for rule in &config.concurrency {
        reader.limit(rule, &mut engine)?;
    }
    Ok(AppFunction {
        id: id.clone(),
        name: config.name.clone(),
        triggers: config.triggers.clone(),
        served: ServedFunction {
            url: config.url.clone(),
            function: uuid::of_function(id),
            retries: config.retries.unwrap_or(policy.retries),
        },
        engine,
        ignored: ignored(config, policy)?,
    })
}

/// What the function asks for and does not get, if it may be taken without.
fn ignored(
    config: &config::FunctionConfig,
    policy: &Policy,
) -> Result<Vec<&'static str>, SyncError> {
    let unsupported = config.unsupported.iter();
    let asked: Vec<_> = unsupported.map(|option| option.as_str()).collect();
    let refused = asked.iter().find(|option| match policy.kind {
        ServerKind::Dev => false,
        ServerKind::Cloud => !policy.ignored.contains(**option),
    });
    match refused {
        None => Ok(asked),
        Some(option) => Err(SyncError::Unsupported {
            function: config.id.clone(),
            option,
        }),
    }
}

/// Reads the parts of one function's configuration.
struct Reader<'a> {
    function: &'a FunctionId,
}

impl Reader<'_> {
    fn triggers(
        &self,
        configs: &[config::Trigger],
    ) -> Result<(Vec<Trigger>, Vec<Cron>), SyncError> {
        let (mut triggers, mut crons) = (Vec::new(), Vec::new());
        for (index, trigger) in configs.iter().enumerate() {
            match trigger {
                config::Trigger::Cron(cron) => crons.push(self.cron(cron)?),
                config::Trigger::Event { event, expression } => {
                    let option = format!("triggers[{index}].expression");
                    triggers.push(Trigger {
                        event: event.clone(),
                        condition: self.expression(&option, expression.as_deref())?,
                    });
                }
            }
        }
        Ok((triggers, crons))
    }

    fn cron(&self, cron: &config::Cron) -> Result<Cron, SyncError> {
        let read = || {
            let schedule = Schedule::parse(&cron.to_string())?;
            let jitter = cron.jitter.map(Jitter::new).transpose()?;
            Ok(Cron { schedule, jitter })
        };
        read().map_err(|source| SyncError::Schedule {
            function: self.function.clone(),
            source,
        })
    }

    /// A limit for all runs of the function is the engine's own; others go by key.
    fn limit(&self, rule: &Concurrency, engine: &mut FunctionConfig) -> Result<(), SyncError> {
        let runs = usize::try_from(rule.limit).unwrap_or(usize::MAX);
        let key = self.expression("concurrency.key", rule.key.as_deref())?;
        match (rule.scope, &key) {
            (Scope::Function, None) => engine.concurrency = runs,
            (Scope::Function | Scope::Environment | Scope::Account, _) => {
                engine.limits.push(KeyLimit {
                    runs,
                    key,
                    scope: match rule.scope {
                        Scope::Function => LimitScope::Function,
                        Scope::Environment => LimitScope::Environment,
                        Scope::Account => LimitScope::Account,
                    },
                });
            }
        }
        Ok(())
    }

    fn cancels(&self, cancels: &[Cancel]) -> Result<Vec<CancelOn>, SyncError> {
        let cancels = cancels.iter().enumerate();
        cancels
            .map(|(index, cancel)| self.cancel(index, cancel))
            .collect()
    }

    fn cancel(&self, index: usize, cancel: &Cancel) -> Result<CancelOn, SyncError> {
        let option = |name: &str| format!("cancel[{index}].{name}");
        let wrong = |name: &str, value: String, expected| SyncError::Value {
            function: self.function.clone(),
            option: option(name),
            value,
            expected,
        };
        let event = match &cancel.event {
            EventPattern::Name(name) => name.clone(),
            EventPattern::Prefix(prefix) => {
                return Err(wrong(
                    "event",
                    format!("{prefix}*"),
                    "the name of one event",
                ));
            }
        };
        let within = match cancel.timeout {
            None => None,
            Some(Until::After(duration)) => Some(duration),
            Some(Until::At(time)) => {
                return Err(wrong(
                    "timeout",
                    time.to_string(),
                    "a duration such as `1h`",
                ));
            }
        };
        Ok(CancelOn {
            event,
            condition: self.expression(&option("if"), cancel.expression.as_deref())?,
            within,
        })
    }

    fn expression(
        &self,
        option: &str,
        text: Option<&str>,
    ) -> Result<Option<Expression>, SyncError> {
        let parsed = text.map(Expression::parse).transpose();
        parsed.map_err(|source| SyncError::Expression {
            function: self.function.clone(),
            option: option.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use stepcast_protocol::sdk::AppConfig;

    use super::*;

    fn convert(options: Value, kind: ServerKind, ignored: &[&str]) -> Result<AppFunction, String> {
        let mut function = json!({
            "id": "app-f",
            "triggers": [{"event": "go"}],
            "steps": {"step": {"runtime": {"url": "http://localhost/x?fnId=app-f&stepId=step"}}},
        });
        for (key, value) in options.as_object().unwrap() {
            function[key] = value.clone();
        }
        let body = json!({"appName": "app", "functions": [function]}).to_string();
        let app = AppConfig::read(body.as_bytes()).unwrap();
        let policy = Policy {
            kind,
            ignored: ignored.iter().map(|option| (*option).to_owned()).collect(),
            exposed: BTreeSet::from([FunctionId::parse("app-f").unwrap()]),
            retries: 4,
        };
        super::function(&app.functions[0], &policy).map_err(|error| error.to_string())
    }

    fn dev(options: Value) -> Result<AppFunction, String> {
        convert(options, ServerKind::Dev, &[])
    }

    #[test]
    fn every_option_that_is_followed_reaches_the_engine() {
        let function = dev(json!({
            "triggers": [
                {"event": "app/*", "expression": "event.data.x == 1"},
                {"cron": "TZ=Europe/Berlin 0 9 * * *", "jitter": "30s"},
            ],
            "concurrency": [{"limit": 3}, {"limit": 2, "key": "event.data.u", "scope": "env"}],
            "cancel": [{"event": "app/stop", "timeout": "1h", "if": "event.data.u == async.data.u"}],
            "timeouts": {"start": "10s", "finish": "1m"},
            "idempotency": "event.data.id",
        }))
        .unwrap();
        let engine = &function.engine;
        assert_eq!(engine.triggers.len(), 1);
        let condition = engine.triggers[0].condition.as_ref().unwrap();
        assert_eq!(condition.to_string(), "event.data.x == 1");
        assert_eq!(engine.concurrency, 3);
        assert_eq!(engine.limits[0].runs, 2);
        assert_eq!(engine.limits[0].scope, LimitScope::Environment);
        assert_eq!(engine.cancel_on[0].within, Some(Duration::from_secs(3600)));
        assert_eq!(engine.starts_within, Some(Duration::from_secs(10)));
        assert_eq!(engine.ends_within, Some(Duration::from_secs(60)));
        assert!(engine.announces_end && engine.exposes_result && engine.speaks_from_outside);
        let once = engine.idempotency.as_ref().unwrap();
        assert_eq!(once.to_string(), "event.data.id");
        assert_eq!(
            engine.crons[0].schedule.as_str(),
            "TZ=Europe/Berlin 0 9 * * *"
        );
        let jitter = engine.crons[0].jitter.unwrap();
        assert_eq!(jitter.longest(), Duration::from_secs(30));
        assert_eq!(function.served.retries, 4);
        assert!(function.ignored.is_empty());
    }

    #[test]
    fn what_cannot_be_is_refused_with_function_option_and_value() {
        for (options, part) in [
            (
                json!({"triggers": [{"event": "a", "expression": "event.data ="}]}),
                "`triggers[0].expression` of function `app-f`: expression `event.data =`",
            ),
            (
                json!({"triggers": [{"cron": "61 * * * *"}]}),
                "`cron` of function `app-f`",
            ),
            (
                json!({"cancel": [{"event": "a/*"}]}),
                "`cancel[0].event` of function `app-f` is `a/*`; give it the name of one event",
            ),
            (
                json!({"cancel": [{"event": "a", "timeout": "2030-01-01T00:00:00Z"}]}),
                "give it a duration such as `1h`",
            ),
            (
                json!({"concurrency": {"limit": 1, "key": "("}}),
                "`concurrency.key` of function `app-f`",
            ),
        ] {
            let error = dev(options).map(|function| function.id).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_not_done_is_marked_in_dev_mode_and_refused_in_production() {
        let options =
            json!({"throttle": {"limit": 1, "period": "1s"}, "singleton": {"mode": "skip"}});
        let function = dev(options.clone()).unwrap();
        assert_eq!(function.ignored, ["throttle", "singleton"]);
        let refused = |ignored: &[&str]| convert(options.clone(), ServerKind::Cloud, ignored);
        let error = refused(&["singleton"]).map(|_| ()).unwrap_err();
        assert!(error.contains("`app-f` asks for `throttle`"), "{error}");
        assert!(error.contains("--ignore-unsupported throttle"), "{error}");
        let taken = refused(&["throttle", "singleton"]).unwrap();
        assert_eq!(taken.ignored.len(), 2);
        assert!(unsupported_options().any(|option| option == "batchEvents"));
    }
}
