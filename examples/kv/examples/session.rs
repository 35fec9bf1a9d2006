//! Runs the scripted sessions against a server that runs already, a real Redis
//! or this one. **It empties the server.**
//!
//! ```text
//! cargo run -p kv --example session -- record 127.0.0.1:6379   # keep its replies
//! cargo run -p kv --example session -- check 127.0.0.1:6380    # compare with those kept
//! cargo run -p kv --example session -- differ 127.0.0.1:6379 127.0.0.1:6380
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use kv::reply::Protocol;

#[path = "session/differ.rs"]
mod differ;
#[path = "session/noise.rs"]
mod noise;
#[path = "../tests/it/session.rs"]
mod session;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["record", address] => each_session(address.parse()?, record),
        ["check", address] => each_session(address.parse()?, check),
        ["differ", one, other] => {
            let (one, other) = (one.parse()?, other.parse()?);
            differ::run(one, other)?;
            noise::run(one, other)
        }
        _ => Err("usage: session record <address> | check <address> | differ <one> <other>".into()),
    }
}

type Task = fn(SocketAddr, Protocol, &Path) -> Result<(), Box<dyn Error>>;

fn each_session(address: SocketAddr, task: Task) -> Result<(), Box<dyn Error>> {
    for script in session::scripts() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            task(address, protocol, &script)?;
        }
    }
    Ok(())
}

fn record(address: SocketAddr, protocol: Protocol, script: &Path) -> Result<(), Box<dyn Error>> {
    let steps = session::record(address, protocol, session::read(script));
    std::fs::write(
        session::recording(script, protocol),
        session::text_of(&steps),
    )?;
    println!("{} replies recorded for {}", steps.len(), script.display());
    Ok(())
}

fn check(address: SocketAddr, protocol: Protocol, script: &Path) -> Result<(), Box<dyn Error>> {
    let recorded = session::read(&session::recording(script, protocol));
    let live = session::record(address, protocol, recorded.clone());
    session::compare(&recorded, &live)?;
    println!(
        "{} replies as recorded for {}",
        recorded.len(),
        script.display()
    );
    Ok(())
}
