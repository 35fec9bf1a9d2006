//! What a server and a protocol have in common: methods that become variants
//! of a message, and what asks for them.

use proc_macro2::{Group, Span, TokenStream as Tokens, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Generics, Ident, Pat, PatType, Receiver, ReturnType, Type};

use crate::faults::Faults;

/// The methods that a `ServerRef` has already: they would hide those of a
/// client.
const TAKEN: [&str; 11] = [
    "call",
    "cast",
    "clone",
    "join",
    "named",
    "pid",
    "send",
    "send_request",
    "server_ref",
    "stop",
    "stop_timeout",
];

/// A method that clients ask for by a message.
pub(crate) struct Request {
    pub(crate) name: Ident,
    /// The variant of the message.
    pub(crate) variant: Ident,
    /// Documentation and conditions, which are the variant's and the client's too.
    docs: Vec<Attribute>,
    conditions: Vec<Attribute>,
    pub(crate) fields: Vec<Field>,
    /// What a call is answered with; a cast is not.
    pub(crate) reply: Option<Tokens>,
}

/// An argument that travels in the message.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) ty: Tokens,
}

impl Request {
    pub(crate) fn new(name: &Ident, attributes: &[Attribute]) -> Self {
        let of =
            |is: fn(&Attribute) -> bool| attributes.iter().filter(|a| is(a)).cloned().collect();
        Self {
            name: name.clone(),
            variant: variant(name),
            docs: of(|attribute| attribute.path().is_ident("doc")),
            conditions: of(|attribute| attribute.path().is_ident("cfg")),
            fields: Vec::new(),
            reply: None,
        }
    }

    /// The conditions under which it is there.
    pub(crate) fn conditions(&self) -> impl ToTokens {
        let conditions = &self.conditions;
        quote!(#(#conditions)*)
    }

    /// Its conditions, and what it says about itself.
    fn attributes(&self) -> Tokens {
        let (conditions, docs, name) = (&self.conditions, &self.docs, &self.name);
        if docs.is_empty() {
            let kind = if self.reply.is_some() { "call" } else { "cast" };
            let doc = format!("The {kind} `{name}`.");
            return quote!(#(#conditions)* #[doc = #doc]);
        }
        quote!(#(#conditions)* #(#docs)*)
    }

    /// The variant of the message.
    pub(crate) fn declaration(&self) -> Tokens {
        let (attributes, variant) = (self.attributes(), &self.variant);
        let fields = self.fields.iter().map(|field| field.ty.clone());
        let reply = self
            .reply
            .iter()
            .map(|reply| quote!(::resurgam::Reply<#reply>));
        let fields: Vec<_> = fields.chain(reply).collect();
        if fields.is_empty() {
            return quote!(#attributes #variant);
        }
        quote!(#attributes #variant(#(#fields),*))
    }

    /// The variant as a pattern or as a value.
    pub(crate) fn with(&self, message: &Ident, reply: &Ident) -> Tokens {
        let variant = &self.variant;
        let names = self.fields.iter().map(|field| &field.name);
        let names: Vec<_> = names.chain(self.reply.as_ref().map(|_| reply)).collect();
        if names.is_empty() {
            return quote!(#message::#variant);
        }
        quote!(#message::#variant(#(#names),*))
    }

    /// The arm that says which variant it is.
    fn debug_arm(&self) -> Tokens {
        let (conditions, variant) = (self.conditions(), &self.variant);
        let text = variant.to_string();
        quote!(#conditions Self::#variant { .. } => #text)
    }

    /// What makes the message of the way back.
    pub(crate) fn maker(&self, message: &Ident) -> Tokens {
        let reply = local("reply");
        if self.fields.is_empty() {
            let variant = &self.variant;
            return quote!(#message::#variant);
        }
        let value = self.with(message, &reply);
        quote!(move |#reply| #value)
    }

    /// The head of a client's method, but for what it returns.
    pub(crate) fn head(&self) -> Tokens {
        let (attributes, name) = (self.attributes(), &self.name);
        let arguments = self
            .fields
            .iter()
            .map(|Field { name, ty }| quote!(#name: #ty));
        quote!(#attributes fn #name(&self #(, #arguments)*))
    }
}

/// The enum of all requests, which shows in the log which one it is, and
/// nothing of what is in it.
pub(crate) fn message_enum(
    head: &Tokens,
    message: &Ident,
    generics: &Generics,
    requests: &[&Request],
) -> Tokens {
    let (declared, given, bounds) = generics.split_for_impl();
    let variants = requests.iter().map(|request| request.declaration());
    let arms: Vec<_> = requests.iter().map(|request| request.debug_arm()).collect();
    let name = if arms.is_empty() {
        quote!(match *self {})
    } else {
        quote!(f.write_str(match self { #(#arms,)* }))
    };
    quote! {
        #head enum #message #declared #bounds { #(#variants,)* }

        impl #declared ::std::fmt::Debug for #message #given #bounds {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                #name
            }
        }
    }
}

/// A name that no argument of the user's can be.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// `get_all` as a variant: `GetAll`.
fn variant(name: &Ident) -> Ident {
    let text = name.to_string();
    let words = text.trim_start_matches("r#").split('_');
    let camel: String = words
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters.collect::<Vec<_>>())
        })
        .collect();
    match camel.as_str() {
        "Self" => format_ident!("Self_", span = name.span()),
        _ => Ident::new(&camel, name.span()),
    }
}

/// An argument that travels in the message.
pub(crate) fn field(number: usize, argument: &PatType, own: &Tokens, faults: &mut Faults) -> Field {
    faults.check(owned(&argument.ty, "an argument travels in a message"));
    let name = match &*argument.pat {
        Pat::Ident(pattern) => pattern.ident.clone(),
        _ => format_ident!("argument_{number}", span = argument.pat.span()),
    };
    Field {
        name,
        ty: without_self(argument.ty.to_token_stream(), own),
    }
}

/// What a call is answered with.
pub(crate) fn reply(output: &ReturnType, own: &Tokens, faults: &mut Faults) -> Tokens {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => {
            faults.check(owned(ty, "a reply travels to its caller"));
            without_self(ty.to_token_stream(), own)
        }
    }
}

/// A type that travels borrows nothing, and is one type.
pub(crate) fn owned(ty: &Type, why: &str) -> Result<(), Error> {
    let faulty = |what: &str, expected: &str| {
        Error::new_spanned(
            ty,
            format!("{why}, so it is no {what}; expected {expected}"),
        )
    };
    if borrows(ty.to_token_stream()) {
        let owned = "an owned type, such as `String`, `Vec<T>` or `Arc<T>`";
        return Err(faulty("reference", owned));
    }
    if mentions(ty.to_token_stream(), "impl") {
        return Err(faulty(
            "`impl Trait`",
            "a type that has a name, or a `Box<dyn Trait>`",
        ));
    }
    Ok(())
}

/// Whether a type has a lifetime in it that is not `'static`. What a function
/// takes is its own affair.
fn borrows(ty: Tokens) -> bool {
    let is_quote = |token: &TokenTree| token.to_string() == "'";
    let mut tokens = ty.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_borrowed = match token {
            TokenTree::Ident(word) if is_function(&word) => return false,
            TokenTree::Group(group) => borrows(group.stream()),
            TokenTree::Punct(mark) if mark.as_char() == '&' => !tokens.peek().is_some_and(is_quote),
            TokenTree::Punct(mark) if mark.as_char() == '\'' => tokens
                .next()
                .is_none_or(|name| name.to_string() != "static"),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        };
        if is_borrowed {
            return true;
        }
    }
    false
}

/// Whether arguments of a function follow.
fn is_function(word: &Ident) -> bool {
    ["fn", "for", "Fn", "FnMut", "FnOnce"]
        .iter()
        .any(|kind| word == kind)
}

/// Whether a word occurs.
pub(crate) fn mentions(tokens: Tokens, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The same type where `Self` means something else.
pub(crate) fn without_self(ty: Tokens, own: &Tokens) -> Tokens {
    let mut tokens = ty.into_iter().peekable();
    let mut out = Tokens::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "Self" => {
                let is_path =
                    matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
                out.extend(if is_path { quote!(<#own>) } else { own.clone() });
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), own);
                let mut same = Group::new(group.delimiter(), inner);
                same.set_span(group.span());
                out.extend([TokenTree::Group(same)]);
            }
            other => out.extend([other]),
        }
    }
    out
}

/// A method's name must not be one that a `ServerRef` has.
pub(crate) fn free_name(name: &Ident) -> Result<(), Error> {
    if !TAKEN.contains(&name.to_string().as_str()) {
        return Ok(());
    }
    let text = format!("a `ServerRef` has a method `{name}` already; expected another name");
    Err(Error::new(name.span(), text))
}

/// A method is asked for by one message of one type.
pub(crate) fn no_generics(generics: &Generics, what: &str) -> Result<(), Error> {
    if generics.params.is_empty() && generics.where_clause.is_none() {
        return Ok(());
    }
    let text = format!(
        "{what} has no parameters of its own, since its message has one type; expected no generics"
    );
    let span = generics
        .params
        .first()
        .map_or_else(|| generics.where_clause.span(), Spanned::span);
    Err(Error::new(span, text))
}

/// The `self` and the other arguments.
pub(crate) fn arguments(
    signature: &syn::Signature,
) -> (Option<&Receiver>, impl Iterator<Item = &PatType>) {
    let typed = signature
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        });
    (signature.receiver(), typed)
}
