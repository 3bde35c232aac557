//! Which functions this program has, and which of them an event starts. It changes while the program runs: apps come, change and go.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::RwLock;
use stepcast_protocol::{EventName, EventPattern, FunctionId};

use super::{function::FunctionConfig, seen::Seen};
use crate::error::EngineError;

/// The functions of all apps.
#[derive(Debug, Default)]
pub(super) struct Registry(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    apps: BTreeMap<String, Vec<Arc<FunctionConfig>>>,
    by_id: BTreeMap<FunctionId, Arc<FunctionConfig>>,
    /// Functions that a name starts, in the order of their ids.
    by_name: HashMap<EventName, Vec<Arc<FunctionConfig>>>,
    /// Functions with triggers that several names match.
    by_pattern: Vec<Arc<FunctionConfig>>,
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New functions, and known ones that may be different now.
    pub(super) set: Vec<Arc<FunctionConfig>>,
    pub(super) removed: Vec<FunctionId>,
}

impl Registry {
    /// The functions of an app are these from now on.
    ///
    /// # Errors
    /// [`EngineError::FunctionTwice`]; then nothing has changed.
    pub(super) fn replace(
        &self,
        app: &str,
        functions: Vec<FunctionConfig>,
    ) -> Result<Changes, EngineError> {
        let functions: Vec<_> = functions.into_iter().map(Arc::new).collect();
        let mut known = self.0.write();
        let mut by_id = known.of_others(app);
        for function in &functions {
            let earlier = by_id.insert(function.id.clone(), Arc::clone(function));
            if earlier.is_some() {
                return Err(EngineError::FunctionTwice(function.id.clone()));
            }
        }
        let gone = known.by_id.keys().filter(|id| !by_id.contains_key(*id));
        let removed = gone.cloned().collect();
        known.by_id = by_id;
        known.apps.insert(app.to_owned(), functions.clone());
        known.index();
        Ok(Changes {
            set: functions,
            removed,
        })
    }

    pub(super) fn get(&self, id: &FunctionId) -> Option<Arc<FunctionConfig>> {
        self.0.read().by_id.get(id).map(Arc::clone)
    }

    /// The functions that an event starts.
    pub(super) fn started_by(&self, seen: &Seen<'_>) -> Vec<Arc<FunctionConfig>> {
        let known = self.0.read();
        let by_name = known.by_name.get(seen.name()).into_iter().flatten();
        let candidates = by_name.chain(&known.by_pattern);
        let started = candidates.filter(|function| function.is_started_by(seen));
        started.map(Arc::clone).collect()
    }
}

impl Known {
    fn of_others(&self, app: &str) -> BTreeMap<FunctionId, Arc<FunctionConfig>> {
        let others = self.apps.iter().filter(|(name, _)| *name != app);
        others
            .flat_map(|(_, functions)| functions)
            .map(|function| (function.id.clone(), Arc::clone(function)))
            .collect()
    }

    fn index(&mut self) {
        (self.by_name, self.by_pattern) = (HashMap::new(), Vec::new());
        for function in self.by_id.values() {
            let is_pattern =
                |trigger: &super::Trigger| !matches!(trigger.event, EventPattern::Name(_));
            if function.triggers.iter().any(is_pattern) {
                self.by_pattern.push(Arc::clone(function));
                continue;
            }
            for trigger in &function.triggers {
                if let EventPattern::Name(name) = &trigger.event {
                    let of_name = self.by_name.entry(name.clone()).or_default();
                    if !of_name.iter().any(|known| known.id == function.id) {
                        of_name.push(Arc::clone(function));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runs::Trigger, store::conformance::samples};

    fn function(id: &str, triggers: &[&str]) -> FunctionConfig {
        let triggers = triggers.iter().map(|pattern| Trigger {
            event: EventPattern::parse(pattern).unwrap(),
            condition: None,
        });
        FunctionConfig {
            triggers: triggers.collect(),
            ..FunctionConfig::new(FunctionId::parse(id).unwrap(), Vec::new())
        }
    }

    fn started(registry: &Registry, event: &str) -> Vec<String> {
        let functions = registry.started_by(&Seen::new(&samples::event(1, event)));
        functions
            .iter()
            .map(|function| function.id.to_string())
            .collect()
    }

    #[test]
    fn an_event_starts_each_function_once_whatever_its_triggers() {
        let registry = Registry::default();
        let functions = vec![
            function("exact", &["a/b", "a/b", "c"]),
            function("wide", &["a/*", "a/b"]),
            function("other", &["c"]),
        ];
        registry.replace("app", functions).unwrap();
        assert_eq!(started(&registry, "a/b"), ["exact", "wide"]);
        assert_eq!(started(&registry, "a/x"), ["wide"]);
        assert_eq!(started(&registry, "c"), ["exact", "other"]);
        assert!(started(&registry, "d").is_empty());
    }

    #[test]
    fn an_app_replaces_its_own_functions_and_nobody_elses() {
        let registry = Registry::default();
        registry
            .replace("one", vec![function("f", &["e"]), function("g", &["e"])])
            .unwrap();
        registry
            .replace("two", vec![function("h", &["e"])])
            .unwrap();
        let changes = registry
            .replace("one", vec![function("g", &["x"]), function("i", &["e"])])
            .unwrap();
        assert_eq!(changes.removed, [FunctionId::parse("f").unwrap()]);
        assert_eq!(started(&registry, "e"), ["h", "i"]);
        let twice = registry.replace("one", vec![function("h", &["e"])]);
        assert!(matches!(twice, Err(EngineError::FunctionTwice(id)) if id.as_str() == "h"));
        assert_eq!(started(&registry, "e"), ["h", "i"], "nothing has changed");
    }
}
