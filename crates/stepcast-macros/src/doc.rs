//! What `///` says about an item, as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The lines of an item's documentation, without the space that each begins with. Docs that a macro writes are not known.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines: Vec<_> = attributes.iter().filter_map(line).collect();
    let text = lines.join("\n");
    text.trim().to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &pair.value
    else {
        return None;
    };
    let text = pair.path.is_ident("doc").then(|| text.value())?;
    Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        let item: syn::DeriveInput = syn::parse_quote! {
            /// Progress.
            ///
            ///   - indented
            #[doc(hidden)]
            #[doc = concat!("not", "known")]
            enum Pipeline {}
        };
        assert_eq!(text(&item.attrs), "Progress.\n\n  - indented");
    }
}
