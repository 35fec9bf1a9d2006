//! The server from outside: real sockets, a node of its own for each test.

mod crash;
mod load;
mod malformed;
mod recorded;
mod session;
mod supervision;
mod world;
