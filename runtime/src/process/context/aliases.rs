//! Aliases of a process, and monitors that tell by its messages, where the
//! compiler knows the type of these.

use super::Context;
use crate::node::Dest;
use crate::pid::MonitorRef;
use crate::process::alias::{
    Alias, AliasMode, MonitorAlias, alias, alias_priority, monitor_alias, monitor_as,
};
use crate::signal::Down;

impl<M: Send + 'static> Context<M> {
    /// Opens a way to this process; see [`alias`].
    ///
    /// # Panics
    ///
    /// Outside this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{AliasMode, Context, Message, Node, unalias};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|mut ctx: Context<u32>| async move {
    ///     let way = ctx.alias(AliasMode::Explicit);
    ///     way.send(1);
    ///     assert_eq!(ctx.receive().await, Message::User(1));
    ///     assert!(unalias(&way));
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn alias(&self, mode: AliasMode) -> Alias<M> {
        self.expect_own_process();
        alias(mode)
    }

    /// Opens a way to this process for what has priority; see
    /// [`alias_priority`].
    ///
    /// # Panics
    ///
    /// Outside this process.
    #[track_caller]
    pub fn alias_priority(&self, mode: AliasMode) -> Alias<M> {
        self.expect_own_process();
        alias_priority(mode)
    }

    /// Monitors a process and opens an alias; see [`monitor_alias`].
    ///
    /// # Panics
    ///
    /// Outside this process.
    #[track_caller]
    pub fn monitor_alias(
        &self,
        target: impl Into<Dest>,
        mode: MonitorAlias,
    ) -> (MonitorRef, Alias<M>) {
        self.expect_own_process();
        monitor_alias(target, mode)
    }

    /// Monitors a process whose end is told by a message of one's own; see
    /// [`monitor_as`]. A message of another type is an error of the compiler's:
    ///
    /// ```compile_fail,E0271
    /// use resurgam_runtime::Context;
    ///
    /// fn watch(ctx: &Context<u32>) {
    ///     ctx.monitor_as("somebody", |_| "gone");
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside this process.
    #[track_caller]
    pub fn monitor_as(
        &self,
        target: impl Into<Dest>,
        tell: impl FnOnce(Down) -> M + Send + 'static,
    ) -> MonitorRef {
        self.expect_own_process();
        monitor_as(target, tell)
    }
}

/// Gives what has a [`Context`] inside the same methods.
macro_rules! aliases_of {
    ([$($generics:tt)*] $type:ty, $message:ty) => {
        impl<$($generics)*> $type {
            /// Opens a way to this process; see [`alias`](crate::alias()) and
            /// [`Context::alias`](crate::Context::alias).
            ///
            /// # Panics
            ///
            /// Outside this process.
            #[track_caller]
            pub fn alias(&self, mode: crate::AliasMode) -> crate::Alias<$message> {
                self.context.alias(mode)
            }

            /// Opens a way to this process for what has priority; see
            /// [`alias_priority`](crate::alias_priority()).
            ///
            /// # Panics
            ///
            /// Outside this process.
            #[track_caller]
            pub fn alias_priority(&self, mode: crate::AliasMode) -> crate::Alias<$message> {
                self.context.alias_priority(mode)
            }

            /// Monitors a process and opens an alias; see
            /// [`monitor_alias`](crate::monitor_alias()).
            ///
            /// # Panics
            ///
            /// Outside this process.
            #[track_caller]
            pub fn monitor_alias(
                &self,
                target: impl Into<crate::Dest>,
                mode: crate::MonitorAlias,
            ) -> (crate::MonitorRef, crate::Alias<$message>) {
                self.context.monitor_alias(target, mode)
            }

            /// Monitors a process whose end is told by a message of one's own;
            /// see [`monitor_as`](crate::monitor_as()) and
            /// [`Context::monitor_as`](crate::Context::monitor_as).
            ///
            /// # Panics
            ///
            /// Outside this process.
            #[track_caller]
            pub fn monitor_as(
                &self,
                target: impl Into<crate::Dest>,
                tell: impl FnOnce(crate::Down) -> $message + Send + 'static,
            ) -> crate::MonitorRef {
                self.context.monitor_as(target, tell)
            }
        }
    };
}
pub(crate) use aliases_of;
