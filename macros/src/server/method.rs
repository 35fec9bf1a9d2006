//! One marked method of a server: what its marker wants, and what it is.

use proc_macro2::{Span, TokenStream as Tokens};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, GenericArgument, Ident, ImplItemFn, Meta, PatType, PathArguments,
    PathSegment, ReceiverKind, ReturnType, Signature, Type,
};

use super::check_name;
use crate::faults::Faults;
use crate::message::{Request, arguments, field, local, no_generics, owned, reply, without_self};

/// All that a method can be marked with.
const MARKERS: &str = "`#[init]`, `#[call]`, `#[call(later)]`, `#[cast]`, `#[protocol]`, `#[info]`, `#[terminate]` and `#[format_status]`";

/// What a method is to the server.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    Init,
    Call,
    /// A call that gets its [`Reply`](::resurgam::Reply).
    Later,
    Cast,
    /// A cast of all that a protocol asks for.
    Protocol,
    Info,
    Terminate,
    FormatStatus,
}

impl Marker {
    fn named(name: &Ident) -> Option<Self> {
        Some(match name.to_string().as_str() {
            "init" => Self::Init,
            "call" => Self::Call,
            "cast" => Self::Cast,
            "protocol" => Self::Protocol,
            "info" => Self::Info,
            "terminate" => Self::Terminate,
            "format_status" => Self::FormatStatus,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Call => "call",
            Self::Later => "call(later)",
            Self::Cast => "cast",
            Self::Protocol => "protocol",
            Self::Info => "info",
            Self::Terminate => "terminate",
            Self::FormatStatus => "format_status",
        }
    }

    /// Whether it handles a variant of the message.
    pub(super) fn is_request(self) -> bool {
        self.is_asked_for() || self == Self::Protocol
    }

    /// Whether a client has a method for it.
    pub(super) fn is_asked_for(self) -> bool {
        matches!(self, Self::Call | Self::Later | Self::Cast)
    }
}

/// Takes the marker from the attributes of a method.
pub(super) fn take_marker(attributes: &mut Vec<Attribute>, faults: &mut Faults) -> Option<Marker> {
    let mut found = None;
    attributes.retain(|attribute| {
        let Some(marker) = faults.check(marker_of(attribute)) else {
            return false;
        };
        if let Some(marker) = marker
            && found.replace(marker).is_some()
        {
            let text = "a second marker; expected one on a method";
            faults.add(Error::new_spanned(attribute, text));
        }
        marker.is_none()
    });
    found
}

/// The marker that an attribute is, if it is one.
fn marker_of(attribute: &Attribute) -> Result<Option<Marker>, Error> {
    let Some(name) = attribute.path().get_ident() else {
        return Ok(None);
    };
    let Some(marker) = Marker::named(name) else {
        return not_otps(name).map(|()| None);
    };
    match (&attribute.meta, marker) {
        (Meta::Path(_), marker) => Ok(Some(marker)),
        (Meta::List(list), Marker::Call) if list.tokens.to_string() == "later" => {
            Ok(Some(Marker::Later))
        }
        (_, Marker::Call) => {
            let text = "unknown option; there is `#[call]` and `#[call(later)]`";
            Err(Error::new_spanned(attribute, text))
        }
        (_, marker) => {
            let text = format!("`#[{}]` has no options", marker.name());
            Err(Error::new_spanned(attribute, text))
        }
    }
}

/// What somebody who knows OTP may write instead.
fn not_otps(name: &Ident) -> Result<(), Error> {
    let text = name.to_string();
    if !text.starts_with("handle_") && text != "handle" {
        return Ok(());
    }
    let text = format!("`#[{text}]` is no marker; there are {MARKERS}");
    Err(Error::new(name.span(), text))
}

/// A method that has the name of a callback, and no marker.
pub(super) fn no_callback(function: &ImplItemFn) -> Result<(), Error> {
    let name = &function.sig.ident;
    if name != "init" && name != "terminate" {
        return Ok(());
    }
    let text = format!("`{name}` is not marked; expected `#[{name}]` on it, or another name");
    Err(Error::new(name.span(), text))
}

/// A marked method.
pub(super) struct Method {
    pub(super) marker: Marker,
    /// What its message is like, if it has one.
    pub(super) request: Request,
    /// Its arguments beside `self`, in their order.
    inputs: Vec<Input>,
    is_async: bool,
    output: ReturnType,
}

/// Where an argument comes from.
enum Input {
    /// The message, or the one who calls.
    Given(Ident),
    Context,
    Reply,
}

impl Method {
    pub(super) fn of(
        marker: Marker,
        function: &ImplItemFn,
        own: &Tokens,
        faults: &mut Faults,
    ) -> Self {
        let signature = &function.sig;
        let mut method = Self {
            marker,
            request: Request::new(&signature.ident, &function.attrs),
            inputs: Vec::new(),
            is_async: signature.asyncness.is_some(),
            output: signature.output.clone(),
        };
        faults.check(check_name(marker, &signature.ident));
        faults.check(no_generics(&signature.generics, "a callback"));
        faults.check(check_receiver(marker, signature));
        for (number, argument) in arguments(signature).1.enumerate() {
            let input = method.input(number, argument, own, faults);
            method.inputs.push(input);
        }
        if marker == Marker::Call {
            method.request.reply = Some(reply(&signature.output, own, faults));
        }
        faults.check(method.check_arguments(signature));
        faults.check(method.check_output());
        method
    }

    fn input(
        &mut self,
        number: usize,
        argument: &PatType,
        own: &Tokens,
        faults: &mut Faults,
    ) -> Input {
        if is_context(&argument.ty) {
            return Input::Context;
        }
        if let (Marker::Later, Some(ty)) = (self.marker, reply_type(&argument.ty)) {
            faults.check(owned(ty, "a reply travels to its caller"));
            self.request.reply = Some(without_self(ty.to_token_stream(), own));
            return Input::Reply;
        }
        if matches!(self.marker, Marker::Info | Marker::Terminate) {
            return Input::Given(local("given"));
        }
        let field = field(number, argument, own, faults);
        let name = field.name.clone();
        self.request.fields.push(field);
        Input::Given(name)
    }

    /// How many arguments there must be.
    fn check_arguments(&self, signature: &Signature) -> Result<(), Error> {
        let given = self
            .inputs
            .iter()
            .filter(|input| matches!(input, Input::Given(_)))
            .count();
        let replies = self
            .inputs
            .iter()
            .filter(|input| matches!(input, Input::Reply))
            .count();
        let expected = match self.marker {
            Marker::Info if given != 1 => "`info: Info`",
            Marker::Terminate if given > 1 => "`reason: &ExitReason`, or nothing",
            Marker::Protocol if given != 1 => "one argument, the message of the protocol",
            Marker::Later if replies != 1 => "one argument `reply: Reply<T>`, to answer by",
            Marker::FormatStatus if !self.inputs.is_empty() || self.is_async => {
                "`fn …(&self) -> impl Debug`"
            }
            _ => return Ok(()),
        };
        let text = format!("`#[{}]` expects {expected}", self.marker.name());
        Err(Error::new(signature.ident.span(), text))
    }

    /// What may be returned.
    fn check_output(&self) -> Result<(), Error> {
        let ReturnType::Type(_, ty) = &self.output else {
            return match self.marker {
                Marker::Init => Err(Error::new(
                    self.request.name.span(),
                    "`#[init]` makes the state; expected `-> Self` or `-> Result<Self, InitError>`",
                )),
                _ => Ok(()),
            };
        };
        let is_result = last_segment(ty).is_some_and(|segment| segment.ident == "Result");
        let text = match self.marker {
            Marker::Init | Marker::Call | Marker::FormatStatus => return Ok(()),
            Marker::Terminate if !is_unit(ty) => "`#[terminate]` returns nothing",
            _ if is_unit(ty) || is_result => return Ok(()),
            Marker::Cast => {
                "a cast is not answered; expected nothing, `Result<(), ExitReason>` to stop the server, or `#[call]`"
            }
            Marker::Later => {
                "the answer goes by the `Reply`; expected nothing, or `Result<(), ExitReason>` to stop the server"
            }
            _ => "expected nothing, or `Result<(), ExitReason>` to stop the server",
        };
        Err(Error::new_spanned(ty, text))
    }

    /// Whether its callback must have a name for the context.
    pub(super) fn wants_context(&self) -> bool {
        self.inputs
            .iter()
            .any(|input| matches!(input, Input::Context))
    }

    /// Whether the one argument of an info or a terminate is wanted.
    pub(super) fn wants_given(&self) -> bool {
        self.inputs
            .iter()
            .any(|input| matches!(input, Input::Given(_)))
    }

    /// Whether it makes the state and nothing else.
    fn makes_state(&self, own: &Type) -> bool {
        let ReturnType::Type(_, ty) = &self.output else {
            return false;
        };
        let text = ty.to_token_stream().to_string();
        text == "Self" || text == own.to_token_stream().to_string()
    }

    /// The state, made by `#[init]`.
    pub(super) fn made(&self, own: &Type) -> Tokens {
        let made = self.asked(&quote!(Self::));
        if self.makes_state(own) {
            return quote!(::std::result::Result::Ok(#made));
        }
        let span = self.output.span();
        quote_spanned!(span=> ::std::result::Result::Ok(#made?))
    }

    /// What is done when its message, or whatever it is for, comes.
    pub(super) fn done(&self) -> Tokens {
        let asked = self.asked(&quote!(self.));
        if self.marker == Marker::Call {
            let reply = local("reply");
            return quote!(#reply.send(#asked));
        }
        match &self.output {
            ReturnType::Type(_, ty) if !is_unit(ty) && self.marker != Marker::FormatStatus => {
                let span = Span::call_site().located_at(ty.span());
                quote_spanned!(span=> #asked?)
            }
            _ => asked,
        }
    }

    /// The method, called and awaited.
    fn asked(&self, of: &Tokens) -> Tokens {
        let name = &self.request.name;
        let inputs = self.inputs.iter().map(|input| match input {
            Input::Given(name) => name.clone(),
            Input::Context => local("ctx"),
            Input::Reply => local("reply"),
        });
        let awaited = self.is_async.then(|| quote!(.await));
        quote!(#of #name(#(#inputs),*) #awaited)
    }
}

fn check_receiver(marker: Marker, signature: &Signature) -> Result<(), Error> {
    let receiver = signature.receiver();
    let Some(receiver) = receiver else {
        if marker == Marker::Init {
            return Ok(());
        }
        let expected = if marker == Marker::FormatStatus {
            "`&self`"
        } else {
            "`&self` or `&mut self`"
        };
        let text = format!(
            "`#[{}]` is asked of the state; expected {expected} as the first argument",
            marker.name()
        );
        return Err(Error::new(signature.ident.span(), text));
    };
    let text = match (marker, &receiver.kind) {
        (Marker::Init, _) => "`#[init]` makes the state; expected no `self`",
        (Marker::FormatStatus, ReceiverKind::Reference(_, _, None)) => return Ok(()),
        (Marker::FormatStatus, _) => "the state is only looked at; expected `&self`",
        (_, ReceiverKind::Reference(..)) => return Ok(()),
        _ => "the server keeps its state; expected `&self` or `&mut self`",
    };
    Err(Error::new_spanned(receiver, text))
}

/// `&mut ServerContext<Self>`, by whatever path.
fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    last_segment(&reference.elem).is_some_and(|segment| segment.ident == "ServerContext")
}

/// The `T` of `Reply<T>`.
fn reply_type(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Reply")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}
