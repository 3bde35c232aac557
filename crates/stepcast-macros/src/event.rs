//! `#[derive(Event)]`: one constant.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, DeriveInput, Error, LitStr, Result};

use crate::{channel, names};

/// The code of `#[derive(Event)]`, or what to change.
pub(crate) fn derive(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let name = name(&input)?;
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            format!("`{ident}` is generic and an event's data has one shape; name the types"),
        ));
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::stepcast::Event for #ident {
            const NAME: &'static str = #name;
        }
    })
}

fn name(input: &DeriveInput) -> Result<LitStr> {
    let is_event = |attribute: &&Attribute| attribute.path().is_ident("event");
    let mut attributes = input.attrs.iter().filter(is_event);
    let Some(attribute) = attributes.next() else {
        return Err(Error::new_spanned(
            &input.ident,
            format!(
                "`{}` has no name; add `#[event(\"app/name\")]`",
                input.ident
            ),
        ));
    };
    if let Some(second) = attributes.next() {
        return Err(Error::new_spanned(
            second.path(),
            "`#[event(..)]` stands twice; remove one",
        ));
    }
    let name = channel::literal(
        attribute,
        "`#[event(..)]` takes one string; write `#[event(\"app/name\")]`",
    )?;
    match problem(&name.value()) {
        Some(problem) => Err(Error::new_spanned(
            &name,
            format!("event name `{}` {problem}", names::shown(&name.value())),
        )),
        None => Ok(name),
    }
}

fn problem(name: &str) -> Option<String> {
    if name.starts_with("inngest/") {
        return Some(
            "starts with `inngest/`, as only the engine's own events do; use another prefix"
                .to_owned(),
        );
    }
    names::problem(name)
}
