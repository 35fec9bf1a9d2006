//! What a supervisor is called.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use resurgam_runtime::{GenServer, Name, Registry, ServerBuilder};

/// What a supervisor is called: a name, a key of a registry, both or neither.
pub(crate) struct Called<S: GenServer> {
    pub(crate) name: Option<Name>,
    via: Option<Arc<Via<S>>>,
}

/// Has a server registered under a key.
type Via<S> = dyn Fn(ServerBuilder<S>) -> ServerBuilder<S> + Send + Sync;

impl<S: GenServer> Called<S> {
    pub(crate) const NOTHING: Self = Self {
        name: None,
        via: None,
    };

    pub(crate) fn set_key<K, V>(&mut self, registry: &Registry<K, V>, key: K, value: V)
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let registry = registry.clone();
        self.via = Some(Arc::new(move |builder: ServerBuilder<S>| {
            builder.via(&registry, key.clone(), value.clone())
        }));
    }

    /// Has a server called so.
    pub(crate) fn call(self, mut builder: ServerBuilder<S>) -> ServerBuilder<S> {
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        match self.via {
            Some(via) => via(builder),
            None => builder,
        }
    }
}

impl<S: GenServer> Clone for Called<S> {
    fn clone(&self) -> Self {
        let Self { name, via } = self;
        let (name, via) = (name.clone(), via.clone());
        Self { name, via }
    }
}

impl<S: GenServer> fmt::Debug for Called<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}
