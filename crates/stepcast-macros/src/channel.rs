//! Reads the enum of `#[derive(Channel)]` and refuses what cannot be a channel.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Ident, LitStr, Result, Visibility};

use crate::{doc, expand, serde_attributes, template::Template, topic::Topic};

/// A channel as it was declared, without contradictions.
pub(crate) struct Channel {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) template: Template,
    pub(crate) doc: String,
    pub(crate) topics: Vec<Topic>,
}

/// The code of `#[derive(Channel)]`, or what to change.
pub(crate) fn derive(input: TokenStream) -> Result<TokenStream> {
    let channel = Channel::read(syn::parse2(input)?)?;
    Ok(expand::channel(&channel))
}

impl Channel {
    fn read(input: DeriveInput) -> Result<Self> {
        let variants = variants(&input)?;
        let template = Template::read(&template_text(&input)?)?;
        if !input.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &input.generics,
                format!(
                    "`{}` is generic and a channel's messages have one shape; name the types",
                    input.ident
                ),
            ));
        }
        serde_attributes::check_enum(&input.attrs)?;
        if variants.variants.is_empty() {
            return Err(Error::new_spanned(
                &input.ident,
                format!("`{}` has no variants; add one per topic", input.ident),
            ));
        }
        let topics = variants.variants.iter().map(Topic::read);
        let topics = topics.collect::<Result<Vec<_>>>()?;
        check_distinct(&topics)?;
        Ok(Self {
            ident: input.ident,
            vis: input.vis,
            template,
            doc: doc::text(&input.attrs),
            topics,
        })
    }
}

fn variants(input: &DeriveInput) -> Result<&DataEnum> {
    let kind = match &input.data {
        Data::Enum(variants) => return Ok(variants),
        Data::Struct(_) => "a struct",
        Data::Union(_) => "a union",
    };
    Err(Error::new_spanned(
        &input.ident,
        format!(
            "`{}` is {kind}; make it an enum with one variant per topic",
            input.ident
        ),
    ))
}

fn template_text(input: &DeriveInput) -> Result<LitStr> {
    let mut template = None;
    for attribute in &input.attrs {
        if attribute.path().is_ident("topic") {
            return Err(Error::new_spanned(
                attribute.path(),
                "`#[topic(..)]` says how one topic is kept; put it on a variant",
            ));
        }
        if attribute.path().is_ident("channel") && template.replace(attribute).is_some() {
            return Err(Error::new_spanned(
                attribute.path(),
                "`#[channel(..)]` stands twice; remove one",
            ));
        }
    }
    let Some(template) = template else {
        return Err(Error::new_spanned(
            &input.ident,
            format!(
                "`{}` has no name; add `#[channel(\"name:{{parameter}}\")]`",
                input.ident
            ),
        ));
    };
    literal(
        template,
        "`#[channel(..)]` takes one string; write `#[channel(\"name:{parameter}\")]`",
    )
}

/// The one string of `#[attribute("..")]`.
pub(crate) fn literal(attribute: &Attribute, otherwise: &str) -> Result<LitStr> {
    attribute
        .parse_args()
        .map_err(|_| Error::new_spanned(attribute.path(), otherwise))
}

fn check_distinct(topics: &[Topic]) -> Result<()> {
    for (index, topic) in topics.iter().enumerate() {
        let name = topic.name.value();
        if let Some(first) = topics[..index]
            .iter()
            .find(|first| first.name.value() == name)
        {
            let span: Span = topic.name.span();
            return Err(Error::new(
                span,
                format!(
                    "topic `{name}` is already that of `{}`; name this one with `#[topic(name = \"..\")]`",
                    first.variant
                ),
            ));
        }
    }
    Ok(())
}
