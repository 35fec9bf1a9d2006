//! The process that keeps one list at hand.

use std::time::Duration;

use resurgam::{
    ExitReason, GenServer, Info, InitError, Registry, Reply, ServerBuilder, ServerContext,
};

use crate::database::Database;
use crate::entry::{Date, Entry, ListName};
use crate::list::{Change, EntryTaken, TodoList};

/// A server for one list. It has in memory what is in the database, and makes
/// no promise that the database has not.
#[derive(Debug)]
pub struct ListServer {
    args: Args,
    list: TodoList,
}

/// What a list's server is started with.
#[derive(Clone, Debug)]
pub struct Args {
    /// The list.
    pub name: ListName,
    /// Where it is kept.
    pub database: Database,
    /// How long the server lives if nobody asks it anything.
    pub idle: Duration,
}

/// What a list's server is asked.
#[derive(Debug)]
pub enum Message {
    /// Read the list. The server says it to itself.
    Load,
    /// What is to be done on this day, or at all?
    Entries(Option<Date>, Reply<Vec<Entry>>),
    /// Change the list.
    Change(Change, Reply<Result<(), EntryTaken>>),
}

impl ListServer {
    /// A server that is found by the name of its list, and the only one.
    pub fn named(registry: &Registry<ListName>, args: Args) -> ServerBuilder<Self> {
        let name = args.name.clone();
        Self::builder(args).via(registry, name, ())
    }
}

impl GenServer for ListServer {
    type Args = Args;
    type Message = Message;

    /// Returns at once, since the supervisor waits for it. The list is read
    /// after that, and before anybody is answered.
    async fn init(args: Args, ctx: &mut ServerContext<Self>) -> Result<Self, InitError> {
        ctx.continue_with(Message::Load);
        let list = TodoList::default();
        Ok(Self { args, list })
    }

    async fn handle(
        &mut self,
        message: Message,
        ctx: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match message {
            Message::Load => self.list = self.args.database.load(&self.args.name).await?,
            Message::Entries(date, reply) => reply.send(self.list.entries(date.as_ref())),
            Message::Change(change, reply) => reply.send(self.change(change).await?),
        }
        ctx.set_timeout(self.args.idle);
        Ok(())
    }

    async fn handle_info(
        &mut self,
        info: Info,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match info {
            Info::Timeout => Err(ExitReason::Normal),
            _ => Ok(()),
        }
    }
}

impl ListServer {
    /// Changes the list, in the database first. If that fails nobody knows what
    /// the database has; the server ends, and the next one will read it.
    async fn change(&mut self, change: Change) -> Result<Result<(), EntryTaken>, ExitReason> {
        match self.list.changed(change) {
            Ok(Some(changed)) => {
                let Args { name, database, .. } = &self.args;
                database.store(name, changed.clone()).await?;
                self.list = changed;
                Ok(Ok(()))
            }
            Ok(None) => Ok(Ok(())),
            Err(taken) => Ok(Err(taken)),
        }
    }
}
