//! The server of a registry: the one who hears of the ends of its processes.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::exit_reason::ExitReason;
use crate::gen_server::{GenServer, Info, InitError, ServerContext};
use crate::pid::Pid;
use crate::process::trap_exit;

/// The server behind a [`Registry`](super::Registry). It takes no messages.
pub struct RegistryServer {
    open: Open,
}

/// What a server is started with, by
/// [`Registry::builder`](super::Registry::builder).
pub struct RegistryArgs(pub(super) Arc<dyn Serve>);

/// What a server does for its registry, whatever the keys are.
pub(super) trait Serve: Send + Sync {
    /// Whether the registry did not run, and does so by now.
    fn open(&self, ctx: &ServerContext<RegistryServer>) -> bool;

    /// A process has ended, or was said to.
    fn forget(&self, pid: Pid);

    /// How many entries there are.
    fn count(&self) -> usize;

    /// The registry runs no more.
    fn close(&self);
}

/// A registry that runs, until this is dropped: however the server ends, before
/// its end is told.
struct Open(Arc<dyn Serve>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl GenServer for RegistryServer {
    type Args = RegistryArgs;
    type Message = Infallible;

    async fn init(
        RegistryArgs(registry): RegistryArgs,
        ctx: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        trap_exit(true);
        if !registry.open(ctx) {
            let why = "this registry is running already";
            return Err(InitError::Error(ExitReason::custom(why)));
        }
        let open = Open(registry);
        Ok(Self { open })
    }

    async fn handle(
        &mut self,
        message: Infallible,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match message {}
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        if let Info::Exit(exit) = info {
            self.open.0.forget(exit.from);
        }
        Ok(())
    }

    fn format_status(&self) -> impl fmt::Debug {
        fmt::from_fn(|f| {
            f.debug_struct("RegistryServer")
                .field("entries", &self.open.0.count())
                .finish()
        })
    }
}

impl fmt::Debug for RegistryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryServer")
    }
}

impl fmt::Debug for RegistryArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistryArgs")
    }
}
