//! Tokio tasks with the channels of flume: messages and calls only.

use flume::{Receiver, Sender};

use super::actors::{Address, Behaviour, Flow, Peer};
use super::on_tokio;

pub(super) enum Flume {}

impl Peer for Flume {
    type Address<B: Behaviour> = Sender<B::Message>;
    type Server = Sender<Ask>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(driver)
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> Sender<B::Message> {
        let (sender, messages) = flume::unbounded();
        tokio::spawn(run(behaviour, messages));
        sender
    }

    async fn serve(_: u64, word: u64) -> Sender<Ask> {
        let (sender, requests) = flume::unbounded();
        tokio::spawn(answer(word, requests));
        sender
    }

    async fn ask(server: &Sender<Ask>, n: u64) -> u64 {
        let (reply, answer) = flume::bounded(1);
        server.send(Ask(n, reply)).expect("the server lives");
        answer.recv_async().await.expect("the server answers")
    }
}

impl<M: Send + 'static> Address<M> for Sender<M> {
    fn send(&self, message: M) {
        drop(Sender::send(self, message));
    }
}

/// A task around a behaviour.
async fn run<B: Behaviour>(mut behaviour: B, messages: Receiver<B::Message>) {
    let mut flow = behaviour.begin();
    while flow == Flow::Continue {
        let Ok(message) = messages.recv_async().await else {
            return;
        };
        flow = behaviour.handle(message);
    }
}

pub(super) struct Ask(u64, Sender<u64>);

/// Answers; it has a word of state.
async fn answer(_word: u64, requests: Receiver<Ask>) {
    while let Ok(Ask(n, reply)) = requests.recv_async().await {
        reply.send(n).expect("the caller waits");
    }
}
