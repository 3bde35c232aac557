//! Why nothing can be written.

use stepcast_protocol::template::TemplateError;

/// What has no place in TypeScript, where it is, and what to do.
#[derive(Debug, thiserror::Error)]
pub(in crate::generate) enum Problem {
    #[error(
        "{place} is a `std::time::Duration`, which serde writes as seconds and nanoseconds; say what it is on the wire, e.g. with \
         `#[serde_as(as = \"serde_with::DurationMilliSeconds<u64>\")]`"
    )]
    Duration { place: String },
    #[error(
        "{place} is a whole number of 128 bits, which JavaScript cannot hold; write it as text, with \
         `#[serde_as(as = \"serde_with::DisplayFromStr\")]`"
    )]
    Wide { place: String },
    #[error(
        "{place} has fields of its own and a flattened map, which TypeScript cannot tell apart; give the map a field"
    )]
    FlattenedMap { place: String },
    #[error("{place} cannot be a type: {what}")]
    NoType { place: String, what: String },
    #[error(
        "`{name}` would be both `{one}` and `{other}`; give one of them another name, e.g. with `#[schemars(rename = \"..\")]`"
    )]
    Clash {
        name: String,
        one: String,
        other: String,
    },
    #[error(
        "`{path}` would be called `{name}`, which means something else in generated code; give it another name, e.g. with \
         `#[schemars(rename = \"..\")]`"
    )]
    ReservedName { name: String, path: String },
    #[error(
        "`{path}` would be called `{name}`, which is no name of ASCII letters and digits that begins with a letter; rename it, or, where it is \
         the type of a payload, give it another name with `#[schemars(rename = \"..\")]`"
    )]
    NoIdentifier { name: String, path: String },
    #[error(
        "topic `{topic}` of channel `{channel}` has a reserved name, as a channel's own properties stand beside its topics; name it with \
         `#[topic(name = \"..\")]`"
    )]
    ReservedTopic { topic: String, channel: String },
    #[error(
        "parameters `{one}` and `{other}` of channel `{channel}` would both be `{name}`; rename one of them"
    )]
    Parameters {
        channel: String,
        one: String,
        other: String,
        name: String,
    },
    #[error(transparent)]
    Template(#[from] TemplateError),
}
