//! What `COMMAND` tells of the commands.

use bytes::Bytes;

use super::table::{self, Row};
use crate::reply::Reply;

/// `COMMAND COUNT`.
pub(super) fn count(_: &[Bytes]) -> Reply {
    Reply::length(table::commands().count())
}

/// `COMMAND LIST`.
pub(super) fn list(_: &[Bytes]) -> Reply {
    Reply::Array(
        table::commands()
            .map(|row| Reply::literal(row.name))
            .collect(),
    )
}

/// `COMMAND INFO`: of the commands named, or of all.
pub(super) fn info(names: &[Bytes]) -> Reply {
    if names.is_empty() {
        return Reply::Array(table::commands().map(info_of).collect());
    }
    let named = names
        .iter()
        .map(|name| table::find(name).map_or(Reply::Null, info_of));
    Reply::Array(named.collect())
}

/// `COMMAND DOCS`: of the commands named, or of all.
pub(super) fn docs(names: &[Bytes]) -> Reply {
    if names.is_empty() {
        return Reply::Map(table::commands().map(docs_of).collect());
    }
    Reply::Map(
        names
            .iter()
            .filter_map(|name| table::find(name))
            .map(docs_of)
            .collect(),
    )
}

/// Name, arity, flags, keys; then categories, tips and key specifications,
/// of which this server has none; then the subcommands.
fn info_of(row: &Row) -> Reply {
    let (first, last, step) = row.keys;
    let flags = row.flags.iter().map(|flag| Reply::status(flag)).collect();
    let subcommands = table::subcommands(row).map(info_of).collect();
    Reply::Array(vec![
        Reply::literal(row.name),
        Reply::Integer(row.arity),
        Reply::Set(flags),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
        Reply::Set(Vec::new()),
        Reply::Array(Vec::new()),
        Reply::Array(Vec::new()),
        Reply::Array(subcommands),
    ])
}

fn docs_of(row: &'static Row) -> (Reply, Reply) {
    let mut docs = vec![
        (Reply::literal("summary"), Reply::literal(row.summary)),
        (Reply::literal("since"), Reply::literal(row.since)),
        (Reply::literal("group"), Reply::literal(row.group)),
    ];
    let subcommands: Vec<_> = table::subcommands(row).map(docs_of).collect();
    if !subcommands.is_empty() {
        docs.push((Reply::literal("subcommands"), Reply::Map(subcommands)));
    }
    (Reply::literal(row.name), Reply::Map(docs))
}
