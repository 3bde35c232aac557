//! What most programs need: `use stepcast::prelude::*;`.

pub use schemars::JsonSchema;

pub use crate::{
    App, Channel, Ctx, Error, Event, Keys, ResultExt, Retry, Stepcast, Update, function,
};
