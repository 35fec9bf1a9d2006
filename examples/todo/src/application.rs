//! The application: its settings and its tree.
//!
//! ```text
//! todo               rest for one
//! ├── database       partitions: workers that read and write lists
//! ├── registry       the servers of lists by the lists' names
//! ├── lists          dynamic: a server for each list that is in use
//! └── web            listener and connections
//! ```
//!
//! Each needs those above it. If one falls, those below fall with it and are
//! started anew, and so is the order of the start and, backwards, of the stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use resurgam::{
    Application, ApplicationContext, Backoff, StartError, Strategy, Supervisor, SupervisorBuilder,
    SupervisorRef,
};

use crate::database::Database;
use crate::folder::Folder;
use crate::lists::Lists;
use crate::storage::Storage;
use crate::web::Front;

/// The application's name.
pub const NAME: &str = "todo";
/// The setting that names the folder of the lists, a [`PathBuf`].
pub const FOLDER: &str = "folder";
/// The setting that says where to listen, a [`SocketAddr`]; port 0 is a free
/// one.
pub const ADDRESS: &str = "address";
/// The setting that says how many workers the database has, a [`usize`].
pub const WORKERS: &str = "workers";
/// The setting that says how long a list nobody asks for is kept at hand, a
/// [`Duration`].
pub const IDLE: &str = "idle";
/// Where it listens, a [`SocketAddr`]. It is set by the application itself.
pub const LISTENING: &str = "listening";

/// So many restarts within [`PERIOD`] are borne.
const MOST_RESTARTS: u32 = 10;
const PERIOD: Duration = Duration::from_secs(5);
/// When a supervisor was killed, the children it leaves behind need a moment to
/// go, and have their names until then. So who has children is not restarted at
/// once.
pub(crate) const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(20), Duration::from_millis(640));

/// The application and the settings it has if nobody says otherwise.
pub fn application() -> Application {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5454);
    Application::new(NAME)
        .description("to-do lists that survive any crash")
        .env(FOLDER, PathBuf::from("todo-lists"))
        .env(ADDRESS, address)
        .env(WORKERS, 3_usize)
        .env(IDLE, Duration::from_secs(10))
        .start(start)
}

async fn start(app: ApplicationContext) -> Result<SupervisorRef, StartError> {
    let path: PathBuf = app.get_env(FOLDER)?;
    let folder = Folder::open(path)?;
    let (lists, tree) = lists(folder, app.get_env(WORKERS)?, app.get_env(IDLE)?);
    let front = Front::bind(app.get_env(ADDRESS)?, lists).await?;
    let listening = front.address()?;
    app.applications().env().set(NAME, LISTENING, listening);
    Ok(tree.child(front.child()).start_link().await?)
}

/// The lists that are kept in this place, and their tree, as yet without a web
/// front.
pub fn lists(storage: impl Storage, workers: usize, idle: Duration) -> (Lists, SupervisorBuilder) {
    let (database, pool) = Database::new(storage, workers);
    let lists = Lists::new(database, idle);
    let tree = Supervisor::builder(Strategy::RestForOne)
        .intensity(MOST_RESTARTS, PERIOD)
        .child(pool)
        .children(lists.children());
    (lists, tree)
}
