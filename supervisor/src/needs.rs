//! Which children of a supervisor need which others, and how long a start may
//! take.

use std::collections::HashMap;
use std::time::Duration;

use crate::care::Care;
use crate::child_spec::{ChildId, ChildSpec, Restart, SpecError};

#[cfg(test)]
mod tests;

/// What is said of a child that OTP knows nothing of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beyond {
    pub(crate) care: Option<Care>,
    /// The children it needs.
    after: Vec<ChildId>,
    start_timeout: Option<Duration>,
}

/// Whether a supervisor starts and stops one child at a time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    #[default]
    InTurn,
    SideBySide,
}

/// When the child is started, beyond what OTP knows.
impl ChildSpec {
    /// Names children of the same supervisor that this one needs: it is started
    /// when they are up, and they are stopped when it is dead. The supervisor
    /// must be a [concurrent](crate::SupervisorBuilder::concurrent) one, which
    /// says more. They must not be temporary, as those do not come back. Said
    /// twice, it adds to the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_supervisor::{ChildSpec, Strategy, Supervisor};
    ///
    /// let child = |id: &str| ChildSpec::task(id, std::future::pending::<()>);
    /// let shop = Supervisor::builder(Strategy::RestForOne)
    ///     .concurrent()
    ///     .child(child("db"))
    ///     .child(child("cache"))
    ///     .child(child("web").after(["db", "cache"]));
    /// # drop(shop);
    /// ```
    #[must_use]
    pub fn after<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ChildId>,
    {
        let ids = ids.into_iter().map(Into::into);
        self.beyond_mut().after.extend(ids);
        self
    }

    /// The children that this one needs.
    pub fn get_after(&self) -> &[ChildId] {
        self.beyond().map_or(&[], |beyond| &beyond.after)
    }

    /// Sets how long a start of the child may take, on the node's clock; by
    /// default as long as it needs. One that takes longer has failed, with
    /// [`StartError::TimedOut`](resurgam_runtime::StartError::TimedOut): its
    /// future is dropped, and every process that it had linked to the
    /// supervisor by then is dead before the failure counts.
    ///
    /// Of a server and its like it is the time that its builder may say, and
    /// takes the place of that. With [`new`](Self::new), each turn of the start
    /// looks through the links of the supervisor. What blocks its thread cannot
    /// be cut short.
    ///
    /// # Differences from Erlang
    ///
    /// There only `gen_server` and its like know a time for their start; a
    /// start function that hangs hangs its supervisor.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use resurgam_runtime::{Node, StartError};
    /// use resurgam_supervisor::{
    ///     ChildSpec, StartSupervisorError, Started, Strategy, Supervisor,
    /// };
    ///
    /// let node = Node::new()?;
    /// let hangs = ChildSpec::new("db", std::future::pending::<Result<Started, StartError>>)
    ///     .start_timeout(Duration::from_millis(10));
    /// let sup = Supervisor::builder(Strategy::OneForOne).child(hangs);
    /// match node.block_on(sup.start_on(&node)) {
    ///     Err(StartSupervisorError::Child(failed)) => {
    ///         assert_eq!(failed.error, StartError::TimedOut);
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.beyond_mut().start_timeout = Some(limit);
        self
    }

    /// How long a start of the child may take; `None` for as long as it needs.
    pub fn get_start_timeout(&self) -> Option<Duration> {
        self.beyond()?.start_timeout
    }

    pub(crate) fn check_start_timeout(&self) -> Result<(), SpecError> {
        match self.get_start_timeout() {
            Some(Duration::ZERO) => Err(SpecError::ZeroStartTimeout(self.id().clone())),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether this child can have what it needs of those that are found.
pub(crate) fn check_needs<'a>(
    spec: &ChildSpec,
    find: impl Fn(&ChildId) -> Option<&'a ChildSpec>,
) -> Result<(), SpecError> {
    let id = spec.id();
    spec.get_after()
        .iter()
        .try_for_each(|need| match find(need) {
            None => Err(SpecError::UnknownNeed(id.clone(), need.clone())),
            Some(need) if need.get_restart() == Restart::Temporary => {
                Err(SpecError::TemporaryNeed(id.clone(), need.id().clone()))
            }
            Some(_) => Ok(()),
        })
}

/// Whether none of these children waits for itself, by way of others or not.
pub(crate) fn check_circles<'a>(
    specs: impl Iterator<Item = &'a ChildSpec> + Clone,
) -> Result<(), SpecError> {
    let needs: HashMap<_, _> = specs
        .clone()
        .map(|spec| (spec.id(), spec.get_after()))
        .collect();
    let mut marks = HashMap::new();
    for spec in specs {
        look_into(spec.id(), &needs, &mut marks)?;
    }
    Ok(())
}

/// How far the search for circles is with a child.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mark {
    /// It stands on the path that is being walked.
    OnPath,
    /// No circle goes through it.
    Clear,
}

/// Walks along the needs of this child, depth first.
fn look_into<'a>(
    start: &'a ChildId,
    needs: &HashMap<&'a ChildId, &'a [ChildId]>,
    marks: &mut HashMap<&'a ChildId, Mark>,
) -> Result<(), SpecError> {
    let mut path: Vec<(&ChildId, std::slice::Iter<'_, ChildId>)> = Vec::new();
    let mut next = Some(start);
    loop {
        if let Some(child) = next.take() {
            match (marks.get(child), needs.get(child)) {
                (Some(Mark::OnPath), _) => return Err(circle(&path, child)),
                (Some(Mark::Clear), _) | (None, None) => {}
                (None, Some(after)) => {
                    marks.insert(child, Mark::OnPath);
                    path.push((child, after.iter()));
                }
            }
        }
        let Some((child, unseen)) = path.last_mut() else {
            return Ok(());
        };
        next = unseen.next();
        if next.is_none() {
            marks.insert(child, Mark::Clear);
            path.pop();
        }
    }
}

fn circle<T>(path: &[(&ChildId, T)], again: &ChildId) -> SpecError {
    let round = path.iter().map(|(child, _)| *child);
    let round = round.skip_while(|child| *child != again);
    SpecError::NeedsInCircle(round.chain([again]).cloned().collect())
}
