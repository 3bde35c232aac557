//! Payloads of channels that have no type here.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Error, value::RawValue};
use stepcast_protocol::TopicName;

use super::{PayloadError, finite::FiniteValue};

/// Any value as a payload, without NaN and infinity.
pub(crate) fn encode(value: &(impl Serialize + ?Sized)) -> Result<Bytes, Error> {
    serde_json::to_vec(&FiniteValue(value)).map(Bytes::from)
}

/// A payload as it was written.
pub(crate) fn decode(topic: &TopicName, payload: &[u8]) -> Result<Box<RawValue>, PayloadError> {
    serde_json::from_slice(payload).map_err(|cause| PayloadError::Decode {
        topic: topic.clone(),
        cause,
    })
}
