//! Children that write down when they start and end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use resurgam::{
    ChildSpec, Context, ExitReason, GenServer, InitError, ServerContext, Started, sleep,
    spawn_options, trap_exit,
};

/// What the children of a scenario share: `+a` is a start, `!a` one that
/// failed, `-a` an end.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    log: Vec<String>,
    /// How many more starts of a child are to fail.
    failing: HashMap<&'static str, u32>,
}

impl Stage {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, what: char, name: &str) {
        self.book().log.push(format!("{what}{name}"));
    }

    /// What happened since this was asked last.
    pub(super) fn take(&self) -> String {
        std::mem::take(&mut self.book().log).join(" ")
    }

    /// Lets the next starts of a child fail.
    pub(super) fn fail(&self, name: &'static str, times: u32) {
        self.book().failing.insert(name, times);
    }

    /// Whether a start is to fail; counts it.
    fn fails(&self, name: &str) -> bool {
        let mut book = self.book();
        let Some(left) = book.failing.get_mut(name).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        true
    }

    fn begin(&self, name: &'static str) -> Life {
        self.write('+', name);
        Life {
            stage: self.clone(),
            name,
        }
    }

    /// A server of this name that ends with the reason it is sent.
    pub(super) fn worker(&self, name: &'static str) -> ChildSpec {
        self.server(name, Manner::Plain)
    }

    /// As `worker`; it traps exits and takes its time to end.
    pub(super) fn careful(&self, name: &'static str) -> ChildSpec {
        self.server(name, Manner::Careful)
    }

    fn server(&self, name: &'static str, manner: Manner) -> ChildSpec {
        let stage = self.clone();
        ChildSpec::server_with(name, move || {
            Worker::builder((stage.clone(), name, manner)).name(name)
        })
    }

    /// A process that only a kill ends.
    pub(super) fn deaf(&self, name: &'static str) -> ChildSpec {
        let stage = self.clone();
        ChildSpec::new(name, move || {
            let life = stage.begin(name);
            async move {
                let options = spawn_options().link().trap_exit().name(name);
                let spawned = options.spawn(|mut ctx: Context<()>| async move {
                    let _life = life;
                    loop {
                        ctx.receive().await;
                    }
                })?;
                Started::process(&spawned.process)
            }
        })
    }
}

/// Writes down an end.
#[derive(Debug)]
struct Life {
    stage: Stage,
    name: &'static str,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.stage.write('-', self.name);
    }
}

/// How a server takes an order to stop.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Manner {
    Plain,
    Careful,
}

#[derive(Debug)]
struct Worker {
    _life: Life,
    manner: Manner,
}

impl GenServer for Worker {
    type Args = (Stage, &'static str, Manner);
    type Message = ExitReason;

    async fn init(
        (stage, name, manner): Self::Args,
        _: &mut ServerContext<Self>,
    ) -> Result<Self, InitError> {
        if stage.fails(name) {
            stage.write('!', name);
            return Err(InitError::Stop(ExitReason::custom("as it was told")));
        }
        trap_exit(manner == Manner::Careful);
        let _life = stage.begin(name);
        Ok(Self { _life, manner })
    }

    async fn handle(
        &mut self,
        reason: ExitReason,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        Err(reason)
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut ServerContext<Self>) {
        if self.manner == Manner::Careful {
            sleep(Duration::from_millis(100)).await;
        }
    }
}
