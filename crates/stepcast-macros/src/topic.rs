//! One variant of a channel: its topic's name and how it is kept.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Error, Field, Fields, GenericArgument, Ident, LitInt, LitStr, PathArguments, Result,
    Token, Type, Variant, ext::IdentExt, meta::ParseNestedMeta, parse::ParseBuffer,
    spanned::Spanned,
};

use crate::{doc, names, retention::Retention, serde_attributes};

/// A topic as it was declared, without contradictions.
pub(crate) struct Topic {
    pub(crate) variant: Ident,
    pub(crate) name: LitStr,
    pub(crate) keep: Keep,
    /// How much of it is kept, as code.
    pub(crate) retention: TokenStream,
    pub(crate) is_unchecked: bool,
    /// Whether fields that are `None` are left out.
    pub(crate) omits_none: bool,
    pub(crate) doc: String,
}

pub(crate) enum Keep {
    Live,
    Latest,
    /// The field as it is called on the wire.
    Text(String),
    Log,
}

impl Topic {
    pub(crate) fn read(variant: &Variant) -> Result<Self> {
        check_places(variant)?;
        serde_attributes::check_variant(&variant.attrs)?;
        let options = Options::read(&variant.attrs)?;
        let keep = options.keep(&variant.fields)?;
        let retention = options.retention.expand(&keep)?;
        let has_names = matches!(variant.fields, Fields::Named(_));
        if let (Some(null), false) = (&options.null, has_names) {
            return Err(Error::new_spanned(
                null,
                format!(
                    "`null` keeps named fields that are `None`, and `{}` has none; remove it",
                    variant.ident
                ),
            ));
        }
        let omits_none = has_names && options.null.is_none();
        variant
            .fields
            .iter()
            .try_for_each(|field| check_double_option(field, omits_none))?;
        if omits_none {
            variant.fields.iter().try_for_each(check_field)?;
        }
        Ok(Self {
            variant: variant.ident.clone(),
            name: name(options.name, &variant.ident)?,
            keep,
            retention,
            is_unchecked: options.unchecked.is_some(),
            omits_none,
            doc: doc::text(&variant.attrs),
        })
    }
}

fn name(given: Option<LitStr>, variant: &Ident) -> Result<LitStr> {
    let name = given.unwrap_or_else(|| {
        let name = names::snake_case(&variant.unraw().to_string());
        LitStr::new(&name, variant.span())
    });
    match names::topic_problem(&name.value()) {
        Some(problem) => Err(Error::new(
            name.span(),
            format!("topic name `{}` {problem}", names::shown(&name.value())),
        )),
        None => Ok(name),
    }
}

fn check_places(variant: &Variant) -> Result<()> {
    let of_fields = variant.fields.iter().flat_map(|field| &field.attrs);
    for attribute in of_fields {
        if attribute.path().is_ident("topic") {
            return Err(Error::new_spanned(
                attribute.path(),
                "`#[topic(..)]` says nothing about a field; put it on the variant",
            ));
        }
    }
    Ok(())
}

/// JSON shows two of the three values of an `Option` of an `Option`, unless something that is not ours writes it.
fn check_double_option(field: &Field, omits_none: bool) -> Result<()> {
    let is_double = ends_with(&field.ty, "Option")
        && argument(&field.ty).is_some_and(|inner| ends_with(inner, "Option"));
    if !is_double || (!omits_none && serde_attributes::has_writer(&field.attrs)) {
        return Ok(());
    }
    Err(Error::new_spanned(
        &field.ty,
        "an `Option` of an `Option` has three values, of which JSON shows two; put `#[topic(null)]` on the variant, and \
         `#[serde(default, skip_serializing_if = \"Option::is_none\", with = \"serde_with::rust::double_option\")]` on the field",
    ))
}

/// The type in `Option<..>`.
fn argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else {
        return None;
    };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn check_field(field: &Field) -> Result<()> {
    if ends_with(&field.ty, "Option") {
        return serde_attributes::check_optional_field(&field.attrs);
    }
    Ok(())
}

/// What `#[topic(..)]` can hold.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    keep: Option<LitStr>,
    text: Option<LitStr>,
    retention: Retention,
    unchecked: Option<Ident>,
    null: Option<Ident>,
}

impl Options {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("channel") {
                return Err(Error::new_spanned(
                    attribute.path(),
                    "`#[channel(..)]` names the whole channel; put it on the enum",
                ));
            }
            if attribute.path().is_ident("topic") {
                attribute.parse_nested_meta(|meta| options.take(&meta))?;
            }
        }
        Ok(options)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Self {
            name,
            keep,
            text,
            retention,
            unchecked,
            null,
        } = self;
        match key(meta).as_deref() {
            Some("name") => once(name, meta, text_value(meta)?),
            Some("keep") => once(keep, meta, text_value(meta)?),
            Some("text") => once(text, meta, text_value(meta)?),
            Some("messages") => once(&mut retention.messages, meta, number_value(meta)?),
            Some("bytes") => once(&mut retention.bytes, meta, number_value(meta)?),
            Some("age") => once(&mut retention.age, meta, text_value(meta)?),
            Some("unchecked") => once(unchecked, meta, flag(meta)?),
            Some("null") => once(null, meta, flag(meta)?),
            _ => Err(wrong_key(
                meta,
                "is unknown; use `name`, `keep`, `text`, `messages`, `bytes`, `age`, `unchecked` or `null`",
            )),
        }
    }

    fn keep(&self, fields: &Fields) -> Result<Keep> {
        let is_text = self
            .keep
            .as_ref()
            .is_some_and(|keep| keep.value() == "text");
        if let (Some(field), false) = (&self.text, is_text) {
            return Err(Error::new_spanned(
                field,
                "`text` names the field that `keep = \"text\"` joins; add that or remove this",
            ));
        }
        let Some(keep) = &self.keep else {
            return Ok(Keep::Log);
        };
        match (keep.value().as_str(), &self.text) {
            ("live", _) => Ok(Keep::Live),
            ("latest", _) => Ok(Keep::Latest),
            ("log", _) => Ok(Keep::Log),
            ("text", Some(field)) => text_field(field, fields).map(Keep::Text),
            ("text", None) => Err(Error::new_spanned(
                keep,
                "`keep = \"text\"` joins a field; name it with `text = \"..\"`",
            )),
            (other, _) => Err(Error::new_spanned(
                keep,
                format!(
                    "`keep = \"{}\"` is unknown; use `live`, `latest`, `text` or `log`",
                    names::shown(other)
                ),
            )),
        }
    }
}

fn once<T>(place: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    match place.replace(value) {
        Some(_) => Err(wrong_key(meta, "stands twice; remove one")),
        None => Ok(()),
    }
}

fn text_value(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()
        .and_then(ParseBuffer::parse)
        .map_err(|_| wrong_key(meta, "takes a string; write `= \"..\"` after it"))
}

fn number_value(meta: &ParseNestedMeta<'_>) -> Result<LitInt> {
    meta.value()
        .and_then(ParseBuffer::parse)
        .map_err(|_| wrong_key(meta, "takes a number; write `= 100` after it"))
}

/// The key itself, so that an error can point at it.
fn flag(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return meta.path.require_ident().cloned();
    }
    Err(wrong_key(meta, "takes no value; write the word alone"))
}

fn wrong_key(meta: &ParseNestedMeta<'_>, problem: &str) -> Error {
    let key = key(meta).unwrap_or_else(|| "a path".to_owned());
    Error::new_spanned(&meta.path, format!("`{key}` {problem}"))
}

fn key(meta: &ParseNestedMeta<'_>) -> Option<String> {
    meta.path.get_ident().map(ToString::to_string)
}

/// What the field is called on the wire, if its text can be joined.
fn text_field(name: &LitStr, fields: &Fields) -> Result<String> {
    let wrong = |message: String| Err(Error::new(name.span(), message));
    let text = name.value();
    let Fields::Named(named) = fields else {
        return wrong(format!(
            "`text = \"{text}\"` names a field, and this variant's have no names; write `{{ {text}: String }}`"
        ));
    };
    let field = named.named.iter().find(|field| {
        let ident = field.ident.as_ref();
        ident.is_some_and(|ident| ident.unraw() == text)
    });
    let Some(field) = field else {
        return wrong(format!(
            "there is no field `{text}`; name the `String` whose text is joined"
        ));
    };
    if !ends_with(&field.ty, "String") {
        return Err(Error::new(
            field.ty.span(),
            format!("field `{text}` is joined as text; make it a `String`"),
        ));
    }
    let renamed = serde_attributes::text_field_name(&field.attrs)?;
    Ok(renamed.unwrap_or(text))
}

/// Whether a type's path ends so: a macro sees names only, so an alias of the type is not known.
fn ends_with(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == name),
        _ => false,
    }
}
