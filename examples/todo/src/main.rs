//! The server as a program.

use std::error::Error;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::ValueExt;
use resurgam::{Applications, Config, Node, StartMode, StartType};
use todo::application::{self, ADDRESS, FOLDER, LISTENING, NAME, WORKERS};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

const USAGE: &str = "\
To-do lists that survive any crash.

Usage: todo [options]

  --folder <path>        where the lists are kept [todo-lists]
  --address <ip:port>    where to listen, port 0 for a free one [127.0.0.1:5454]
  --workers <number>     how many workers the database has [3]
  --help                 show this text
";

/// Where each start of a process is reported, also those of connections.
const PROGRESS: &str = "resurgam::progress";
/// How long processes have to end when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// What the command line asks for.
enum Invocation {
    Serve(Config),
    Help,
}

#[tokio::main]
async fn main() -> ExitCode {
    write_log();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("todo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    match read_command_line(lexopt::Parser::from_env())? {
        Invocation::Serve(config) => serve(config).await,
        Invocation::Help => {
            print!("{USAGE}");
            Ok(())
        }
    }
}

/// The application is permanent: should it give up, the node stops, and the
/// program ends for whoever looks after programs to start it again.
async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let node = Node::new()?;
    let apps = Applications::builder()
        .config(config)
        .start_on(&node)
        .await?;
    apps.load(application::application()).await?;
    apps.ensure_all_started_as(StartType::Permanent, StartMode::Serial, [NAME])
        .await?;
    let address: SocketAddr = apps.env().get(NAME, LISTENING)?;
    println!("todo: listening on {address}");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        reason = apps.join() => return Err(format!("the server has ended: {reason}").into()),
    }
    println!("todo: stopping");
    apps.stop_all().await;
    node.stop(GRACE).await?;
    Ok(())
}

fn read_command_line(mut parser: lexopt::Parser) -> Result<Invocation, lexopt::Error> {
    let mut config = Config::new();
    while let Some(argument) = parser.next()? {
        config = match argument {
            lexopt::Arg::Long("folder") => config.set(NAME, FOLDER, PathBuf::from(parser.value()?)),
            lexopt::Arg::Long("address") => {
                config.set(NAME, ADDRESS, parser.value()?.parse::<SocketAddr>()?)
            }
            lexopt::Arg::Long("workers") => {
                config.set(NAME, WORKERS, parser.value()?.parse::<usize>()?)
            }
            lexopt::Arg::Long("help") => return Ok(Invocation::Help),
            other => return Err(other.unexpected()),
        };
    }
    Ok(Invocation::Serve(config))
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
