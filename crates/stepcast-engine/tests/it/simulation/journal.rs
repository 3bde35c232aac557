//! What happened, in order: told when something is wrong, and hashed to compare one simulation with another.

use std::{
    cell::RefCell,
    fmt::Arguments,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, Once},
};

#[derive(Default)]
struct State {
    hash: DefaultHasher,
    lines: Vec<String>,
    wrong: Option<String>,
}

/// The journal of one simulation. A cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<State>>);

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Journal {
    pub(crate) fn new() -> Self {
        static HOOK: Once = Once::new();
        // The runtime and the store catch panics of what they call; here none may go unseen.
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                PANIC.with_borrow_mut(|panic| {
                    panic.get_or_insert_with(|| info.to_string());
                });
                usual(info);
            }));
        });
        PANIC.take();
        Self::default()
    }

    pub(crate) fn note(&self, line: Arguments<'_>) {
        let line = line.to_string();
        let mut state = self.0.lock().unwrap();
        line.hash(&mut state.hash);
        state.lines.push(line);
    }

    /// Something that must be so. Where it is not, the simulation ends at its next step.
    pub(crate) fn check(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            let mut state = self.0.lock().unwrap();
            state.wrong.get_or_insert_with(otherwise);
        }
    }

    /// Ends the simulation where something was wrong.
    pub(crate) fn stop_if_wrong(&self) {
        let state = self.0.lock().unwrap();
        let panic = PANIC.take();
        if let Some(wrong) = state.wrong.as_ref().or(panic.as_ref()) {
            let text = format!("{wrong}\nafter\n{}", state.lines.join("\n"));
            drop(state);
            panic!("{text}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.0.lock().unwrap().hash.finish()
    }
}
