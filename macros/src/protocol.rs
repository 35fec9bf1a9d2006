//! The attribute `#[protocol]`: one handle for servers of different types.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Error, Generics, Ident, ItemTrait, ReceiverKind, ReturnType, TraitItem, TraitItemFn};

use crate::faults::Faults;
use crate::message::{
    Request, arguments, field, free_name, local, message_enum, no_generics, reply,
};

pub(crate) fn expand(options: &Tokens, protocol: &ItemTrait) -> Result<Tokens, Error> {
    let mut faults = Faults::default();
    if !options.is_empty() {
        let text = "`#[protocol]` has no options; expected it to stand alone";
        faults.add(Error::new_spanned(options, text));
    }
    faults.check(plain(protocol));
    let functions = protocol.items.iter().map(|item| match item {
        TraitItem::Fn(function) => request(function),
        _ => {
            let text = "a protocol has calls and casts alone; expected `async fn` or `fn`";
            Err(Error::new_spanned(item, text))
        }
    });
    let requests: Vec<_> = functions
        .filter_map(|request| faults.check(request))
        .collect();
    if protocol.items.is_empty() {
        let text = "a protocol without methods; expected an `async fn`, which is a call, or a `fn`, which is a cast";
        faults.add(Error::new(protocol.ident.span(), text));
    }
    faults.or(())?;
    Ok(write(protocol, &requests.iter().collect::<Vec<_>>()))
}

/// The trait is nothing but a list of methods.
fn plain(protocol: &ItemTrait) -> Result<(), Error> {
    no_generics(&protocol.generics, "a protocol")?;
    if let Some(unsafety) = &protocol.unsafety {
        return Err(Error::new_spanned(
            unsafety,
            "a protocol cannot be `unsafe`",
        ));
    }
    if protocol.supertraits.is_empty() {
        return Ok(());
    }
    let text = "a protocol stands alone; expected no supertraits";
    Err(Error::new_spanned(&protocol.supertraits, text))
}

/// A method as a message: `async` is a call, the others are casts.
fn request(function: &TraitItemFn) -> Result<Request, Error> {
    let signature = &function.sig;
    let mut faults = Faults::default();
    let mut request = Request::new(&signature.ident, &function.attrs);
    faults.check(free_name(&signature.ident));
    faults.check(no_generics(&signature.generics, "a method of a protocol"));
    let (receiver, rest) = arguments(signature);
    if !receiver
        .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None)))
    {
        let text = "a client is shared; expected `&self` as the first argument";
        let error = match receiver {
            Some(receiver) => Error::new_spanned(receiver, text),
            None => Error::new(signature.ident.span(), text),
        };
        faults.add(error);
    }
    if let Some(body) = &function.default {
        let text = "the server does it, not the protocol; expected `;`";
        faults.add(Error::new_spanned(body, text));
    }
    let own = quote!(Self);
    for (number, argument) in rest.enumerate() {
        let field = field(number, argument, &own, &mut faults);
        request.fields.push(field);
    }
    if signature.asyncness.is_some() {
        request.reply = Some(reply(&signature.output, &own, &mut faults));
    } else if let ReturnType::Type(_, ty) = &signature.output {
        let text = "a cast is not answered; expected nothing, or `async fn`, which is a call";
        faults.add(Error::new_spanned(ty, text));
    }
    faults.or(request)
}

fn write(protocol: &ItemTrait, requests: &[&Request]) -> Tokens {
    let (name, visibility, attributes) = (&protocol.ident, &protocol.vis, &protocol.attrs);
    let message = format_ident!("{name}Message", span = name.span());
    let doc = format!("What a server of the protocol [`{name}`] can be sent.");
    let head = quote!(#[doc = #doc] #visibility);
    let messages = message_enum(&head, &message, &Generics::default(), requests);
    let heads: Vec<_> = requests.iter().map(|request| head_of(request)).collect();
    let bodies = requests.iter().map(|request| body_of(request, &message));
    let handle = handle(protocol);
    quote! {
        #(#attributes)*
        #visibility trait #name: ::resurgam::AnyRef {
            #(#heads;)*
        }

        #messages

        impl<M> #name for ::resurgam::ProcessRef<M>
        where
            M: ::std::convert::From<#message> + ::std::marker::Send + 'static,
        {
            #(#heads { #bodies })*
        }

        #handle
    }
}

/// The type-erased client.
fn handle(protocol: &ItemTrait) -> Tokens {
    let (name, visibility) = (&protocol.ident, &protocol.vis);
    let handle = format_ident!("{name}Ref", span = name.span());
    let message = format_ident!("{name}Message", span = name.span());
    let doc = format!("A server of the protocol [`{name}`], of whatever type. Cheap to clone.");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #visibility struct #handle(::std::sync::Arc<dyn #name>);

        impl<M> ::std::convert::From<::resurgam::ProcessRef<M>> for #handle
        where
            M: ::std::convert::From<#message> + ::std::marker::Send + 'static,
        {
            fn from(server: ::resurgam::ProcessRef<M>) -> Self {
                Self(::std::sync::Arc::new(server))
            }
        }

        impl ::std::ops::Deref for #handle {
            type Target = dyn #name;

            fn deref(&self) -> &Self::Target {
                &*self.0
            }
        }
    }
}

fn head_of(request: &Request) -> Tokens {
    let head = request.head();
    match &request.reply {
        Some(reply) => quote!(#head -> ::resurgam::BoxCall<'_, #reply>),
        None => head,
    }
}

fn body_of(request: &Request, message: &Ident) -> Tokens {
    let reply = local("reply");
    let value = request.with(message, &reply);
    match &request.reply {
        Some(_) => quote!(::resurgam::BoxCall::new(self.call(move |#reply| M::from(#value)))),
        None => quote!(self.cast(M::from(#value));),
    }
}
