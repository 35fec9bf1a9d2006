//! What the models share.

use std::any::Any;
use std::sync::Arc;

use crate::caught::PanicPayload;
use crate::mailbox::{Attention, Stamped, Wake};
use crate::process::cell::{BodyPoll, Header, Process};
use crate::reply::Owed;
use crate::signal::Signal;

/// A process that is only passed around. It has a size, so that each has its own
/// address.
#[derive(Default)]
pub(crate) struct Token {
    _size: u8,
}

impl Process for Token {
    fn header(&self) -> &Header {
        unreachable!()
    }
    fn mailbox(&self) -> &dyn Any {
        unreachable!()
    }
    fn message_type(&self) -> &'static str {
        unreachable!()
    }
    fn push_signal(&self, _: Signal) -> Result<Wake, Signal> {
        unreachable!()
    }
    fn notify(&self) -> Wake {
        unreachable!()
    }
    fn is_signalled(&self) -> bool {
        unreachable!()
    }
    fn begin_turn(&self) {
        unreachable!()
    }
    fn seize(&self) -> bool {
        unreachable!()
    }
    fn end_turn(&self, _: Attention) -> Wake {
        unreachable!()
    }
    fn take_signals(&self, _: &mut Vec<Arc<dyn Owed>>) -> Vec<Stamped<Signal>> {
        unreachable!()
    }
    fn has_mail(&self) -> bool {
        unreachable!()
    }
    fn queue_len(&self) -> usize {
        unreachable!()
    }
    fn poll_body(self: Arc<Self>) -> BodyPoll {
        unreachable!()
    }
    fn drop_body(&self) -> Result<(), PanicPayload> {
        unreachable!()
    }
    fn close(&self) -> (Vec<Stamped<Signal>>, Vec<Arc<dyn Owed>>) {
        unreachable!()
    }
}
