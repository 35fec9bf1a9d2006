//! How a child is restarted beyond what OTP knows: delays, a budget of its own,
//! parking.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::child_spec::{ChildSpec, Restart, SpecError};
use crate::intensity::RestartIntensity;

/// What a supervisor does when a child has spent the [budget of its
/// own](ChildSpec::restart_intensity).
///
/// A parked child is down and stays in the list with the reason of its last
/// end. In a group strategy those that would be restarted along with it are
/// down as well; all others live on. `restart_child` restarts it, and them,
/// with a fresh budget.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenSpent {
    /// Give up, as for the budget of all.
    #[default]
    GiveUp,
    /// Park the child until somebody restarts it.
    Park,
    /// Park the child, and try again after this long, and again, as often as
    /// its budget allows by then.
    ParkFor(Duration),
}

/// How a child is restarted, beyond what OTP knows.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Care {
    pub(crate) backoff: Option<Backoff>,
    /// The budget of its own.
    pub(crate) intensity: Option<RestartIntensity>,
    pub(crate) when_spent: WhenSpent,
}

/// How a child is restarted, other than at once and by the budget of all.
impl ChildSpec {
    /// Restarts the child after a delay, instead of at once. It must not be
    /// temporary.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.care_mut().backoff = Some(backoff);
        self
    }

    /// Gives the child a budget of its own: at most `max_restarts` within
    /// `period`. Its restarts count there, and not in the supervisor's budget,
    /// so that it cannot spend that of its siblings. It must not be temporary.
    ///
    /// [`when_spent`](Self::when_spent) says what then.
    ///
    /// # Differences from Erlang
    ///
    /// There all children share one budget; a supervisor of its own is what
    /// gives a child one there.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use resurgam_runtime::{Context, Node};
    /// use resurgam_supervisor::{ChildSpec, ChildStatus, Strategy, Supervisor, WhenSpent};
    ///
    /// let node = Node::new()?;
    /// # node.block_on(async {
    /// let flaky = ChildSpec::process("flaky", || {
    ///     |mut ctx: Context<()>| async move { ctx.receive().await; }
    /// });
    /// let sup = Supervisor::builder(Strategy::OneForOne)
    ///     .child(
    ///         flaky
    ///             .restart_intensity(0, Duration::from_secs(60))
    ///             .when_spent(WhenSpent::Park),
    ///     )
    ///     .start_on(&node)
    ///     .await?;
    /// let pid = sup.which_child("flaky").await?.pid().ok_or("not running")?;
    /// let gone = node.join(pid);
    /// node.send(pid, ())?;
    /// gone.await;
    /// assert_eq!(sup.which_child("flaky").await?.status, ChildStatus::Parked(None));
    /// assert!(sup.restart_child("flaky").await?.pid().is_some());
    /// # sup.stop().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[must_use]
    pub fn restart_intensity(mut self, max_restarts: u32, period: Duration) -> Self {
        self.care_mut().intensity = Some(RestartIntensity::new(max_restarts, period));
        self
    }

    /// Sets what the supervisor does when the child has spent the budget of
    /// its own, which it must have; by default it gives up.
    #[must_use]
    pub fn when_spent(mut self, when_spent: WhenSpent) -> Self {
        self.care_mut().when_spent = when_spent;
        self
    }

    fn care_mut(&mut self) -> &mut Care {
        self.beyond_mut().care.get_or_insert_default()
    }

    /// How the child is restarted, if otherwise than OTP does it.
    pub(crate) fn care(&self) -> Option<&Care> {
        self.beyond()?.care.as_ref()
    }

    /// After which delays the child is restarted; `None` for at once.
    pub fn get_backoff(&self) -> Option<Backoff> {
        self.care()?.backoff
    }

    /// The budget of the child's own, if it has one.
    pub fn get_restart_intensity(&self) -> Option<RestartIntensity> {
        self.care()?.intensity
    }

    /// What happens when the child has spent the budget of its own.
    pub fn get_when_spent(&self) -> WhenSpent {
        self.care()
            .map_or_else(WhenSpent::default, |care| care.when_spent)
    }

    pub(crate) fn check_care(&self) -> Result<(), SpecError> {
        let Some(care) = self.care() else {
            return Ok(());
        };
        let id = || self.id().clone();
        if let Some(Err(error)) = care.backoff.map(|backoff| backoff.check()) {
            return Err(SpecError::Backoff(id(), error));
        }
        match (care.intensity, care.when_spent) {
            _ if self.get_restart() == Restart::Temporary => Err(SpecError::NeverRestarted(id())),
            (Some(intensity), _) if intensity.period().is_zero() => {
                Err(SpecError::ZeroPeriod(id()))
            }
            (None, WhenSpent::Park | WhenSpent::ParkFor(_)) => {
                Err(SpecError::ParkWithoutBudget(id()))
            }
            (Some(_), WhenSpent::ParkFor(Duration::ZERO)) => Err(SpecError::ZeroPark(id())),
            (_, WhenSpent::GiveUp | WhenSpent::Park | WhenSpent::ParkFor(_)) => Ok(()),
        }
    }
}
