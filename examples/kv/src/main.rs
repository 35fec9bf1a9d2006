//! The server as a program.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use kv::command::DebugAccess;
use kv::server::{Options, Server};
use lexopt::ValueExt;
use resurgam::Node;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

const USAGE: &str = "\
A key-value server that speaks Redis's protocol.

Usage: kv [options]

  --bind <address>          the IP address to listen at [127.0.0.1]
  --port <number>           the port to listen at, 0 for a free one [6380]
  --partitions <number>     how many processes hold the keys [16]
  --max-connections <number>  how many clients may be connected at once [10000]
  --enable-debug-crash      let clients crash a partition with DEBUG CRASH <key>
  --help                    show this text
";

/// Where each start of a process is reported, also those of connections.
const PROGRESS: &str = "resurgam::progress";
/// How long processes have to end when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// What the command line asks for.
enum Invocation {
    Serve(Options),
    Help,
}

#[tokio::main]
async fn main() -> ExitCode {
    write_log();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    match read_command_line(lexopt::Parser::from_env())? {
        Invocation::Serve(options) => serve(options).await,
        Invocation::Help => {
            print!("{USAGE}");
            Ok(())
        }
    }
}

/// Crash reports and the like go to the standard error; `RUST_LOG` says which.
fn write_log() {
    let chosen = std::env::var("RUST_LOG")
        .ok()
        .and_then(|targets| targets.parse().ok());
    let usual = || {
        Targets::new()
            .with_default(Level::INFO)
            .with_target(PROGRESS, Level::WARN)
    };
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours);
    let filter: Targets = chosen.unwrap_or_else(usual);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let node = Node::new()?;
    let server = Server::start(&node, options).await?;
    println!("kv: listening on {}", server.address());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        reason = server.ended(&node) => {
            return Err(format!("the server has ended: {reason}").into());
        }
    }
    println!("kv: stopping");
    server.stop().await?;
    node.stop(GRACE).await?;
    Ok(())
}

fn read_command_line(mut parser: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Long("bind") => options.address.set_ip(parser.value()?.parse()?),
            lexopt::Arg::Long("port") => options.address.set_port(parser.value()?.parse()?),
            lexopt::Arg::Long("partitions") => options.partitions = parser.value()?.parse()?,
            lexopt::Arg::Long("max-connections") => {
                options.max_connections = parser.value()?.parse()?;
            }
            lexopt::Arg::Long("enable-debug-crash") => options.debug = DebugAccess::Allowed,
            lexopt::Arg::Long("help") => return Ok(Invocation::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Invocation::Serve(options))
}
