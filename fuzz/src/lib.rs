//! What the fuzz targets share: the laws that kv's own tests try on seeded
//! inputs.

#[path = "../../examples/kv/tests/it/laws.rs"]
pub mod laws;
