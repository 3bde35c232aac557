//! Programs that show Stepcast at work; each is a folder beside this one.

/// The README's tour, which has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
