//! The attribute macros of Resurgam. Used through the facade: `resurgam::server`
//! and `resurgam::protocol` with its feature `macros`, `resurgam::sim::test`
//! with its feature `sim`.

mod faults;
mod message;
mod protocol;
mod server;
mod sim_test;

use proc_macro::TokenStream;
use syn::punctuated::Punctuated;
use syn::{Error, ItemFn, ItemImpl, ItemTrait, Token, parse_macro_input};

/// Makes a generic server of an `impl` block: writes the enum of its messages,
/// the `GenServer`, and a client by which it is asked.
///
/// The methods that are marked are what the server does; they stay methods, so
/// that they can be tried without a process. The others are left alone.
///
/// * `#[call]`: what it returns goes to the caller;
/// * `#[call(later)]`: takes a `reply: Reply<T>`, to answer by, now or later;
/// * `#[cast]`: is not answered;
/// * `#[init]`: makes the state of the arguments that the server is started
///   with; returns `Self`, or a `Result<Self, InitError>`. Without it the server
///   is started with its state;
/// * `#[info]`: takes what is no message of the server's own, an `Info`;
/// * `#[terminate]`: cleans up; may take the reason, a `&ExitReason`;
/// * `#[format_status]`: what is shown of the state in the log;
/// * `#[protocol]`: takes the message of a [protocol](macro@protocol), which
///   becomes one of the server's by `From`.
///
/// Each may be `async`, and take the context, `ctx: &mut ServerContext<Self>`.
/// All but `#[call]` may return a `Result<(), ExitReason>`, or one with another
/// error: an error stops the server. The log names the variant of a message, and
/// shows nothing of what is in it.
///
/// The client is a trait for the `ServerRef`, which is to be in scope. The enum
/// and the client are as visible as the most visible call or cast.
///
/// # Errors
///
/// What does not compile says what was expected, where it is wrong. Arguments
/// and replies travel, so they cannot be references; a call cannot be named as
/// a method that a `ServerRef` has already, such as `stop`.
///
/// # Differences from Erlang
///
/// The client's functions need not be written, nor can they be forgotten.
///
/// # Examples
///
/// ```
/// struct Counter(u64);
///
/// #[resurgam::server]
/// impl Counter {
///     /// Counts further.
///     #[cast]
///     fn add(&mut self, n: u64) {
///         self.0 += n;
///     }
///
///     /// Where it is.
///     #[call]
///     fn get(&self) -> u64 {
///         self.0
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam::GenServer;
///
/// let counter = Counter::start(Counter(40)).await?;
/// counter.add(2);
/// assert_eq!(counter.get().await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// This is what it writes, beside the block itself:
///
/// ```
/// # struct Counter(u64);
/// # impl Counter {
/// #     fn add(&mut self, n: u64) { self.0 += n }
/// #     fn get(&self) -> u64 { self.0 }
/// # }
/// # use resurgam::{Call, ExitReason, GenServer, InitError, Reply, ServerContext, ServerRef};
/// # use std::fmt;
/// /// What a [`Counter`] can be sent.
/// enum CounterMessage {
///     /// Counts further.
///     Add(u64),
///     /// Where it is.
///     Get(Reply<u64>),
/// }
///
/// impl fmt::Debug for CounterMessage {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str(match self {
///             Self::Add { .. } => "Add",
///             Self::Get { .. } => "Get",
///         })
///     }
/// }
///
/// impl GenServer for Counter {
///     type Args = Self;
///
///     async fn init(state: Self, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
///         Ok(state)
///     }
///
///     type Message = CounterMessage;
///
///     async fn handle(
///         &mut self,
///         message: Self::Message,
///         _: &mut ServerContext<Self>,
///     ) -> Result<(), ExitReason> {
///         match message {
///             CounterMessage::Add(n) => self.add(n),
///             CounterMessage::Get(reply) => reply.send(self.get()),
///         }
///         Ok(())
///     }
///
///     fn format_message(message: &Self::Message) -> impl fmt::Debug {
///         message
///     }
/// }
///
/// /// What can be asked of a [`Counter`].
/// trait CounterClient {
///     /// The server that is asked.
///     fn server_ref(&self) -> &ServerRef<Counter>;
///
///     /// Counts further.
///     fn add(&self, n: u64) {
///         self.server_ref().cast(CounterMessage::Add(n));
///     }
///
///     /// Where it is.
///     fn get(
///         &self,
///     ) -> Call<'_, CounterMessage, u64, impl FnOnce(Reply<u64>) -> CounterMessage + Send> {
///         self.server_ref().call(CounterMessage::Get)
///     }
/// }
///
/// impl CounterClient for ServerRef<Counter> {
///     fn server_ref(&self) -> &Self {
///         self
///     }
/// }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let counter = Counter::start(Counter(40)).await?;
/// # counter.add(2);
/// # assert_eq!(counter.get().await?, 42);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn server(options: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    server::expand(&options.into(), block).into()
}

/// Makes a protocol of a trait: what servers of different types can be asked
/// for, by one handle.
///
/// An `async fn` of the trait is a call, any other a cast. Of a trait `Store` it
/// makes
///
/// * `StoreMessage`, the enum of its messages;
/// * the trait `Store` itself, whose calls give a `BoxCall`; every reference
///   to a process whose message is made `From<StoreMessage>` has it;
/// * `StoreRef`, made of any such reference: it does not tell what server is
///   behind it, and is cheap to clone.
///
/// A call by a protocol is boxed.
///
/// # Errors
///
/// What does not compile says what was expected, where it is wrong.
///
/// # Differences from Erlang
///
/// There a client is a module and a server is a pid, so that anybody can send
/// anything. Here the compiler says whether a server knows the protocol.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
///
/// use resurgam::GenServer;
///
/// #[resurgam::protocol]
/// trait Store {
///     async fn get(&self, key: String) -> Option<String>;
///     fn put(&self, key: String, value: String);
/// }
///
/// #[derive(Default)]
/// struct InMemory(HashMap<String, String>);
///
/// #[resurgam::server]
/// impl InMemory {
///     #[protocol]
///     fn store(&mut self, message: StoreMessage) {
///         match message {
///             StoreMessage::Get(key, reply) => reply.send(self.0.get(&key).cloned()),
///             StoreMessage::Put(key, value) => drop(self.0.insert(key, value)),
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = StoreRef::from(InMemory::start(InMemory::default()).await?);
/// store.put("city".into(), "London".into());
/// assert_eq!(store.get("city".into()).await?.as_deref(), Some("London"));
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn protocol(options: TokenStream, item: TokenStream) -> TokenStream {
    let protocol = parse_macro_input!(item as ItemTrait);
    protocol::expand(&options.into(), &protocol)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Makes a test of a function that takes a `&mut Sim`: it is run under many
/// seeds.
///
/// * `seeds = 1000`: how many (100, if it is not said);
/// * `explore = Explore::Random`: how the order is chosen (mixed, if it is not
///   said);
/// * `sweep`, `sweep_panics`, `sweep_stops`: the function is run with every process killed,
///   or made to panic, or with the node stopped, at every step, see `Plan::sweep_kills`,
///   `Plan::sweep_panics` and `Plan::sweep_stops`; `seeds` is 1 then if it is not said.
///
/// The variables `SIM_SEED`, `SIM_SEEDS` and `SIM_TAPE` of the environment
/// overrule it, as for every plan.
#[proc_macro_attribute]
pub fn sim_test(options: TokenStream, item: TokenStream) -> TokenStream {
    let parser = Punctuated::<sim_test::Setting, Token![,]>::parse_terminated;
    let options = parse_macro_input!(options with parser);
    let test = parse_macro_input!(item as ItemFn);
    sim_test::expand(options, &test)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}
