//! `#[derive(Channel)]` and `#[derive(Event)]`; use them through the crate `stepcast`, which documents them.
//!
//! Both leave the user's item as it is and add few lines that call `stepcast::__macro`. Read in this order:
//!
//! - `channel`: an enum and its attributes, checked, as a `channel::Channel`.
//! - `topic`: one variant of it; `retention`: how much of it is kept; `template`: the channel's name; `serde_attributes`: what serde may not change.
//! - `doc`: what is said about both, for code generators.
//! - `expand`: the code for a channel.
//! - `event`: the other derive, which is one line.
//! - `names`: rules that topics and events share.
//!
//! Each misuse is an error of one sentence at the place to change, and has a case in `tests/ui`.

mod channel;
mod doc;
mod event;
mod expand;
mod names;
mod retention;
mod serde_attributes;
mod template;
#[cfg(test)]
mod tests;
mod topic;

use proc_macro::TokenStream;

/// Implements `stepcast::Channel` for an enum whose variants are the channel's topics. See `stepcast::Channel`.
#[proc_macro_derive(Channel, attributes(channel, topic))]
pub fn derive_channel(input: TokenStream) -> TokenStream {
    answer(channel::derive(input.into()))
}

/// Implements `stepcast::Event` for an event's data. See `stepcast::Event`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    answer(event::derive(input.into()))
}

fn answer(code: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    code.unwrap_or_else(syn::Error::into_compile_error).into()
}
