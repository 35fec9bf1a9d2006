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
    let line = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|&l| l != line);
    let version = lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = "));
    version.map_or("?", |version| version.trim_matches('"'))
}
