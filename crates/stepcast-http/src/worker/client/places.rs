//! Places for errands: how many are under way at once, of one function and of all.
//!
//! A function that asks those who never answer fills its own places, and leaves others theirs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stepcast_protocol::FunctionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Dropping it gives the place back.
pub(super) type Place = OwnedSemaphorePermit;

/// Places of functions, and those of all of them together.
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_function: usize,
    /// Those of functions that have errands.
    functions: Mutex<BTreeMap<FunctionId, Weak<Semaphore>>>,
}

impl Places {
    pub(super) fn new(all: usize, per_function: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            per_function,
            functions: Mutex::default(),
        }
    }

    /// One of a function's own places, in the order of those who ask.
    pub(super) async fn of_function(&self, function: &FunctionId) -> Place {
        let places = self.places_of(function);
        let place = places.acquire_owned().await;
        place.expect("nobody closes it")
    }

    /// One of the places of all functions. Has to be asked for with one of the function's own, so that a function never has more before others
    /// here than it may have under way.
    pub(super) async fn of_all(&self, _own: &Place) -> Place {
        let place = Arc::clone(&self.all).acquire_owned().await;
        place.expect("nobody closes it")
    }

    fn places_of(&self, function: &FunctionId) -> Arc<Semaphore> {
        let mut functions = self.functions.lock();
        if let Some(places) = functions.get(function).and_then(Weak::upgrade) {
            return places;
        }
        // Who has a place or waits for one keeps the places.
        functions.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.per_function));
        functions.insert(function.clone(), Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn function(name: &str) -> FunctionId {
        FunctionId::parse(name).unwrap()
    }

    #[test]
    fn no_function_takes_the_places_of_all() {
        let places = Places::new(3, 2);
        let (a, b) = (function("a"), function("b"));
        let take = |function: &FunctionId| {
            let own = places.of_function(function).now_or_never()?;
            let of_all = places.of_all(&own).now_or_never()?;
            Some((own, of_all))
        };
        let first = take(&a).unwrap();
        let _second = take(&a).unwrap();
        assert!(take(&a).is_none(), "it has both of its own");
        let _third = take(&b).unwrap();
        assert!(take(&b).is_none(), "all three are taken");
        drop(first);
        assert!(take(&b).is_some(), "one is given back");
    }

    #[test]
    fn functions_without_errands_are_forgotten() {
        let places = Places::new(3, 2);
        let place = places.of_function(&function("a")).now_or_never().unwrap();
        drop(places.of_function(&function("b")).now_or_never().unwrap());
        drop(places.of_function(&function("c")).now_or_never().unwrap());
        let known: Vec<_> = places.functions.lock().keys().cloned().collect();
        assert_eq!(known, [function("a"), function("c")]);
        drop(place);
    }
}
