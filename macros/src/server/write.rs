//! What is written of a server: its message, the callbacks, the client.

use proc_macro2::TokenStream as Tokens;
use quote::quote;

use super::method::{Marker, Method};
use super::{Server, named};
use crate::message::{Field, Request, local, message_enum};

impl Server<'_> {
    pub(super) fn write(&self) -> Tokens {
        let (message, gen_server, client) = (self.message(), self.gen_server(), self.client());
        let conversions = self.conversions();
        quote!(#message #gen_server #client #conversions)
    }

    fn message(&self) -> Tokens {
        let doc = format!("What a [`{}`] can be sent.", self.name);
        let visibility = &self.visibility;
        let head = quote!(#[doc = #doc] #visibility);
        let requests: Vec<_> = self.requests().collect();
        message_enum(
            &head,
            &named(&self.name, "Message"),
            self.generics,
            &requests,
        )
    }

    fn gen_server(&self) -> Tokens {
        let (declared, given, bounds) = self.generics.split_for_impl();
        let (own, message) = (self.own, named(&self.name, "Message"));
        let (init, handle) = (self.init(), self.handle(&message));
        let rest = [self.info(), self.terminate(), self.format_status()];
        quote! {
            impl #declared ::resurgam::GenServer for #own #bounds {
                #init
                type Message = #message #given;
                #handle
                #(#rest)*

                fn format_message(message: &Self::Message) -> impl ::std::fmt::Debug {
                    message
                }
            }
        }
    }

    fn init(&self) -> Tokens {
        let Some(init) = self.find(Marker::Init) else {
            return quote! {
                type Args = Self;

                async fn init(
                    state: Self,
                    _: &mut ::resurgam::ServerContext<Self>,
                ) -> ::std::result::Result<Self, ::resurgam::InitError> {
                    ::std::result::Result::Ok(state)
                }
            };
        };
        let (names, types): (Vec<_>, Vec<_>) = init
            .request
            .fields
            .iter()
            .map(|Field { name, ty }| (name, ty))
            .unzip();
        let (pattern, args) = match (names.as_slice(), types.as_slice()) {
            ([name], [ty]) => (quote!(#name), quote!(#ty)),
            _ => (quote!((#(#names),*)), quote!((#(#types),*))),
        };
        let (ctx, made) = (context_of(init), init.made(self.own));
        quote! {
            type Args = #args;

            async fn init(
                #pattern: Self::Args,
                #ctx: &mut ::resurgam::ServerContext<Self>,
            ) -> ::std::result::Result<Self, ::resurgam::InitError> {
                #made
            }
        }
    }

    fn handle(&self, message: &proc_macro2::Ident) -> Tokens {
        let methods = || {
            self.methods
                .iter()
                .filter(|method| method.marker.is_request())
        };
        let wants = methods().any(Method::wants_context);
        let ctx = if wants { context() } else { quote!(_) };
        let arms = methods().map(|method| {
            let (request, done) = (&method.request, method.done());
            let conditions = request.conditions();
            let pattern = request.with(message, &local("reply"));
            quote!(#conditions #pattern => #done,)
        });
        let handled = if methods().next().is_none() {
            quote!(match message {})
        } else {
            quote!(match message { #(#arms)* } ::std::result::Result::Ok(()))
        };
        quote! {
            async fn handle(
                &mut self,
                message: Self::Message,
                #ctx: &mut ::resurgam::ServerContext<Self>,
            ) -> ::std::result::Result<(), ::resurgam::ExitReason> {
                #handled
            }
        }
    }

    fn info(&self) -> Option<Tokens> {
        let info = self.find(Marker::Info)?;
        let (ctx, done, given) = (context_of(info), info.done(), local("given"));
        Some(quote! {
            async fn handle_info(
                &mut self,
                #given: ::resurgam::Info,
                #ctx: &mut ::resurgam::ServerContext<Self>,
            ) -> ::std::result::Result<(), ::resurgam::ExitReason> {
                #done;
                ::std::result::Result::Ok(())
            }
        })
    }

    fn terminate(&self) -> Option<Tokens> {
        let terminate = self.find(Marker::Terminate)?;
        let (ctx, done, given) = (context_of(terminate), terminate.done(), local("given"));
        let given = if terminate.wants_given() {
            quote!(#given)
        } else {
            quote!(_)
        };
        Some(quote! {
            async fn terminate(
                &mut self,
                #given: &::resurgam::ExitReason,
                #ctx: &mut ::resurgam::ServerContext<Self>,
            ) {
                #done;
            }
        })
    }

    fn format_status(&self) -> Option<Tokens> {
        let shown = self.find(Marker::FormatStatus)?.done();
        Some(quote! {
            fn format_status(&self) -> impl ::std::fmt::Debug {
                #shown
            }
        })
    }

    /// The client: what can be asked of the server, as methods.
    fn client(&self) -> Option<Tokens> {
        let asked = || {
            self.methods
                .iter()
                .filter(|method| method.marker.is_asked_for())
        };
        asked().next()?;
        let (declared, given, bounds) = self.generics.split_for_impl();
        let (message, client) = (named(&self.name, "Message"), named(&self.name, "Client"));
        let methods = asked()
            .map(|method| client_method(&method.request, &message, &quote!(#message #given)));
        let (own, visibility) = (self.own, &self.visibility);
        let doc = format!("What can be asked of a [`{}`].", self.name);
        Some(quote! {
            #[doc = #doc]
            #visibility trait #client #declared #bounds {
                /// The server that is asked.
                fn server_ref(&self) -> &::resurgam::ServerRef<#own>;
                #(#methods)*
            }

            impl #declared #client #given for ::resurgam::ServerRef<#own> #bounds {
                fn server_ref(&self) -> &Self {
                    self
                }
            }
        })
    }

    /// Messages of protocols become messages of the server's.
    fn conversions(&self) -> Tokens {
        let (declared, given, bounds) = self.generics.split_for_impl();
        let message = named(&self.name, "Message");
        let protocols = self
            .methods
            .iter()
            .filter(|method| method.marker == Marker::Protocol);
        let conversions = protocols.flat_map(|method| {
            let (variant, conditions) = (&method.request.variant, method.request.conditions());
            let field = method.request.fields.first()?;
            let ty = &field.ty;
            Some(quote! {
                #conditions
                impl #declared ::std::convert::From<#ty> for #message #given #bounds {
                    fn from(message: #ty) -> Self {
                        Self::#variant(message)
                    }
                }
            })
        });
        conversions.collect()
    }
}

/// A call, or a cast.
fn client_method(request: &Request, message: &proc_macro2::Ident, whole: &Tokens) -> Tokens {
    let head = request.head();
    match &request.reply {
        Some(reply) => {
            let maker = request.maker(message);
            quote! {
                #head -> ::resurgam::Call<
                    '_,
                    #whole,
                    #reply,
                    impl ::std::ops::FnOnce(::resurgam::Reply<#reply>) -> #whole + ::std::marker::Send,
                > {
                    self.server_ref().call(#maker)
                }
            }
        }
        None => {
            let value = request.with(message, &local("reply"));
            quote!(#head { self.server_ref().cast(#value); })
        }
    }
}

/// The name of the context, if the method wants it.
fn context_of(method: &Method) -> Tokens {
    if method.wants_context() {
        context()
    } else {
        quote!(_)
    }
}

fn context() -> Tokens {
    let ctx = local("ctx");
    quote!(#ctx)
}
