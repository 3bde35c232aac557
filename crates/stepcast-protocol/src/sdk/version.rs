//! Versions of the protocol of calls.

use serde::{Serialize, Serializer};

/// How an SDK runs a function and what it expects of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtocolVersion {
    /// The SDK chooses, on a run's first call.
    #[default]
    Chosen,
    /// After every step of a parallel group the function is called again.
    One,
    /// After the last step of a parallel group the function is called again.
    Two,
}

impl ProtocolVersion {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Chosen => -1,
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The version that an answer names; nothing when it is none that we know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "1" => Some(Self::One),
            "2" => Some(Self::Two),
            _ => None,
        }
    }
}

impl Serialize for ProtocolVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i8(self.number())
    }
}
