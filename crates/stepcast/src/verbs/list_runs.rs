//! Listing runs.

use std::{future::IntoFuture, sync::Arc};

use stepcast_protocol::{ErrorCode, RunId, RunView, limits};

use super::{Answer, Backend, RunsPage};
use crate::error::Error;

/// Runs about to be listed, newest first. Await it.
#[derive(Debug)]
#[must_use = "nothing is asked for until this is awaited"]
pub struct ListRuns {
    backend: Arc<dyn Backend>,
    page: RunsPage,
}

impl ListRuns {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        let page = RunsPage {
            before: None,
            limit: limits::RUNS_ON_PAGE,
        };
        Self { backend, page }
    }

    /// Only runs that are older than this one: the last of a page gives the next page.
    pub fn before(mut self, run: RunId) -> Self {
        self.page.before = Some(run);
        self
    }

    /// How many at most, 1 to 100 (20).
    pub fn limit(mut self, limit: usize) -> Self {
        self.page.limit = limit;
        self
    }
}

impl IntoFuture for ListRuns {
    type Output = Result<Vec<RunView>, Error>;
    type IntoFuture = Answer<Vec<RunView>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { backend, page } = self;
        if !(1..=limits::RUNS_ON_PAGE_MAX).contains(&page.limit) {
            let text = format!(
                "limit is {}, 1 to {} are allowed; ask for the next page with `before`",
                page.limit,
                limits::RUNS_ON_PAGE_MAX
            );
            let error = Error::coded(ErrorCode::BadRequest, text);
            return Box::pin(std::future::ready(Err(error)));
        }
        backend.runs(page)
    }
}
