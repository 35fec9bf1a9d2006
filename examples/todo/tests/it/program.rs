//! The program itself: killed, started again, asked to stop.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;
use todo::entry::Entry;

use crate::http::ask;
use crate::{entry, http};

const PATH: &str = "/lists/Bob/entries";

/// The program as it runs. It is killed when this is dropped.
struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_todo"));
    command
        .args(["--address", "127.0.0.1:0", "--folder"])
        .arg(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(folder: &Path) -> Program {
    let mut child = command(folder)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output
        .read_line(&mut line)
        .expect("it says where it listens");
    let address = line
        .trim()
        .strip_prefix("todo: listening on ")
        .expect("an address");
    let address = address.parse().expect("an address");
    Program {
        child,
        output,
        address,
    }
}

fn add(address: SocketAddr, number: usize) -> bool {
    let body = serde_json::to_string(&entry(&format!("{number:06}"))).expect("words");
    ask(address, "POST", PATH, &body).is_ok_and(|answer| answer.status == 201)
}

fn entries(address: SocketAddr) -> Vec<Entry> {
    let response: http::Response = ask(address, "GET", PATH, "").expect("an answer");
    serde_json::from_str(&response.body).expect("a list of entries")
}

/// Adds entries until the program is gone; how many were promised.
fn add_until_it_is_gone(address: SocketAddr, first: usize) -> usize {
    (first..).take_while(|number| add(address, *number)).count()
}

#[test]
fn what_was_promised_is_there_after_the_program_was_killed() {
    let folder = TempDir::new().expect("a folder");
    let mut promised = 0;
    for _ in 0..3 {
        let mut program = start(folder.path());
        let address = program.address;
        assert!(add(address, promised));
        promised += 1;
        promised += thread::scope(|scope| {
            let client = scope.spawn(move || add_until_it_is_gone(address, promised));
            // In the midst of it, as other entries can be seen to come.
            while entries(address).len() < promised + 5 {
                thread::yield_now();
            }
            program.child.kill().expect("it runs");
            client.join().expect("the client does not fail")
        });
        drop(program);

        let program = start(folder.path());
        let found = entries(program.address);
        let expected = |number| entry(&format!("{number:06}"));
        assert!(
            (promised..=promised + 1).contains(&found.len()),
            "{promised}: {found:?}"
        );
        assert!(
            found
                .iter()
                .enumerate()
                .all(|(number, found)| *found == expected(number))
        );
        promised = found.len();
    }
}

#[test]
fn an_interrupt_stops_the_program_in_good_order() {
    let folder = TempDir::new().expect("a folder");
    let mut program = start(folder.path());
    assert!(add(program.address, 0));
    let pid = program.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("there is a kill").success());
    assert!(program.child.wait().expect("it ends").success());
    let mut line = String::new();
    program.output.read_line(&mut line).expect("its last words");
    assert_eq!(line, "todo: stopping\n");
    assert_eq!(entries(start(folder.path()).address), [entry("000000")]);
}

#[test]
fn a_folder_belongs_to_one_program() {
    let folder = TempDir::new().expect("a folder");
    let first = start(folder.path());
    let second = command(folder.path()).output().expect("it starts");
    assert!(!second.status.success());
    let complaint = String::from_utf8_lossy(&second.stderr);
    assert!(
        complaint.contains("in use by another program"),
        "{complaint}"
    );
    assert!(add(first.address, 0));
}
