//! What becomes of what ends a run from outside: the times by which it has to have begun and ended, the events that cancel it.

use super::Next;
use crate::{
    runs::command::Effect,
    store::{Guards, Timer, Write},
};

impl Next {
    /// The run begins for the first time.
    pub(super) fn on_first_lease(&mut self) {
        self.clear_start();
        if let Some(timer) = self.end_timer() {
            self.set_timer(timer);
        }
    }

    /// The run has ended: nothing can end it any more.
    pub(super) fn drop_guards(&mut self) {
        let row = &self.state.row;
        for (n, event) in row.guards.cancel_on.clone().into_iter().enumerate() {
            let id = Guards::cancel_id(n);
            self.writes
                .push(Write::ClearEventWait(self.state.row.id, id.clone()));
            self.effects
                .push(Effect::EndEventWait(id, event.to_string()));
        }
        match self.end_timer() {
            Some(timer) => self.clear_timer(timer),
            None => self.clear_start(),
        }
    }

    fn clear_start(&mut self) {
        let row = &self.state.row;
        if let Some(within) = row.guards.starts_within {
            self.clear_timer(Timer {
                at: row.created_at + within,
                run: row.id,
                step: Some(Guards::start_id()),
            });
        }
    }

    /// The timer of a run that has begun and has to end in time.
    fn end_timer(&self) -> Option<Timer> {
        let row = &self.state.row;
        Some(Timer {
            at: row.started_at? + row.guards.ends_within?,
            run: row.id,
            step: Some(Guards::end_id()),
        })
    }
}
