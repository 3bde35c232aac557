//! The code for a channel: one static with what was declared, and calls of it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::{
    channel::Channel,
    topic::{Keep, Topic},
};

pub(crate) fn channel(channel: &Channel) -> TokenStream {
    let Channel {
        ident,
        template,
        doc,
        topics,
        ..
    } = channel;
    let text = &template.text;
    let name = ident.unraw().to_string();
    let declared = topics.iter().map(topic);
    let variants = topics.iter().map(|topic| &topic.variant);
    let indices = 0..topics.len();
    let schemas = if topics.iter().all(|topic| topic.is_unchecked) {
        quote!(::core::option::Option::None)
    } else {
        quote!(::core::option::Option::Some(::stepcast::__macro::schemas::<#ident>))
    };
    let at = at(channel);
    quote! {
        #[automatically_derived]
        const _: () = {
            use ::stepcast::__macro as macros;

            static DECLARATION: macros::Declaration =
                macros::Declaration::new(
                    #text,
                    ::core::concat!(::core::module_path!(), "::", #name),
                    #doc,
                    &[#(#declared),*],
                    #schemas,
                );

            fn index(message: &#ident) -> usize {
                match message {
                    #(#ident::#variants { .. } => #indices,)*
                }
            }

            impl ::stepcast::Channel for #ident {
                fn spec() -> &'static macros::ChannelSpec {
                    DECLARATION.spec()
                }
                fn topic(&self) -> &'static macros::TopicSpec {
                    DECLARATION.topic(index(self))
                }
                fn encode(&self) -> macros::Encoded {
                    DECLARATION.encode(self, index(self))
                }
                fn decode(topic: &macros::TopicName, payload: &[u8]) -> macros::Decoded<Self> {
                    DECLARATION.decode(topic, payload)
                }
            }
        };
        #at
    }
}

fn topic(topic: &Topic) -> TokenStream {
    let Topic {
        variant,
        name,
        keep,
        retention,
        is_unchecked,
        omits_none,
        doc,
    } = topic;
    let variant = variant.unraw().to_string();
    let keep = match keep {
        Keep::Live => quote!(Live),
        Keep::Latest => quote!(Latest),
        Keep::Text(field) => quote!(Text(#field)),
        Keep::Log => quote!(Log),
    };
    quote! {
        macros::Topic {
            variant: #variant,
            name: #name,
            keep: macros::Keep::#keep,
            retention: #retention,
            is_unchecked: #is_unchecked,
            omits_none: #omits_none,
            doc: #doc,
        }
    }
}

/// `at`, and the struct it takes when there are several parameters.
fn at(channel: &Channel) -> TokenStream {
    let Channel {
        ident,
        vis,
        template,
        ..
    } = channel;
    let parameters = &template.parameters;
    let doc = format!("The channel `{}`.", template.text);
    let at = |arguments: TokenStream, values: TokenStream| {
        quote! {
            #[automatically_derived]
            impl #ident {
                #[doc = #doc]
                #[allow(dead_code)]
                #vis fn at(#arguments) -> ::stepcast::ChannelAt<Self> {
                    ::stepcast::__macro::at(&[#values])
                }
            }
        }
    };
    match parameters.as_slice() {
        [] => at(quote!(), quote!()),
        [one] => at(
            quote!(#one: impl ::core::fmt::Display),
            quote!(::stepcast::__macro::text(&#one)),
        ),
        several => {
            let params = format_ident!("{}Params", ident.unraw(), span = ident.span());
            let at = at(quote!(params: #params), quote!(#(params.#several),*));
            let doc = format!("The parameters of [`{ident}`]'s name, `{}`.", template.text);
            let docs = several
                .iter()
                .map(|name| format!("What stands for `{{{}}}`.", name.unraw()));
            quote! {
                #[doc = #doc]
                #[automatically_derived]
                #[allow(dead_code)]
                #[derive(::core::fmt::Debug, ::core::clone::Clone)]
                #vis struct #params {
                    #(
                        #[doc = #docs]
                        #vis #several: ::std::string::String,
                    )*
                }
                #at
            }
        }
    }
}
