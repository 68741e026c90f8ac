//! The attributes `#[orchestrator]` and `#[activity]`. They are documented, and re-exported, by `fermata-guest`.
//!
//! Both leave the function as it is written, so that a test can call it, and add an entry to the module's registry.

mod signature;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use signature::{Kind, Parameter, Registered};
use syn::{ItemFn, parse_macro_input};

/// Registers an `async fn` as an orchestrator.
///
/// `#[orchestrator("Name")]` gives it a name; without one it has the name of the function. The function takes the `Context`, and
/// may take the input, of any type that serde can deserialize, besides. It returns a value that serde can serialize, or
/// a `Result` of one.
#[proc_macro_attribute]
pub fn orchestrator(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    expand(Kind::Orchestrator, attribute.into(), function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Registers a `fn` as an activity.
///
/// `#[activity("Name")]` gives it a name; without one it has the name of the function. The function takes the
/// `ActivityContext`, the input, both or neither. It returns a value that serde can serialize, or a `Result` of one.
#[proc_macro_attribute]
pub fn activity(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    expand(Kind::Activity, attribute.into(), function).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(kind: Kind, attribute: Tokens, function: ItemFn) -> syn::Result<Tokens> {
    let Registered { name, parameters } = Registered::read(kind, attribute, &function)?;
    let ident = &function.sig.ident;
    let arguments = parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(context),
        Parameter::Input => quote!(input),
    });
    let takes_input = parameters.iter().any(|parameter| matches!(parameter, Parameter::Input));
    let submitted = match kind {
        Kind::Orchestrator => {
            let input = takes_input.then(|| quote!(let input = context.input()?;));
            quote! {
                Orchestrator {
                    name: #name,
                    start: |context| ::std::boxed::Box::pin(async move {
                        #input
                        let _ = &context;
                        (&Returned::new(#ident(#(#arguments),*).await)).payload()
                    }),
                }
            }
        }
        Kind::Activity => {
            let input = takes_input.then(|| quote!(let input = context.input()?;));
            quote! {
                Activity {
                    name: #name,
                    run: |context| {
                        #input
                        let _ = &context;
                        (&Returned::new(#ident(#(#arguments),*))).payload()
                    },
                }
            }
        }
    };
    Ok(quote! {
        #function

        const _: () = {
            #[allow(unused_imports)]
            use ::fermata_guest::__private::{Activity, Orchestrator, Returned, ReturnsResult as _, ReturnsValue as _};
            ::fermata_guest::__private::inventory::submit! { #submitted }
        };
    })
}
