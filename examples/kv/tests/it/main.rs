//! The server from outside: real sockets, a node of its own for each test.

mod crash;
mod laws;
mod load;
mod malformed;
mod recorded;
mod seeded;
mod session;
mod supervision;
mod world;
