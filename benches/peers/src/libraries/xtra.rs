//! xtra: an actor is a task with a mailbox that can be unbounded; no links,
//! supervisors, timers or names.

use futures::FutureExt;
use xtra::{Actor, Address as XtraAddress, Context, Handler, Mailbox};

use super::actors::{Address, Behaviour, Flow, Peer};
use super::on_tokio;

pub(super) enum Xtra {}

impl Peer for Xtra {
    type Address<B: Behaviour> = XtraAddress<Shell<B>>;
    type Server = XtraAddress<Word>;

    fn drive<T: Send + 'static>(driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio(driver)
    }

    fn launch(_: u64, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn spawn<B: Behaviour>(_: u64, behaviour: B) -> XtraAddress<Shell<B>> {
        xtra::spawn_tokio(Shell(behaviour), Mailbox::unbounded())
    }

    async fn serve(_: u64, _word: u64) -> XtraAddress<Word> {
        xtra::spawn_tokio(Word { _word }, Mailbox::unbounded())
    }

    async fn ask(server: &XtraAddress<Word>, n: u64) -> u64 {
        server.send(Ask(n)).await.expect("the server answers")
    }
}

/// An actor around a behaviour.
pub(super) struct Shell<B>(B);

/// What an actor around a behaviour is sent.
pub(super) struct Carried<M>(M);

impl<B: Behaviour> Actor for Shell<B> {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        match self.0.begin() {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(()),
        }
    }

    async fn stopped(self) {}
}

impl<B: Behaviour> Handler<Carried<B::Message>> for Shell<B> {
    type Return = ();

    async fn handle(&mut self, message: Carried<B::Message>, ctx: &mut Context<Self>) {
        if self.0.handle(message.0) == Flow::Stop {
            ctx.stop_self();
        }
    }
}

impl<B: Behaviour> Address<B::Message> for XtraAddress<Shell<B>> {
    fn send(&self, message: B::Message) {
        // The mailbox is unbounded, so this is sent when it is first polled.
        let sent = XtraAddress::send(self, Carried(message))
            .detach()
            .now_or_never();
        debug_assert!(sent.is_some(), "there is room");
    }
}

/// A server that answers.
pub(super) struct Word {
    _word: u64,
}

impl Actor for Word {
    type Stop = ();

    async fn stopped(self) {}
}

struct Ask(u64);

impl Handler<Ask> for Word {
    type Return = u64;

    async fn handle(&mut self, Ask(n): Ask, _: &mut Context<Self>) -> u64 {
        n
    }
}
