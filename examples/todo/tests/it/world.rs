//! The application on a node of its own, in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr};

use resurgam::{Applications, Config, Node};
use tempfile::TempDir;
use todo::application::{self, ADDRESS, FOLDER, LISTENING, NAME};
use todo::entry::Entry;

use crate::http::{self, Response};

/// The application, as it runs in a test.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) apps: Applications,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let node = Node::new().expect("a node");
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config::new()
            .set(NAME, FOLDER, folder.path().to_owned())
            .set(NAME, ADDRESS, anywhere);
        let apps = node.block_on(async {
            let apps = Applications::builder().config(config);
            let apps = apps.start_on(&node).await.expect("a controller");
            let application = application::application();
            apps.load(application).await.expect("it can be loaded");
            apps.start(NAME).await.expect("it starts");
            apps
        });
        let address = apps.env().get(NAME, LISTENING).expect("it listens");
        Self {
            node,
            apps,
            address,
            _folder: folder,
        }
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        http::ask(self.address, method, path, body).expect("there is an answer")
    }

    #[track_caller]
    pub(crate) fn entries(&self, path: &str) -> Vec<Entry> {
        let response = self.ask("GET", path, "");
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_str(&response.body).expect("a list of entries")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.node.block_on(self.apps.stop_all());
    }
}
