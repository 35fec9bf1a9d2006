//! Checks of others: what a library built on processes keeps an eye on in
//! every simulation its processes run in.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use crate::node::Node;
use crate::process::current;

/// A check that a library makes in every simulation its processes run in: it
/// keeps books of its own, written by [`check`].
pub trait Check: Default + Send + 'static {
    /// Looks at the node when everything has come to rest.
    ///
    /// # Errors
    ///
    /// What is wrong; the simulation fails with it.
    fn at_rest(&mut self, node: &Node) -> Result<(), String> {
        let _ = node;
        Ok(())
    }
}

/// Lets a check of the simulation that the current process is part of note
/// something; the check is made when it is first asked for. Outside a
/// simulation it does nothing.
///
/// The simulation fails with the error that `note` returns. It must not call
/// `check` itself.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::sim::{self, Check, Plan};
///
/// #[derive(Default)]
/// struct AtMostTwo(u32);
///
/// impl Check for AtMostTwo {}
///
/// fn enter() {
///     sim::check(|check: &mut AtMostTwo| {
///         check.0 += 1;
///         if check.0 <= 2 { Ok(()) } else { Err("three have entered".to_owned()) }
///     });
/// }
///
/// let failure = Plan::new().seeds(1).try_run(|sim| {
///     for _ in 0..3 {
///         sim.run(async { enter() });
///     }
/// });
/// assert!(failure.unwrap_err().to_string().contains("three have entered"));
/// ```
pub fn check<C: Check>(note: impl FnOnce(&mut C) -> Result<(), String>) {
    let world = current::with(|process| process.header().node.world.clone()).flatten();
    let Some(world) = world else { return };
    let result = {
        let mut checks = world.checks.lock();
        note(checks.get())
    };
    if let Err(what) = result {
        world.books.lock().violated(what);
    }
}

/// The checks of a simulation, by their type.
#[derive(Default)]
pub(super) struct Checks(HashMap<TypeId, Box<dyn AnyCheck>>);

trait AnyCheck: Send {
    fn at_rest(&mut self, node: &Node) -> Result<(), String>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<C: Check> AnyCheck for C {
    fn at_rest(&mut self, node: &Node) -> Result<(), String> {
        Check::at_rest(self, node)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Checks {
    fn get<C: Check>(&mut self) -> &mut C {
        let check = self
            .0
            .entry(TypeId::of::<C>())
            .or_insert_with(|| Box::new(C::default()));
        // Through the box: it is no check itself.
        let check: &mut dyn AnyCheck = &mut **check;
        check
            .as_any()
            .downcast_mut()
            .expect("kept under its own type")
    }

    pub(super) fn at_rest(&mut self, node: &Node) -> Result<(), String> {
        self.0
            .values_mut()
            .try_for_each(|check| check.at_rest(node))
    }
}
