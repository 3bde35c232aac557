//! What serde's attributes, and schemars' of the same names, may not change on a channel.
//!
//! The topic takes the place of serde's tag, and the schema is found by the variant's name, so both must stay what they
//! are. Attributes of fields count as usual, apart from those of a text field.

use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, Result, Token, punctuated::Punctuated};

/// Refuses what changes how variants are told apart or what they are called.
pub(crate) fn check_enum(attributes: &[Attribute]) -> Result<()> {
    for (by, meta) in metas(attributes) {
        let key = key(&meta);
        let problem = match key.as_str() {
            "tag" | "content" | "untagged" => {
                "parts variants in another way than by topic; remove it"
            }
            "rename" | "rename_all" => {
                "would name variants unlike their topics; remove it and use `#[topic(name = \"..\")]`"
            }
            "rename_all_fields" => FIELDS_RENAMED,
            "from" | "try_from" | "into" | "remote" => {
                "puts another type on the wire; remove it and derive `Channel` for that type"
            }
            _ => continue,
        };
        return Err(refusal(by, &meta, problem));
    }
    Ok(())
}

/// Refuses what gives a variant another name or hides it.
pub(crate) fn check_variant(attributes: &[Attribute]) -> Result<()> {
    for (by, meta) in metas(attributes) {
        let problem = match key(&meta).as_str() {
            "rename" => {
                "would name the variant unlike its topic; use `#[topic(name = \"..\")]` instead"
            }
            "rename_all" => FIELDS_RENAMED,
            "untagged" => "parts variants in another way than by topic; remove it",
            "with" | "serialize_with" | "deserialize_with" if by == "serde" => {
                "hides what the payload looks like; put it on a field"
            }
            "skip" | "skip_serializing" | "skip_deserializing" | "other" => {
                "makes a topic that cannot be published and read; remove it or the variant"
            }
            _ => continue,
        };
        return Err(refusal(by, &meta, problem));
    }
    Ok(())
}

/// Refuses what keeps a text field from being a string of every message, and gives its name on the wire.
pub(crate) fn text_field_name(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut name = None;
    for (by, meta) in metas(attributes) {
        match key(&meta).as_str() {
            "skip"
            | "skip_serializing"
            | "skip_serializing_if"
            | "serialize_with"
            | "with"
            | "flatten" => {
                let problem = "would keep the text from the topic's messages; remove it or choose another field";
                return Err(refusal(by, &meta, problem));
            }
            "rename" if by == "serde" => name = serialized_name(&meta),
            _ => {}
        }
    }
    Ok(name)
}

/// Refuses an `Option` that is left out when it is `None` and then cannot be read: serde asks for `default` where a
/// function reads the field.
pub(crate) fn check_optional_field(attributes: &[Attribute]) -> Result<()> {
    let metas = || metas(attributes).filter(|(by, _)| *by == "serde");
    let has_default = metas().any(|(_, meta)| key(&meta) == "default");
    let reader =
        metas().find(|(_, meta)| matches!(key(meta).as_str(), "with" | "deserialize_with"));
    match reader {
        Some((by, meta)) if !has_default => Err(refusal(
            by,
            &meta,
            "cannot read the field when it is `None` and left out; add `default` beside it",
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether a function of the user's writes the field.
pub(crate) fn has_writer(attributes: &[Attribute]) -> bool {
    metas(attributes)
        .any(|(by, meta)| by == "serde" && matches!(key(&meta).as_str(), "with" | "serialize_with"))
}

const FIELDS_RENAMED: &str =
    "hides what fields are called; remove it and put `#[serde(rename = \"..\")]` on each field";

fn refusal(by: &str, meta: &Meta, problem: &str) -> Error {
    Error::new_spanned(meta.path(), format!("`#[{by}({})]` {problem}", key(meta)))
}

/// What stands inside `#[serde(..)]` and `#[schemars(..)]`. What cannot be read is left to them to report.
fn metas(attributes: &[Attribute]) -> impl Iterator<Item = (&'static str, Meta)> {
    let list = Punctuated::<Meta, Token![,]>::parse_terminated;
    ["serde", "schemars"].into_iter().flat_map(move |by| {
        attributes
            .iter()
            .filter(move |attribute| attribute.path().is_ident(by))
            .filter_map(move |attribute| attribute.parse_args_with(list).ok())
            .flatten()
            .map(move |meta| (by, meta))
    })
}

fn key(meta: &Meta) -> String {
    meta.path()
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The name in `rename = ".."` or `rename(serialize = "..")`.
fn serialized_name(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(name),
                ..
            }) => Some(name.value()),
            _ => None,
        },
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .ok()?
            .iter()
            .find(|meta| key(meta) == "serialize")
            .and_then(serialized_name),
        Meta::Path(_) => None,
    }
}
