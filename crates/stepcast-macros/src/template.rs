//! The text of `#[channel("..")]`: which parameters it has, and what is wrong with it.

use syn::{Ident, LitStr, Result, ext::IdentExt, parse::Parser};

use crate::names;

/// A channel's name or template that `stepcast-protocol` can read.
pub(crate) struct Template {
    pub(crate) text: String,
    /// Its parameters in order, as names of fields.
    pub(crate) parameters: Vec<Ident>,
}

impl Template {
    pub(crate) fn read(literal: &LitStr) -> Result<Self> {
        let text = literal.value();
        let wrong = |problem: &str| {
            let shown = names::shown(&text);
            syn::Error::new(
                literal.span(),
                format!("channel template `{shown}` {problem}"),
            )
        };
        let parameters = parameters(&text).map_err(|problem| wrong(&problem))?;
        let parameters = parameters
            .iter()
            .map(|name| identifier(name, literal).ok_or_else(|| wrong(&no_identifier(name))))
            .collect::<Result<_>>()?;
        Ok(Self { text, parameters })
    }
}

/// The parameters' names, or the rest of a sentence that starts with the template.
fn parameters(text: &str) -> std::result::Result<Vec<&str>, String> {
    if let Some(problem) = names::problem(text) {
        return Err(problem);
    }
    let mut parameters = Vec::new();
    let mut rest = text;
    let mut follows_parameter = false;
    while !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('{') else {
            let end = rest.find('{').unwrap_or(rest.len());
            if rest[..end].contains('}') {
                return Err("has a `}` without `{`; open or remove it".to_owned());
            }
            rest = &rest[end..];
            follows_parameter = false;
            continue;
        };
        let (name, after) = inner
            .split_once('}')
            .ok_or("has a `{` without `}`; close or remove it")?;
        if follows_parameter {
            return Err(format!(
                "has nothing between `{{{name}}}` and the parameter before it; put a `:` there"
            ));
        }
        if parameters.contains(&name) {
            return Err(format!("names `{{{name}}}` twice; rename one of them"));
        }
        parameters.push(name);
        rest = after;
        follows_parameter = true;
    }
    Ok(parameters)
}

fn no_identifier(name: &str) -> String {
    format!("has the parameter `{{{name}}}`, which is no identifier; rename it, e.g. `{{job}}`")
}

/// The parameter as a field: raw when it is a keyword.
fn identifier(name: &str, literal: &LitStr) -> Option<Ident> {
    const NEVER_RAW: [&str; 5] = ["self", "Self", "super", "crate", "_"];
    if NEVER_RAW.contains(&name) {
        return None;
    }
    let is_plain = !name.starts_with("r#") && Ident::parse_any.parse_str(name).is_ok();
    let is_keyword = syn::parse_str::<Ident>(name).is_err();
    match (is_plain, is_keyword) {
        (false, _) => None,
        (true, true) => Some(Ident::new_raw(name, literal.span())),
        (true, false) => Some(Ident::new(name, literal.span())),
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use stepcast_protocol::ChannelTemplate;

    use super::*;

    fn read(text: &str) -> Result<Template> {
        Template::read(&LitStr::new(text, Span::call_site()))
    }

    #[test]
    fn parameters_become_identifiers_in_order() {
        let template = read("{org}:job-{type}").unwrap();
        let names: Vec<String> = template
            .parameters
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["org", "r#type"]);
        for wrong in ["{self}", "{1}", "{_}", "{r#type}", "{a b}", "{}", "{a-b}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_accepted_is_a_template_of_the_protocol() {
        for text in [
            "",
            "chat",
            "a{",
            "a}",
            "{}",
            "{a}{b}",
            "{a}:{a}",
            "{a-b}",
            "{a}:{b}",
            "{größe}",
            "x:{a}",
            "{a{b}",
            "a:{b}}",
        ] {
            assert_eq!(
                read(text).is_ok(),
                text.parse::<ChannelTemplate>().is_ok(),
                "{text}"
            );
        }
    }
}
