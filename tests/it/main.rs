//! The laws, tested through the public API.

mod support;
