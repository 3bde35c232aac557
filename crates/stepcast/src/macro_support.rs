//! What derived code calls. It is not public: it changes with the derives.

use std::fmt::Display;

pub use stepcast_protocol::{ChannelSpec, Retention, TopicName, TopicSpec};

use crate::channel::{Channel, ChannelAt, PayloadError};
pub use crate::channel::{
    declaration::{Declaration, Keep, Topic},
    schema::{Schemas, schemas},
};

/// What `Channel::encode` gives.
pub type Encoded = Result<bytes::Bytes, PayloadError>;
/// What `Channel::decode` gives.
pub type Decoded<C> = Result<C, PayloadError>;

/// The channel of type `C` for these values, in the template's order.
#[must_use]
pub fn at<C: Channel>(values: &[String]) -> ChannelAt<C> {
    ChannelAt::new(C::spec().template.render(values))
}

/// A parameter's value as text.
pub fn text(value: &impl Display) -> String {
    value.to_string()
}
