//! Why a configuration is refused.

use crate::{limits, names::NameError, sdk::until::UntilError};

/// A configuration that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not an app at all.
    #[error("the app's configuration is not a JSON object with a list of `functions`: {0}")]
    NotAnApp(#[source] serde_json::Error),
    /// The app's id.
    #[error(transparent)]
    App(NameError),
    /// Too many functions.
    #[error(
        "the app has {count} functions, at most {} are allowed; split it into several apps",
        limits::FUNCTIONS_PER_APP
    )]
    TooManyFunctions {
        /// How many.
        count: usize,
    },
    /// Two functions of one id.
    #[error("two functions have the id `{function}`; give each its own")]
    Duplicate {
        /// The id.
        function: String,
    },
    /// A function without an id that can be one.
    #[error("function {number} of the app: {source}")]
    Id {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        source: NameError,
    },
    /// An option that must be there.
    #[error("function `{function}` has no `{option}`; give it {expected}")]
    Missing {
        /// The function.
        function: String,
        /// The option.
        option: String,
        /// What would be right.
        expected: &'static str,
    },
    /// An option with a value that cannot be.
    #[error("`{option}` of function `{function}` is `{value}`; give it {expected}")]
    Value {
        /// The function.
        function: String,
        /// The option.
        option: String,
        /// The value's first characters.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A name that cannot be.
    #[error("`{option}` of function `{function}`: {source}")]
    Name {
        /// The function.
        function: String,
        /// The option.
        option: String,
        /// What is wrong.
        source: NameError,
    },
    /// A duration or time that cannot be.
    #[error("`{option}` of function `{function}`: {source}")]
    Until {
        /// The function.
        function: String,
        /// The option.
        option: String,
        /// What is wrong.
        source: UntilError,
    },
    /// A list that is too long.
    #[error("function `{function}` has {count} `{option}`, at most {limit} are allowed")]
    TooMany {
        /// The function.
        function: String,
        /// The option.
        option: String,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
}
