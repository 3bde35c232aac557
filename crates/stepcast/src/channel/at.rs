//! One channel by its name.

use std::{fmt, marker::PhantomData, sync::Arc};

use stepcast_protocol::{ChannelName, template::ParameterError};

use crate::error::Error;

/// One channel of type `C`: what the derived `at` gives. Cloning is cheap.
///
/// `at` never fails. Values that cannot stand in a name are kept as an error, which every use of the channel answers.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use stepcast::Channel;
///
/// #[derive(Channel, Serialize, Deserialize)]
/// #[channel("pipeline:{job}")]
/// enum Pipeline {
///     #[topic(unchecked)]
///     Done,
/// }
///
/// assert_eq!(Pipeline::at("j1").name().unwrap().as_str(), "pipeline:j1");
/// assert_eq!(
///     Pipeline::at("a:b").name().unwrap_err().to_string(),
///     "channel parameter `job` is \"a:b\"; it may not contain `:`",
/// );
/// ```
pub struct ChannelAt<C> {
    name: Result<ChannelName, Arc<ParameterError>>,
    messages: PhantomData<fn() -> C>,
}

impl<C> ChannelAt<C> {
    pub(crate) fn new(name: Result<ChannelName, ParameterError>) -> Self {
        Self {
            name: name.map_err(Arc::new),
            messages: PhantomData,
        }
    }

    /// The channel's name.
    ///
    /// # Errors
    /// `bad_channel` names the parameter, its value and the rule. A wrong name stays wrong, so the error is terminal.
    pub fn name(&self) -> Result<&ChannelName, Error> {
        self.name
            .as_ref()
            .map_err(|error| Error::coded(error.code(), error).terminal())
    }
}

impl<C> Clone for ChannelAt<C> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            messages: PhantomData,
        }
    }
}

impl<C> fmt::Debug for ChannelAt<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelAt").field(&self.name).finish()
    }
}
