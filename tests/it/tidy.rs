//! What the project promises about itself.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files that decide and do nothing.
const PURE: [&str; 10] = [
    "runtime/src/process/reaction.rs",
    "runtime/src/process/links.rs",
    "runtime/src/gen_statem/agenda.rs",
    "runtime/src/scheduler/patience.rs",
    "supervisor/src/policy.rs",
    "supervisor/src/intensity.rs",
    "supervisor/src/application/order.rs",
    "supervisor/src/application/waits.rs",
    "supervisor/src/backoff.rs",
    "supervisor/src/children/record.rs",
];

/// The files that may hold `unsafe` (docs/decisions).
const UNSAFE: [&str; 12] = [
    "runtime/src/answer.rs",
    "runtime/src/answer/debts.rs",
    "runtime/src/mailbox.rs",
    "runtime/src/pool.rs",
    "runtime/src/pool/depot.rs",
    "runtime/src/process/cell.rs",
    "runtime/src/process/current.rs",
    "runtime/src/scheduler/local.rs",
    "runtime/src/scheduler/next.rs",
    "runtime/src/sim/books.rs",
    "runtime/src/sync/cell.rs",
    "runtime/src/sync/lock.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files below a folder.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// One row of the table of laws.
struct Law {
    id: String,
    status: String,
    evidence: String,
}

fn laws() -> Vec<Law> {
    let is_id = |cell: &str| {
        cell.split_once('-').is_some_and(|(family, number)| {
            family.chars().all(|c| c.is_ascii_uppercase()) && number.parse::<u16>().is_ok()
        })
    };
    let text = read("docs/semantics.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [id, _, status, evidence, ..] = cells.as_slice() else {
            return None;
        };
        let row = || Law {
            id: (*id).into(),
            status: (*status).into(),
            evidence: (*evidence).into(),
        };
        is_id(id).then(row)
    });
    rows.collect()
}

/// The names of all functions in the project's tests and modules.
fn functions() -> HashSet<String> {
    let files = ["tests", "runtime/src", "supervisor/src"]
        .map(rust_files)
        .concat();
    let mut names = HashSet::new();
    for file in files {
        for line in read(&file).lines() {
            if let Some((_, rest)) = line.split_once("fn ") {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                names.insert(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
    }
    names
}

/// The tests that a row names: the paths that stand in backticks.
fn named_tests(evidence: &str) -> impl Iterator<Item = &str> {
    let quoted = evidence.split('`').skip(1).step_by(2);
    let paths = quoted.filter_map(|path| path.rsplit_once("::"));
    let is_file = |file: &str| file.starts_with(|c: char| c.is_ascii_lowercase());
    paths
        .filter(move |(file, _)| is_file(file))
        .map(|(_, name)| name)
}

#[test]
fn every_law_says_how_it_stands_and_each_kept_one_has_its_test() {
    let functions = functions();
    let mut faults = Vec::new();
    for law in laws() {
        match law.status.as_str() {
            "kept" | "differs" => {
                let tests: Vec<_> = named_tests(&law.evidence).collect();
                if tests.is_empty() {
                    faults.push(format!("{} names no test", law.id));
                }
                for test in tests.into_iter().filter(|test| !functions.contains(*test)) {
                    faults.push(format!("{} names `{test}`, which is nowhere", law.id));
                }
            }
            "not applicable" if law.evidence.is_empty() => {
                faults.push(format!("{} gives no reason", law.id));
            }
            "not applicable" => {}
            other => faults.push(format!("{} has the unknown status `{other}`", law.id)),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_test_that_the_laws_name_exists() {
    let functions = functions();
    let text = read("docs/semantics.md") + &read("docs/reliability.md");
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let nowhere: Vec<_> = rows
        .flat_map(named_tests)
        .filter(|test| !functions.contains(*test))
        .collect();
    assert!(nowhere.is_empty(), "{nowhere:#?}");
}

/// The numbers of the law book: families, and their ranges.
const LAW_BOOK: [(&str, &[(u32, u32)]); 28] = [
    ("SPAWN", &[(1, 12)]),
    ("SIG", &[(1, 17)]),
    ("MSG", &[(1, 8)]),
    ("EXIT", &[(1, 21)]),
    ("TRAP", &[(1, 8)]),
    ("LINK", &[(1, 16)]),
    ("MON", &[(1, 19)]),
    ("ALIAS", &[(1, 13)]),
    ("PRIO", &[(1, 6)]),
    ("REG", &[(1, 9)]),
    ("TIMER", &[(1, 18)]),
    ("INFO", &[(1, 6)]),
    ("PLIB", &[(1, 16)]),
    ("GS", &[(1, 11), (20, 38), (50, 60), (70, 80)]),
    ("REQ", &[(1, 11)]),
    ("STM", &[(1, 36)]),
    ("EVT", &[(1, 13)]),
    ("SYS", &[(1, 13)]),
    (
        "SUP",
        &[
            (1, 17),
            (30, 39),
            (50, 63),
            (70, 95),
            (100, 114),
            (130, 136),
            (150, 163),
            (170, 173),
            (190, 192),
        ],
    ),
    ("BRG", &[(1, 4)]),
    ("DYN", &[(1, 20)]),
    ("PART", &[(1, 8)]),
    ("TASK", &[(1, 29)]),
    ("AGT", &[(1, 4)]),
    ("PREG", &[(1, 16)]),
    ("PG", &[(1, 13)]),
    ("APP", &[(1, 16)]),
    ("LOG", &[(1, 8)]),
];

#[test]
fn every_law_of_the_law_book_is_listed_once() {
    let listed: Vec<_> = laws().into_iter().map(|law| law.id).collect();
    let unique: HashSet<_> = listed.iter().collect();
    assert_eq!(listed.len(), unique.len(), "a law is listed twice");
    let ranges = LAW_BOOK
        .iter()
        .flat_map(|(family, ranges)| ranges.iter().map(move |range| (family, range)));
    let book: HashSet<_> = ranges
        .flat_map(|(family, (first, last))| {
            (*first..=*last).map(move |number| format!("{family}-{number:02}"))
        })
        .collect();
    assert_eq!(book.len(), 522, "the numbers of the book");
    let missing: Vec<_> = book.iter().filter(|id| !unique.contains(id)).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
    // What is not in the book is a law of our own, and says so by its name.
    let unknown: Vec<_> = unique
        .iter()
        .filter(|id| !id.starts_with('X') && !book.contains(**id))
        .collect();
    assert!(unknown.is_empty(), "in no book: {unknown:?}");
}

#[test]
fn unsafe_is_only_where_a_decision_allows_it() {
    let files = ["src", "runtime/src", "supervisor/src", "tests", "examples"]
        .map(rust_files)
        .concat();
    let word = concat!("un", "safe ");
    for file in files {
        let name = file
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        let code = read(&file);
        let mut lines = code
            .lines()
            .map(|line| line.split("//").next().unwrap_or(line));
        let found = lines.any(|line| line.contains(word));
        assert!(
            !found || UNSAFE.contains(&name.as_str()),
            "{name} holds {word}code"
        );
    }
}

#[test]
fn what_decides_knows_no_clock_no_lock_and_no_io() {
    for file in PURE {
        let code = read(file);
        for word in [
            "tokio", "Mutex", "Atomic", "::now()", "async ", "std::net", "std::fs", "tracing",
        ] {
            let found = code.lines().find(|line| {
                let is_comment = line.trim_start().starts_with("//");
                !is_comment && line.contains(word)
            });
            assert_eq!(found, None, "{file} mentions {word}");
        }
    }
}

#[test]
fn every_example_is_in_the_readme() {
    let readme = read("README.md");
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(readme.contains(&name), "README.md does not mention {name}");
    }
}

/// The code of the README's example that has this word in it, without what is
/// empty or imported.
fn readme_code(word: &str) -> Vec<String> {
    let readme = read("README.md");
    let mut examples = readme.split("```").skip(1).step_by(2);
    let example = examples.find(|example| example.contains(word));
    let lines = example.expect("the README has it").lines().skip(1);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("use "))
        .map(str::to_owned)
        .collect()
}

/// XMAC-07
#[test]
fn a_counter_is_as_short_as_the_readme_says() {
    let by_hand = readme_code("impl GenServer for Counter");
    assert!(by_hand.len() <= 20, "{by_hand:#?}");
    let written = readme_code("#[resurgam::server]");
    let (server, rest) = written.split_at(
        written
            .iter()
            .position(|line| line.starts_with("async fn"))
            .unwrap(),
    );
    assert!(server.len() <= 12, "{server:#?}");
    let end = rest.iter().position(|line| line == "}").unwrap();
    assert!(end < 6, "{rest:#?}");
}

#[test]
fn no_macro_writes_a_method_that_a_reference_would_hide() {
    let list = read("macros/src/message.rs");
    for file in [
        "runtime/src/process_ref.rs",
        "runtime/src/behaviour/stop.rs",
        "runtime/src/request.rs",
    ] {
        let code = read(file);
        let block = code
            .split("> ProcessRef<M> {")
            .nth(1)
            .expect("it has methods");
        let block = block.split("\n}").next().unwrap();
        let functions = block
            .split("\n    pub ")
            .filter_map(|rest| rest.split_once("fn "));
        let names = functions.filter(|(before, _)| matches!(*before, "" | "async "));
        for name in names.filter_map(|(_, rest)| rest.split(['(', '<']).next()) {
            assert!(
                list.contains(&format!("\"{name}\",")),
                "macros/src/message.rs does not know {name}"
            );
        }
    }
}
