//! Where and with what it was measured.

use std::process::Command;

/// The lock file that this program was built with.
const LOCK: &str = include_str!("../Cargo.lock");

/// The model of the processor, as the kernel names it.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    model.map_or("unknown processor".to_owned(), |(_, model)| {
        model.to_owned()
    })
}

/// How many cores this program may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a program says when it is run, in one line.
pub fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let line = said.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// The version of a package that this program was built with.
pub fn version(package: &str) -> &'static str {
    // Where the lock file has several, it says which one is meant.
    let mine = block("peers").find_map(|line| {
        let dependency = line.trim().strip_prefix('"')?.strip_prefix(package)?;
        dependency.strip_prefix(' ')?.strip_suffix("\",")
    });
    let only = block(package).find_map(|line| line.strip_prefix("version = "));
    mine.or(only)
        .map_or("?", |version| version.trim_matches('"'))
}

/// The lines of the lock file about a package.
fn block(package: &str) -> impl Iterator<Item = &'static str> {
    let first = format!("name = \"{package}\"");
    let lines = LOCK.lines().skip_while(move |&line| line != first);
    lines.take_while(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_dependency_and_not_of_a_namesake() {
        assert!(LOCK.matches("name = \"flume\"").count() > 1);
        assert!(version("flume").starts_with("0.12."));
        assert!(version("tokio").starts_with("1."));
        assert_eq!(version("no such package"), "?");
    }
}
