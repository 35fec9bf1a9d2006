//! Erlang itself, as the judge: one `erl` that answers case after case; with
//! Elixir, if that is wanted.
//!
//! It runs on one scheduler, see `erlang/proof.erl`.
//!
//! # What is not compared
//!
//! The laws are those of OTP 29 and Elixir 1.21; the `erl` and the `elixir` at
//! hand may be older.
//!
//! * `exit(self(), normal)` of a process that does not trap exits is not
//!   performed there: before OTP 29 it ended the process (EXIT-09, EXIT-11).
//! * A process that does not trap exits and links to a dead one ends with
//!   `noproc` on both sides, here by a signal, there by an error (LINK-05).
//!   The stack that errors carry there is cut off (EXIT-03).
//! * Of monitors that a process made, the number is compared, not whom they
//!   watch: by name, Erlang keeps the name, Resurgam the pid.
//! * No child of a dynamic supervisor says `ignore` when it is restarted: OTP 25
//!   keeps an entry without a process for it, later ones do not (SUP-157).
//! * Of a dynamic supervisor, Erlang counts one spec, Resurgam (as Elixir) one a
//!   child (SUP-159, DYN-16).
//! * Of applications, what is different by design is left out, or said, at its
//!   place in `applications/run.rs`: a stop of what is being started, starts of
//!   many that others meddle with, and a start of a permanent application that
//!   fails, which ends the script.
//! * Where supervisors are killed, or stop children side by side, the ends of
//!   children are compared without their order.
//! * Erlang's `pg` tells of each membership that a death ends; it names, of those
//!   that were to leave, also who was no member; and it keeps a group that nobody
//!   joined. See `erlang/groups.erl` (PG-02, PG-03, PG-04).
//! * Listeners of Elixir's `Registry` do not hear of ends. See `elixir/keys.ex`,
//!   and [`keys`](crate::keys) and [`tasks`](crate::tasks).

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A running `erl`.
#[derive(Debug)]
pub struct Erlang {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    folder: PathBuf,
}

/// The Erlang side's modules.
const MODULES: [(&str, &str); 10] = [
    (
        "applications.erl",
        include_str!("../erlang/applications.erl"),
    ),
    ("events.erl", include_str!("../erlang/events.erl")),
    ("groups.erl", include_str!("../erlang/groups.erl")),
    ("proof.erl", include_str!("../erlang/proof.erl")),
    ("servers.erl", include_str!("../erlang/servers.erl")),
    (
        "servers_client.erl",
        include_str!("../erlang/servers_client.erl"),
    ),
    (
        "servers_follower.erl",
        include_str!("../erlang/servers_follower.erl"),
    ),
    ("signals.erl", include_str!("../erlang/signals.erl")),
    ("statem.erl", include_str!("../erlang/statem.erl")),
    ("tree.erl", include_str!("../erlang/tree.erl")),
];

/// Elixir's.
const ELIXIR_MODULES: [(&str, &str); 4] = [
    ("judge.ex", include_str!("../elixir/judge.ex")),
    ("keys.ex", include_str!("../elixir/keys.ex")),
    ("pools.ex", include_str!("../elixir/pools.ex")),
    ("tasks.ex", include_str!("../elixir/tasks.ex")),
];

impl Erlang {
    /// Whether there is an `erl` to be started.
    pub fn is_there() -> bool {
        answers("erl", "-version")
    }

    /// Whether there is an `elixir` to be started.
    pub fn is_with_elixir() -> bool {
        answers("elixir", "--version")
    }

    /// Compiles the modules and starts Erlang.
    ///
    /// # Errors
    ///
    /// If there is no `erl` or `erlc`, or the modules do not compile.
    pub fn start() -> io::Result<Self> {
        let folder = folder();
        compile("erlc", &MODULES, &folder)?;
        let mut erl = Command::new("erl");
        erl.args(["-noshell", "-noinput", "+S", "1:1"])
            .args(["-kernel", "logger_level", "none"])
            .arg("-pa")
            .arg(&folder)
            .args(["-s", "proof", "main"]);
        Self::run(erl, folder)
    }

    /// As [`start`](Self::start), with Elixir, which knows of other kinds of
    /// cases.
    ///
    /// # Errors
    ///
    /// As there, or if there is no `elixir` or `elixirc`.
    pub fn start_with_elixir() -> io::Result<Self> {
        let folder = folder();
        compile("erlc", &MODULES, &folder)?;
        compile("elixirc", &ELIXIR_MODULES, &folder)?;
        let mut elixir = Command::new("elixir");
        elixir
            .args(["--erl", "-noinput +S 1:1 -kernel logger_level none"])
            .arg("-pa")
            .arg(&folder)
            .args(["-e", "Proof.Judge.main()"]);
        Self::run(elixir, folder)
    }

    fn run(mut command: Command, folder: PathBuf) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("erl has no pipes");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self {
            child,
            pipes: Mutex::new((stdin, stdout)),
            folder,
        })
    }

    /// What Erlang sees of a case, which is an Erlang term.
    ///
    /// # Errors
    ///
    /// If Erlang has gone.
    pub fn ask(&self, case: &str) -> io::Result<String> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (stdin, stdout) = &mut *pipes;
        stdin.write_all(format!("{case}\n").as_bytes())?;
        stdin.flush()?;
        let mut line = String::new();
        if stdout.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn answers(command: &str, question: &str) -> bool {
    let status = Command::new(command)
        .arg(question)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("resurgam-proof-{}", fastrand::u64(..)))
}

fn compile(compiler: &str, modules: &[(&str, &str)], folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in modules {
        std::fs::write(folder.join(name), text)?;
    }
    let status = Command::new(compiler)
        .current_dir(folder)
        .args(modules.iter().map(|(name, _)| name))
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{compiler}: {status}")))
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
