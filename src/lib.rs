//! Placeholder.
pub use resurgam_runtime::*;
