//! Changes of the configuration: whom they are told, and who waits for that.

use resurgam_runtime::{Name, Pid};

use super::{Controller, Order, Stage};
use crate::application::ConfigChange;
use crate::application::asker::Caller;
use crate::application::handle::ChangeConfigError;

pub(crate) type ChangeResult = Result<(), ChangeConfigError>;

/// A change of the configuration that is being told.
pub(super) struct Change {
    pub(super) caller: Caller<ChangeResult>,
    /// Those that run and have not done what they do about it.
    pub(super) left: Vec<Name>,
}

impl Change {
    pub(super) fn tell(self, result: ChangeResult) {
        self.caller.reply.send(result);
    }
}

impl Controller {
    /// Settings were changed: all that run are told.
    pub(super) fn changed(
        &mut self,
        changes: Vec<(Name, ConfigChange)>,
        caller: Caller<ChangeResult>,
    ) {
        let number = self.next_number();
        let mut left = Vec::new();
        for (name, change) in changes {
            if let Some(life) = self.life(&name)
                && let Stage::Running(_) = life.stage
            {
                life.master.cast(Order::ConfigChange(change, number));
                left.push(name);
            }
        }
        self.changes.insert(number, Change { caller, left });
        self.tell_changed();
    }

    /// The application of this master has done what it does about a change.
    pub(super) fn has_changed(&mut self, master: Pid, number: u64) {
        let Some((name, _)) = self.life_of_master(master) else {
            return;
        };
        if let Some(change) = self.changes.get_mut(&number) {
            change.left.retain(|left| *left != name);
        }
        self.tell_changed();
    }

    /// An application runs no more: whatever was changed is nothing to it.
    pub(super) fn leave_changes(&mut self, name: &Name) {
        for change in self.changes.values_mut() {
            change.left.retain(|left| left != name);
        }
        self.tell_changed();
    }

    fn tell_changed(&mut self) {
        let is_over = |_: &u64, change: &mut Change| change.left.is_empty();
        for (_, change) in self.changes.extract_if(.., is_over) {
            change.tell(Ok(()));
        }
    }
}
