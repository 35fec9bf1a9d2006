//! The attribute `#[server]`: a generic server of an `impl` block.

mod method;
mod write;

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Error, GenericParam, Generics, Ident, ImplItem, ItemImpl, Type, Visibility};

use crate::faults::Faults;
use crate::message::{self, Request, mentions};
use method::{Marker, Method, take_marker};

/// What is written of the block: the server's type, and its marked methods.
struct Server<'a> {
    /// The type, and what it is called.
    own: &'a Type,
    name: Ident,
    generics: &'a Generics,
    /// The widest one of the calls and casts.
    visibility: Visibility,
    methods: Vec<Method>,
}

/// The block without its marks, and what is written of it. With errors, the
/// block alone: what is wrong with it is not said twice.
pub(crate) fn expand(options: &Tokens, mut block: ItemImpl) -> Tokens {
    let marked = take_markers(&mut block);
    let written = no_options(options).and_then(|()| Ok(Server::of(&block, marked?)?.write()));
    let written = written.unwrap_or_else(Error::into_compile_error);
    quote!(#block #written)
}

fn no_options(options: &Tokens) -> Result<(), Error> {
    if options.is_empty() {
        return Ok(());
    }
    let text = "`#[server]` has no options; expected it to stand alone";
    Err(Error::new_spanned(options, text))
}

/// The marker of each item, in their order, which is taken from it.
fn take_markers(block: &mut ItemImpl) -> Result<Vec<Option<Marker>>, Error> {
    let mut faults = Faults::default();
    let mut markers = Vec::new();
    for item in &mut block.items {
        let attributes = match item {
            ImplItem::Fn(function) => Some(&mut function.attrs),
            _ => None,
        };
        let marker = attributes.and_then(|attributes| take_marker(attributes, &mut faults));
        markers.push(marker);
    }
    faults.or(markers)
}

impl<'a> Server<'a> {
    fn of(block: &'a ItemImpl, markers: Vec<Option<Marker>>) -> Result<Self, Error> {
        let name = server_name(block)?;
        let mut faults = Faults::default();
        let own = block.self_ty.to_token_stream();
        let mut methods = Vec::new();
        for (item, marker) in block.items.iter().zip(markers) {
            let ImplItem::Fn(function) = item else {
                continue;
            };
            match marker {
                Some(marker) => methods.push(Method::of(marker, function, &own, &mut faults)),
                None => faults
                    .check(method::no_callback(function))
                    .unwrap_or_default(),
            }
        }
        check_once(&methods, &mut faults);
        if methods.is_empty() {
            let text =
                "a server without methods that are marked; expected `#[call]` or `#[cast]` on one";
            faults.add(Error::new(block.self_ty.span(), text));
        }
        faults.check(usable(&block.generics, &methods));
        faults.or(Self {
            own: &block.self_ty,
            name,
            generics: &block.generics,
            visibility: widest(block, &methods),
            methods,
        })
    }

    /// The calls and casts.
    fn requests(&self) -> impl Iterator<Item = &Request> {
        self.methods
            .iter()
            .filter(|method| method.marker.is_request())
            .map(|method| &method.request)
    }

    /// The one method with this marker.
    fn find(&self, marker: Marker) -> Option<&Method> {
        self.methods.iter().find(|method| method.marker == marker)
    }
}

/// What the server is called, if an attribute can be there.
fn server_name(block: &ItemImpl) -> Result<Ident, Error> {
    if let Some((path, _)) = &block.trait_ {
        let text = "a trait is not a server; expected `impl Type { … }`";
        return Err(Error::new_spanned(path, text));
    }
    let name = match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    };
    let text = "expected the name of a struct or an enum, which is the server's state";
    name.map(|segment| segment.ident.clone())
        .ok_or_else(|| Error::new_spanned(&block.self_ty, text))
}

/// There is one of each callback.
fn check_once(methods: &[Method], faults: &mut Faults) {
    for (i, method) in methods.iter().enumerate() {
        let is_again = methods[..i]
            .iter()
            .any(|earlier| earlier.marker == method.marker);
        if is_again && !method.marker.is_request() {
            let text = format!(
                "a second `#[{0}]`; expected one `#[{0}]` in a server",
                method.marker.name()
            );
            faults.add(Error::new(method.request.name.span(), text));
        }
    }
}

/// A message must tell what the server's parameters are.
fn usable(generics: &Generics, methods: &[Method]) -> Result<(), Error> {
    let requests = methods.iter().filter(|method| method.marker.is_request());
    let declared: Tokens = requests
        .map(|method| method.request.declaration())
        .collect();
    for parameter in &generics.params {
        let (name, text) = match parameter {
            GenericParam::Lifetime(lifetime) => (
                lifetime.lifetime.to_string(),
                "a server outlives what it could borrow; expected no lifetime",
            ),
            GenericParam::Type(ty) => (
                ty.ident.to_string(),
                "a message would not tell this type; expected it in an argument or a reply of a call or a cast",
            ),
            // The message may have it without a use.
            GenericParam::Const(_) => continue,
        };
        if name.starts_with('\'') || !mentions(declared.clone(), &name) {
            return Err(Error::new_spanned(parameter, text));
        }
    }
    Ok(())
}

/// The widest visibility of the calls and casts.
fn widest(block: &ItemImpl, methods: &[Method]) -> Visibility {
    let rank = |visibility: &Visibility| match visibility {
        Visibility::Inherited => 0,
        Visibility::Restricted(to) if to.path.is_ident("crate") => 2,
        Visibility::Restricted(_) => 1,
        Visibility::Public(_) => 3,
    };
    let is_request = |name: &Ident| {
        let same = methods.iter().find(|method| method.request.name == *name);
        same.is_some_and(|method| method.marker.is_request())
    };
    let functions = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if is_request(&function.sig.ident) => Some(&function.vis),
        _ => None,
    });
    functions
        .max_by_key(|visibility| rank(visibility))
        .cloned()
        .unwrap_or(Visibility::Inherited)
}

/// The name with this end.
fn named(name: &Ident, end: &str) -> Ident {
    quote::format_ident!("{name}{end}", span = name.span())
}

/// What a client's method can be called is checked where its marker is known.
fn check_name(marker: Marker, name: &Ident) -> Result<(), Error> {
    if marker.is_asked_for() {
        message::free_name(name)?;
    }
    let starts = [
        "start",
        "start_link",
        "start_monitor",
        "builder",
        "enter_loop",
    ];
    if !starts.contains(&name.to_string().as_str()) {
        return Ok(());
    }
    let text = format!(
        "`GenServer` has a function `{name}` already, which starts the server; expected another name"
    );
    Err(Error::new(name.span(), text))
}
