//! All lists: their servers are started when they are asked for, and found by
//! their names.

use std::time::Duration;

use resurgam::{
    CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Registry, Reply, ServerRef,
    StartDynamicChildError, StartError, sleep,
};

use crate::application::BACKOFF;
use crate::database::Database;
use crate::entry::{Date, Entry, ListName};
use crate::list::{Change, EntryTaken};
use crate::list_server::{Args, ListServer, Message};

/// The name of the supervisor of the lists' servers.
const SUPERVISOR: &str = "todo.lists";
/// How often a list is asked before it is given up.
const ATTEMPTS: u32 = 8;
/// How long to wait after the first attempt; after the others twice as long
/// each time. Less than three seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The way to all lists.
#[derive(Clone, Debug)]
pub struct Lists {
    registry: Registry<ListName>,
    database: Database,
    idle: Duration,
}

/// A list that did not answer, although it was asked again and again. A change
/// may have been made or not; to ask for it once more does no harm.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Its server was not started.
    #[error(transparent)]
    NotStarted(#[from] StartDynamicChildError),
    /// Its server did not answer.
    #[error("list: {0}")]
    NoAnswer(#[from] CallError),
}

impl Lists {
    /// All lists of this database. A server that nobody has asked anything for
    /// so long as `idle` ends.
    pub fn new(database: Database, idle: Duration) -> Self {
        let registry = Registry::unique();
        Self {
            registry,
            database,
            idle,
        }
    }

    /// What is to be supervised, in this order: without the registry nobody is
    /// found.
    pub fn children(&self) -> [ChildSpec; 2] {
        let registry = self.registry.clone();
        [
            ChildSpec::server_with("registry", move || registry.builder()),
            ChildSpec::dynamic_supervisor("lists", || {
                DynamicSupervisor::builder().name(SUPERVISOR)
            })
            .backoff(BACKOFF),
        ]
    }

    /// What is to be done on this day, or at all.
    ///
    /// # Errors
    ///
    /// See [`Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn entries(
        &self,
        list: &ListName,
        date: Option<&Date>,
    ) -> Result<Vec<Entry>, Unavailable> {
        let ask = |reply| Message::Entries(date.cloned(), reply);
        self.ask(list, ask).await
    }

    /// Changes a list. The change is there for good when this has returned.
    ///
    /// # Errors
    ///
    /// See [`Unavailable`] and, inside, [`EntryTaken`].
    ///
    /// # Cancel safety
    ///
    /// The change may be made or not.
    pub async fn change(
        &self,
        list: &ListName,
        change: Change,
    ) -> Result<Result<(), EntryTaken>, Unavailable> {
        let ask = |reply| Message::Change(change.clone(), reply);
        self.ask(list, ask).await
    }

    /// Asks until there is an answer: whatever crashed meanwhile is about to be
    /// restarted. All that can be asked may be asked twice.
    async fn ask<T: Send + 'static>(
        &self,
        list: &ListName,
        request: impl Fn(Reply<T>) -> Message,
    ) -> Result<T, Unavailable> {
        for attempt in 0..ATTEMPTS - 1 {
            match self.ask_once(list, &request).await {
                Ok(answer) => return Ok(answer),
                // It has cost more time than anybody wants to wait.
                Err(error @ Unavailable::NoAnswer(CallError::TimedOut)) => return Err(error),
                Err(error) => tracing::debug!(%list, %error, "asking again"),
            }
            sleep(FIRST_PAUSE * 2_u32.pow(attempt)).await;
        }
        self.ask_once(list, &request).await
    }

    async fn ask_once<T: Send + 'static>(
        &self,
        list: &ListName,
        request: impl Fn(Reply<T>) -> Message,
    ) -> Result<T, Unavailable> {
        let server: ServerRef<ListServer> = self.registry.via(list.clone());
        if server.pid().is_none() {
            self.start(list).await?;
        }
        Ok(server.call(request).await?)
    }

    /// Starts the server of a list. Somebody else may have been quicker.
    async fn start(&self, list: &ListName) -> Result<(), StartDynamicChildError> {
        let lists = DynamicSupervisorRef::named(SUPERVISOR);
        match lists.start_child(self.server(list)).await {
            Ok(_) | Err(StartDynamicChildError::Failed(StartError::AlreadyStarted(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// It is temporary: who needs it after a crash will have it started.
    fn server(&self, list: &ListName) -> ChildSpec {
        let (name, database, idle) = (list.clone(), self.database.clone(), self.idle);
        let (registry, args) = (
            self.registry.clone(),
            Args {
                name,
                database,
                idle,
            },
        );
        let builder = move || ListServer::named(&registry, args.clone());
        ChildSpec::server_with(list.as_str(), builder).temporary()
    }
}
