//! Topics of a channel's type, by name.

use stepcast_protocol::{ChannelSpec, ErrorCode, TopicName};

use crate::error::Error;

/// All topics of a channel type.
pub(super) fn all(spec: &ChannelSpec) -> Vec<TopicName> {
    spec.topics.iter().map(|topic| topic.name.clone()).collect()
}

/// The named topics of those declared.
pub(super) fn chosen<T: AsRef<str>>(
    declared: &[TopicName],
    topics: impl IntoIterator<Item = T>,
) -> Result<Vec<TopicName>, Error> {
    let find = |topic: T| {
        let topic = topic.as_ref();
        declared
            .iter()
            .find(|name| name.as_str() == topic)
            .cloned()
            .ok_or_else(|| {
                let text = format!(
                    "the channel declares no topic `{topic}`; it has {}",
                    list(declared)
                );
                Error::coded(ErrorCode::BadTopic, text)
            })
    };
    topics.into_iter().map(find).collect()
}

fn list(topics: &[TopicName]) -> String {
    let names: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
    names.join(", ")
}
