//! What this program occupies.

/// What this program has grown by since it occupied `before`, without the
/// list of what was made.
pub fn grown<T>(before: u64, made: &[T]) -> u64 {
    let list = size_of_val(made) as u64;
    resident().saturating_sub(before + list)
}

/// The memory this program occupies now, in bytes, exactly; 0 where the kernel
/// does not tell.
pub fn resident() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    1024 * kib.unwrap_or(0)
}
