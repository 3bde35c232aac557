//! What the SDK's execution needs of the SDK beside itself, as small as it can be.

pub(crate) mod error {
    use stepcast_engine::EngineError;
    use stepcast_protocol::{ErrorCode, RunError};

    /// Why a step or a function failed.
    #[derive(Debug, Clone)]
    pub(crate) struct Error {
        error: RunError,
        terminal: bool,
    }

    impl Error {
        pub(crate) fn coded(code: ErrorCode, message: impl std::fmt::Display) -> Self {
            Self::recorded(RunError::new(code, message.to_string()))
        }

        pub(crate) fn recorded(error: RunError) -> Self {
            Self {
                error,
                terminal: false,
            }
        }

        pub(crate) fn engine(error: EngineError) -> Self {
            Self::coded(error.code(), error)
        }

        pub(crate) fn terminal(self) -> Self {
            Self {
                terminal: true,
                ..self
            }
        }

        pub(crate) fn is_terminal(&self) -> bool {
            self.terminal
        }

        pub(crate) fn into_run_error(self) -> RunError {
            self.error
        }
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.error.message)
        }
    }
}

pub(crate) mod channels {
    use bytes::Bytes;
    use stepcast_protocol::{Keep, TopicName};

    /// The channels of a simulation need no types.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Channels;

    /// A message as the engine takes it.
    pub(crate) struct Encoded {
        pub(crate) topic: TopicName,
        pub(crate) payload: Bytes,
        pub(crate) keep: Keep,
    }
}
