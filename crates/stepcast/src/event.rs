//! What triggers functions.

use serde::{Serialize, de::DeserializeOwned};

/// An event's data, under one name. Derive it: see the [derive](derive@crate::Event).
///
/// On the wire the data is one JSON object.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use stepcast::Event;
///
/// #[derive(Serialize, Deserialize)]
/// struct Signup {
///     email: String,
/// }
///
/// // What `#[derive(Event)] #[event("app/signup")]` writes.
/// impl Event for Signup {
///     const NAME: &'static str = "app/signup";
/// }
///
/// fn name_of<E: Event>(_: &E) -> &'static str {
///     E::NAME
/// }
/// assert_eq!(name_of(&Signup { email: "a@b.c".into() }), "app/signup");
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What the event is called: 1 to 256 bytes, no control characters.
    const NAME: &'static str;
}

/// An event as the engine takes it, checked.
#[cfg(any(feature = "client", feature = "embedded"))]
pub(crate) fn checked<E: Event>(
    event: &E,
) -> Result<stepcast_protocol::event::CheckedEvent, crate::Error> {
    named(E::NAME, event)
}

/// An event of any name, checked.
#[cfg(any(feature = "client", feature = "embedded"))]
pub(crate) fn named(
    name: &str,
    data: &(impl Serialize + ?Sized),
) -> Result<stepcast_protocol::event::CheckedEvent, crate::Error> {
    use stepcast_protocol::{ErrorCode, EventInput};

    let data = serde_json::value::to_raw_value(data).map_err(|error| {
        let text = format!("data of event `{name}` cannot be written as JSON: {error}");
        crate::Error::coded(ErrorCode::BadEvent, text).terminal()
    })?;
    let input = EventInput {
        name: name.to_owned(),
        data: Some(data),
        ..EventInput::default()
    };
    input
        .check()
        .map_err(|error| crate::Error::coded(error.code(), error).terminal())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(crate::Event, Serialize, Deserialize)]
    #[event("app/generate")]
    struct Generate {
        job: String,
    }

    #[test]
    fn a_derived_event_has_its_name() {
        assert_eq!(Generate::NAME, "app/generate");
        let generate: Generate = serde_json::from_str(r#"{"job":"j1"}"#).unwrap();
        assert_eq!(generate.job, "j1");
    }
}
