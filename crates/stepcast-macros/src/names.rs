//! Rules for names of topics and events. They are those of `stepcast-protocol`, which is too much to build for the
//! compiler's own machine; a test holds the two together.

/// Bytes a name may have.
pub(crate) const NAME_BYTES: usize = 256;

const RESERVED_TOPICS: [&str; 5] = ["name", "topics", "then", "constructor", "__proto__"];

/// What is wrong with a name, as the rest of a sentence that starts with it; and how to mend it.
pub(crate) fn problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("is empty; give it 1 to {NAME_BYTES} bytes"));
    }
    if name.len() > NAME_BYTES {
        return Some(format!(
            "has {} bytes; shorten it to at most {NAME_BYTES}",
            name.len()
        ));
    }
    if name.chars().any(char::is_control) {
        return Some("contains a control character; remove it".to_owned());
    }
    None
}

/// What is wrong with a topic's name. Besides the engine's own names, those that a JavaScript object of topics cannot
/// have are refused.
pub(crate) fn topic_problem(name: &str) -> Option<String> {
    if name.starts_with('$') {
        return Some(
            "starts with `$`, as only the engine's own topics do; name it with `#[topic(name = \"..\")]`"
                .to_owned(),
        );
    }
    if RESERVED_TOPICS.contains(&name) {
        return Some(
            "is reserved for TypeScript clients; choose another with `#[topic(name = \"..\")]`"
                .to_owned(),
        );
    }
    problem(name)
}

/// A name as an error shows it: whole, or its start.
pub(crate) fn shown(name: &str) -> String {
    const SHOWN: usize = 32;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.escape_debug().to_string(),
    }
}

/// `HTTPStatus2` as `http_status2`.
pub(crate) fn snake_case(variant: &str) -> String {
    let chars: Vec<char> = variant.chars().collect();
    let mut name = String::with_capacity(variant.len() + 4);
    for (index, char) in chars.iter().enumerate() {
        let after_a_word = index > 0 && !chars[index - 1].is_uppercase() && chars[index - 1] != '_';
        let ends_an_acronym = index > 0
            && chars[index - 1].is_uppercase()
            && chars.get(index + 1).is_some_and(|next| next.is_lowercase());
        if char.is_uppercase() && (after_a_word || ends_an_acronym) {
            name.push('_');
        }
        name.extend(char.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use stepcast_protocol::{EventName, TopicName, limits};

    use super::*;

    #[test]
    fn words_are_parted_by_underscores() {
        for (variant, expected) in [
            ("Status", "status"),
            ("StepOutput", "step_output"),
            ("HTTPStatus", "http_status"),
            ("Part2", "part2"),
            ("X", "x"),
            ("Already_Parted", "already_parted"),
            ("Größe", "größe"),
        ] {
            assert_eq!(snake_case(variant), expected);
        }
    }

    #[test]
    fn the_protocol_has_the_same_rules() {
        assert_eq!(NAME_BYTES, limits::NAME_BYTES);
        let (most, more) = ("a".repeat(NAME_BYTES), "a".repeat(NAME_BYTES + 1));
        for name in ["a", "", "a\u{7}b", most.as_str(), more.as_str()] {
            assert_eq!(problem(name).is_none(), TopicName::parse(name).is_ok());
            assert_eq!(problem(name).is_none(), EventName::parse(name).is_ok());
        }
    }
}
