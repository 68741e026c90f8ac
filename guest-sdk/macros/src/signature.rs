//! Reads the attribute and the signature of a function, and says in the author's words what does not fit.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitStr, Result, Type, parse2};

/// The bound of the contract on the name of an orchestrator or activity, in bytes.
const LONGEST_NAME: usize = 256;

#[derive(Clone, Copy)]
pub enum Kind {
    Orchestrator,
    Activity,
}

pub enum Parameter {
    Context,
    Input,
}

pub struct Registered {
    pub name: String,
    pub parameters: Vec<Parameter>,
}

impl Registered {
    pub fn read(kind: Kind, attribute: TokenStream, function: &ItemFn) -> Result<Self> {
        let signature = &function.sig;
        match (kind, &signature.asyncness) {
            (Kind::Orchestrator, None) => {
                return Err(Error::new(signature.fn_token.span, "an orchestrator is an `async fn`"));
            }
            (Kind::Activity, Some(token)) => {
                return Err(Error::new(token.span, "an activity is a plain `fn`: it does its work and returns"));
            }
            _ => {}
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(
                signature.generics.span(),
                "the host calls this function by name: it cannot be generic",
            ));
        }
        Ok(Self { name: name(attribute, function)?, parameters: parameters(kind, function)? })
    }
}

fn name(attribute: TokenStream, function: &ItemFn) -> Result<String> {
    if attribute.is_empty() {
        return Ok(function.sig.ident.to_string());
    }
    let literal: LitStr = parse2(attribute)?;
    let name = literal.value();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Error::new(literal.span(), format!("a name has 1 to {LONGEST_NAME} bytes")));
    }
    Ok(name)
}

fn parameters(kind: Kind, function: &ItemFn) -> Result<Vec<Parameter>> {
    let mut parameters = Vec::new();
    for argument in &function.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new(argument.span(), "a method cannot be registered: the host has no `self` to give"));
        };
        let parameter = if is_context(kind, &argument.ty) { Parameter::Context } else { Parameter::Input };
        match (&parameter, parameters.as_slice()) {
            (Parameter::Context, []) | (Parameter::Input, [] | [Parameter::Context]) => parameters.push(parameter),
            _ => {
                return Err(Error::new(
                    argument.span(),
                    "the parameters are the context, then one input; either may be left out",
                ));
            }
        }
    }
    Ok(parameters)
}

/// A macro sees names, not types: the context is what is called `Context` (`ActivityContext`), by whatever path.
fn is_context(kind: Kind, ty: &Type) -> bool {
    let expected = match kind {
        Kind::Orchestrator => "Context",
        Kind::Activity => "ActivityContext",
    };
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == expected))
}
