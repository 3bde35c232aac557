//! How much of a topic is kept: `messages`, `bytes` and `age`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, LitInt, LitStr, Result};

use crate::topic::Keep;

/// What a topic says of its bounds. What it does not say is the server's default.
#[derive(Default)]
pub(crate) struct Retention {
    pub(crate) messages: Option<LitInt>,
    pub(crate) bytes: Option<LitInt>,
    pub(crate) age: Option<LitStr>,
}

impl Retention {
    /// The value as code, if it goes with how the topic is kept.
    pub(crate) fn expand(&self, keep: &Keep) -> Result<TokenStream> {
        let (counts, ages) = match keep {
            Keep::Log => (true, true),
            Keep::Latest | Keep::Text(_) => (false, true),
            Keep::Live => (false, false),
        };
        for (key, number) in [("messages", &self.messages), ("bytes", &self.bytes)] {
            if let (Some(number), false) = (number, counts) {
                let text = format!("`{key}` bounds a topic with `keep = \"log\"`; remove it");
                return Err(Error::new(number.span(), text));
            }
        }
        if let (Some(age), false) = (&self.age, ages) {
            let text = "`age` bounds what is stored, and a `live` topic is not; remove it";
            return Err(Error::new(age.span(), text));
        }
        let (messages, bytes) = (
            number(self.messages.as_ref())?,
            number(self.bytes.as_ref())?,
        );
        let age = self.age.as_ref().map(seconds).transpose()?;
        let age = option(age.map(|seconds| quote!(::core::time::Duration::from_secs(#seconds))));
        Ok(quote!(macros::Retention { messages: #messages, bytes: #bytes, age: #age }))
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn number(given: Option<&LitInt>) -> Result<TokenStream> {
    let Some(given) = given else {
        return Ok(option(None));
    };
    match given.base10_parse::<u64>() {
        Ok(number) if number > 0 => Ok(option(Some(quote!(#number)))),
        Ok(_) | Err(_) => Err(Error::new(
            given.span(),
            format!("`{given}` is no bound; give a number from 1 on"),
        )),
    }
}

fn seconds(age: &LitStr) -> Result<u64> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];
    let text = age.value();
    let parse = || {
        let unit = text.chars().last()?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        let count: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
        count.checked_mul(seconds).filter(|seconds| *seconds > 0)
    };
    parse().ok_or_else(|| {
        Error::new(
            age.span(),
            format!(
                "`{}` is no age; write a number and a unit, e.g. `90s`, `30m`, `24h` or `7d`",
                crate::names::shown(&text)
            ),
        )
    })
}
