//! What a server was started with.

use std::net::SocketAddr;

use crate::command::DebugAccess;
use crate::glob::Glob;
use crate::reply::Reply;
use crate::time::Calendar;

/// The version of Redis whose replies this server gives.
pub const REDIS_VERSION: &str = "7.0.15";

/// What every connection of a server knows of it. None of it changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server listens.
    pub address: SocketAddr,
    /// How many partitions hold the keys.
    pub partitions: usize,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// Whether `DEBUG CRASH` is allowed.
    pub debug: DebugAccess,
    /// The date, by the node's clock.
    pub calendar: Calendar,
}

impl Settings {
    /// The answer to `CONFIG GET`.
    pub fn matching(&self, patterns: &[Glob]) -> Reply {
        let parameters = self.parameters().into_iter();
        let wanted = parameters.filter(|(name, _)| {
            patterns
                .iter()
                .any(|pattern| pattern.matches(name.as_bytes()))
        });
        let pairs = wanted.map(|(name, value)| (Reply::literal(name), Reply::Bulk(value.into())));
        Reply::Map(pairs.collect())
    }

    /// Those of Redis's parameters that mean something here.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("appendonly", "no".to_owned()),
            ("bind", self.address.ip().to_string()),
            ("databases", "1".to_owned()),
            ("maxclients", self.max_connections.to_string()),
            ("maxmemory", "0".to_owned()),
            ("maxmemory-policy", "noeviction".to_owned()),
            ("port", self.address.port().to_string()),
            ("proto-max-bulk-len", crate::protocol::MAX_BULK.to_string()),
            ("save", String::new()),
            ("timeout", "0".to_owned()),
        ]
    }
}
