//! An event as expressions see it.

use std::cell::OnceCell;

use serde_json::{Map, Value};
use stepcast_protocol::{Event, EventName, event::Extras};

/// An event as expressions see it, read when one first asks.
pub(super) struct Seen<'a> {
    event: &'a Event,
    value: OnceCell<Value>,
}

impl<'a> Seen<'a> {
    pub(super) const fn new(event: &'a Event) -> Self {
        Self {
            event,
            value: OnceCell::new(),
        }
    }

    pub(super) const fn name(&self) -> &EventName {
        &self.event.name
    }

    /// All of it: name, data, id and time, and what else its sender has said.
    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| {
            let data = serde_json::from_slice(&self.event.data)
                .unwrap_or_else(|_| Value::Object(Map::new()));
            let id = self
                .event
                .key
                .clone()
                .unwrap_or_else(|| self.event.id.to_string());
            let mut value = serde_json::json!({
                "name": self.event.name.as_str(),
                "data": data,
                "id": id,
                "ts": self.event.at.as_millis(),
            });
            let Extras { user, v } = &self.event.extras;
            if let Some(user) = user {
                value["user"] = serde_json::from_slice(user).unwrap_or_default();
            }
            if let Some(v) = v {
                value["v"] = Value::from(v.as_str());
            }
            value
        })
    }

    pub(super) fn data(&self) -> &Value {
        &self.value()["data"]
    }
}
