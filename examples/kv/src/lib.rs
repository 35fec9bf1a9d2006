//! A key-value server that speaks Redis's protocol, built as a supervision tree.
//!
//! Everything but the shell is pure: it knows neither sockets nor clocks nor
//! processes, and is tested as tables. In the shell, processes carry out what
//! the rest decides.

// What is said: from bytes to words, and from replies to bytes.
pub mod error;
pub mod protocol;
pub mod reply;

// What is kept, and what is done with it.
pub mod glob;
pub mod keyspace;
pub mod request;
pub mod store;
pub mod time;
pub mod value;

// What is asked: commands, whom they concern, and how replies are put together.
pub mod batch;
pub mod command;
pub mod session;
pub mod settings;

// The shell: the processes.
pub mod connection;
pub mod listener;
pub mod partition;
pub mod server;
