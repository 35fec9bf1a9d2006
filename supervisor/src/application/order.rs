//! In which order applications are started. Pure.

use std::collections::BTreeMap;

use resurgam_runtime::Name;

#[cfg(test)]
mod tests;

/// What the loaded applications need to be running.
pub(crate) type Needs = BTreeMap<Name, Vec<Need>>;

/// An application that another one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) name: Name,
    pub(crate) necessity: Necessity,
}

/// What it means if it is not there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Necessity {
    Required,
    /// It goes without, if it is not loaded.
    Optional,
}

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoOrder {
    /// This one is needed and not loaded.
    NotLoaded(Name),
    /// These need each other.
    Cycle(Vec<Name>),
}

/// Whether applications are started side by side.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum StartMode {
    /// One after the other.
    #[default]
    Serial,
    /// Each as soon as all that it needs is running.
    Concurrent,
}

/// The start of several applications, with all they need.
#[derive(Debug)]
pub(crate) struct Plan {
    mode: StartMode,
    // Invariant: each stands after all that it needs.
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: Name,
    needs: Vec<Name>,
    progress: Progress,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    UnderWay,
    Running,
    Failed,
}

impl Plan {
    /// To have `wanted` running, and what they need.
    pub(crate) fn new(needs: &Needs, wanted: &[Name], mode: StartMode) -> Result<Self, NoOrder> {
        let needed = closure(needs, wanted)?;
        let mut steps: Vec<Step> = Vec::new();
        while steps.len() < needed.len() {
            let is_placed = |name: &Name| steps.iter().any(|step| step.name == *name);
            let next = needed
                .iter()
                .find(|(name, needs)| !is_placed(name) && needs.iter().all(is_placed));
            let Some((name, needs)) = next else {
                let rest = needed.iter().filter(|(name, _)| !is_placed(name));
                return Err(NoOrder::Cycle(cycle(rest.cloned().collect())));
            };
            steps.push(Step {
                name: name.clone(),
                needs: needs.clone(),
                progress: Progress::Waiting,
            });
        }
        Ok(Self { mode, steps })
    }

    /// Those to be started now; they are under way from here on.
    pub(crate) fn next(&mut self) -> Vec<Name> {
        let mut ready = self.ready();
        if self.mode == StartMode::Serial {
            ready.truncate(usize::from(!self.is_under_way()));
        }
        for name in &ready {
            self.note(name, Progress::UnderWay);
        }
        ready
    }

    fn ready(&self) -> Vec<Name> {
        let runs = |name: &Name| {
            let step = self.steps.iter().find(|step| step.name == *name);
            step.is_some_and(|step| step.progress == Progress::Running)
        };
        let is_ready =
            |step: &&Step| step.progress == Progress::Waiting && step.needs.iter().all(runs);
        let ready = self.steps.iter().filter(is_ready);
        ready.map(|step| step.name.clone()).collect()
    }

    /// This one runs.
    pub(crate) fn started(&mut self, name: &Name) {
        self.note(name, Progress::Running);
    }

    /// This one does not start.
    pub(crate) fn failed(&mut self, name: &Name) {
        self.note(name, Progress::Failed);
    }

    /// Whether some are being started.
    pub(crate) fn is_under_way(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.progress == Progress::UnderWay)
    }

    /// Whether all are running.
    pub(crate) fn is_done(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| step.progress == Progress::Running)
    }

    fn note(&mut self, name: &Name, progress: Progress) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == *name) {
            step.progress = progress;
        }
    }
}

/// Applications with the names of what they need.
type Needed = Vec<(Name, Vec<Name>)>;

/// What is wanted and all that is needed for it, in the order it is come upon.
fn closure(needs: &Needs, wanted: &[Name]) -> Result<Needed, NoOrder> {
    let mut found: Needed = Vec::new();
    let mut open: Vec<Name> = wanted.iter().rev().cloned().collect();
    while let Some(name) = open.pop() {
        if found.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let own = needs
            .get(&name)
            .ok_or_else(|| NoOrder::NotLoaded(name.clone()))?;
        let is_there =
            |need: &&Need| need.necessity == Necessity::Required || needs.contains_key(&need.name);
        let own: Vec<Name> = own
            .iter()
            .filter(is_there)
            .map(|need| need.name.clone())
            .collect();
        open.extend(own.iter().rev().cloned());
        found.push((name, own));
    }
    Ok(found)
}

/// Of those that cannot be put in order, those that need each other: without
/// those that nobody else needs.
fn cycle(mut rest: Needed) -> Vec<Name> {
    loop {
        let is_needed = |name: &Name| rest.iter().any(|(_, needs)| needs.contains(name));
        let needed: Needed = rest
            .iter()
            .filter(|(name, _)| is_needed(name))
            .cloned()
            .collect();
        if needed.len() == rest.len() {
            return rest.into_iter().map(|(name, _)| name).collect();
        }
        rest = needed;
    }
}
