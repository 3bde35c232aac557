//! Which apps are taken in, wherever they come from.

use std::sync::Arc;

use super::{
    conversion::Policy,
    directory::{App, AppFunction},
    error::SyncError,
    registration::Registration,
};
use crate::worker::client::AppClient;

/// What apps are measured by.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) client: AppClient,
    pub(super) policy: Policy,
}

impl Admission {
    /// The app, if it can be taken in. What it asks for and does not get is said in the log.
    ///
    /// # Errors
    /// [`SyncError`] names function, option and value.
    pub(super) fn admit(&self, registration: &Registration) -> Result<Arc<App>, SyncError> {
        let app = Arc::new(App::new(registration, &self.policy)?);
        self.check_elsewhere(&app)?;
        for function in &app.functions {
            for option in &function.ignored {
                tracing::warn!(function = %function.id, option, "the function asks for what is not done here; it runs without");
            }
        }
        Ok(app)
    }

    fn check_elsewhere(&self, app: &App) -> Result<(), SyncError> {
        let is_here =
            |function: &&Arc<AppFunction>| self.client.is_itself(function.served.url.as_str());
        match app.functions.iter().find(is_here) {
            None => Ok(()),
            Some(function) => Err(SyncError::Itself {
                function: function.id.clone(),
                url: function.served.url.to_string(),
            }),
        }
    }
}
