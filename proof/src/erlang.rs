//! Erlang itself, as the judge: one `erl` that answers case after case.
//!
//! It runs on one scheduler, see `erlang/proof.erl`.
//!
//! # What is not compared
//!
//! The laws are those of OTP 29; the `erl` at hand may be older.
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
//! * Where supervisors are killed, or stop children side by side, the ends of
//!   children are compared without their order.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A running `erl`.
#[derive(Debug)]
pub struct Erlang {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    folder: std::path::PathBuf,
}

/// The Erlang side's modules.
const MODULES: [(&str, &str); 8] = [
    ("events.erl", include_str!("../erlang/events.erl")),
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

impl Erlang {
    /// Whether there is an `erl` to be started.
    pub fn is_there() -> bool {
        let version = Command::new("erl")
            .arg("-version")
            .stderr(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    }

    /// Compiles the modules and starts Erlang.
    ///
    /// # Errors
    ///
    /// If there is no `erl` or `erlc`, or the modules do not compile.
    pub fn start() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("resurgam-proof-{}", fastrand::u64(..)));
        compile(&folder)?;
        let mut child = Command::new("erl")
            .args([
                "-noshell",
                "-noinput",
                "+S",
                "1:1",
                "-kernel",
                "logger_level",
                "none",
            ])
            .arg("-pa")
            .arg(&folder)
            .args(["-s", "proof", "main"])
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

fn compile(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in MODULES {
        std::fs::write(folder.join(name), text)?;
    }
    let names = MODULES.map(|(name, _)| name);
    let status = Command::new("erlc")
        .current_dir(folder)
        .args(names)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("erlc: {status}")))
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
