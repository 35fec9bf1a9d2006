//! The attribute `#[sim::test]`: a test under many seeds.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, ItemFn, MetaNameValue, ReturnType, Token};

/// One option of the attribute.
pub(crate) enum Setting {
    Value(Box<MetaNameValue>),
    Flag(syn::Ident),
}

impl syn::parse::Parse for Setting {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        if input.peek2(Token![=]) {
            input.parse().map(Box::new).map(Self::Value)
        } else {
            input.parse().map(Self::Flag)
        }
    }
}

pub(crate) fn expand(
    options: Punctuated<Setting, Token![,]>,
    test: &ItemFn,
) -> Result<Tokens, Error> {
    check(test)?;
    let mut seeds: Option<Expr> = None;
    let mut explore: Option<Expr> = None;
    let mut run = quote!(run);
    let mut sweeps = false;
    for option in options {
        match option {
            Setting::Value(option) if option.path.is_ident("seeds") => seeds = Some(option.value),
            Setting::Value(option) if option.path.is_ident("explore") => {
                explore = Some(option.value);
            }
            Setting::Flag(flag) if flag == "sweep" => (run, sweeps) = (quote!(sweep_kills), true),
            Setting::Flag(flag) if flag == "sweep_panics" => {
                (run, sweeps) = (quote!(sweep_panics), true);
            }
            Setting::Flag(flag) if flag == "sweep_stops" => {
                (run, sweeps) = (quote!(sweep_stops), true);
            }
            Setting::Value(other) => return Err(unknown(&other.path)),
            Setting::Flag(other) => return Err(unknown(&other)),
        }
    }
    let seeds = match (seeds, sweeps) {
        (Some(seeds), _) => Some(quote!(.seeds(#seeds))),
        (None, true) => Some(quote!(.seeds(1))),
        (None, false) => None,
    };
    let explore = explore.map(|explore| quote!(.explore(#explore)));
    let (attributes, visibility, signature, block) =
        (&test.attrs, &test.vis, &test.sig, &test.block);
    let (name, inputs) = (&signature.ident, &signature.inputs);
    let text = name.to_string();
    Ok(quote! {
        #(#attributes)*
        #[test]
        #visibility fn #name() {
            fn scenario(#inputs) #block
            ::resurgam::sim::Plan::new()
                .name(#text)
                #seeds
                #explore
                .#run(scenario);
        }
    })
}

/// The function must be of the shape that a plan runs.
fn check(test: &ItemFn) -> Result<(), Error> {
    let signature = &test.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a simulated test is no `async fn`; use `sim.run(async { … })` inside it",
        ));
    }
    let one = signature.inputs.len() == 1;
    if !one || matches!(signature.inputs.first(), Some(FnArg::Receiver(_))) {
        return Err(Error::new(
            signature.ident.span(),
            "a simulated test takes one argument: `sim: &mut Sim`",
        ));
    }
    if let ReturnType::Type(_, returned) = &signature.output {
        return Err(Error::new(
            returned.span(),
            "a simulated test returns nothing; it fails by a panic",
        ));
    }
    Ok(())
}

fn unknown(what: &impl quote::ToTokens) -> Error {
    Error::new_spanned(
        what,
        "unknown option; there are `seeds = …`, `explore = …`, `sweep`, \
         `sweep_panics` and `sweep_stops`",
    )
}
