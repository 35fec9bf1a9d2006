//! A to-do server whose lists survive any crash: the system that books on
//! Elixir build, as a supervision tree of Resurgam.

// What is kept, and how it changes: no processes, no clock, no files.
pub mod entry;
pub mod list;

// Where it is kept.
pub mod database;
pub mod folder;
pub mod storage;

// Who keeps it at hand: a server for each list, started when it is asked for.
pub mod list_server;
pub mod lists;

// How the world asks for it.
pub mod api;
pub mod route;
pub mod web;

// All of it together.
pub mod application;
