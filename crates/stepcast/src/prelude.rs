//! What most programs need: `use stepcast::prelude::*;`.

#[cfg(feature = "client")]
pub use crate::Client;
#[cfg(any(feature = "client", feature = "embedded"))]
pub use crate::Update;
#[cfg(feature = "embedded")]
pub use crate::{App, Ctx, Keys, Retry, Stepcast, function};
pub use crate::{Channel, Error, Event, ResultExt};
