//! All that can come of a program: every order in which signals can be
//! received and processes can act.

use std::collections::{BTreeSet, HashSet};

use super::{Step, World};
use crate::observation::Observation;
use crate::program::{Op, Program};

/// There are more worlds to look at than the model is allowed to.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the program has too many orders to try them all")]
pub struct TooMany;

/// How many worlds may come of one step of a settled program.
const MOST_SETTLED: usize = 64;

/// How many worlds a racy program may pass through.
const MOST_RACY: usize = 200_000;

/// What can be seen when the steps are taken in their order, and everything
/// comes to rest in between. Mostly that is one thing: more only where one step
/// sends signals on two ways to one process.
///
/// # Errors
///
/// If there are too many.
pub fn settled(program: &Program) -> Result<BTreeSet<Observation>, TooMany> {
    let mut worlds = BTreeSet::from([World::new(program.initial, program.processes)]);
    for (who, op) in &program.steps {
        let mut next = BTreeSet::new();
        for mut world in worlds {
            if world.is_ready(*who) {
                world.act(*who, *op);
                rest(world, &mut next)?;
            } else {
                next.insert(world);
            }
        }
        worlds = next;
    }
    Ok(worlds.iter().map(World::observe).collect())
}

/// All worlds at rest that can come of this one.
fn rest(world: World, at_rest: &mut BTreeSet<World>) -> Result<(), TooMany> {
    let mut known = HashSet::new();
    let mut open = vec![world];
    while let Some(mut world) = open.pop() {
        let mut steps = world.steps();
        while let [step] = steps[..] {
            world.apply(step);
            steps = world.steps();
        }
        if steps.is_empty() {
            at_rest.insert(world);
        } else if known.insert(world.clone()) {
            open.extend(steps.into_iter().map(|step| after(&world, step)));
        }
        if known.len() > MOST_SETTLED * 16 || at_rest.len() > MOST_SETTLED {
            return Err(TooMany);
        }
    }
    Ok(())
}

fn after(world: &World, step: Step) -> World {
    let mut world = world.clone();
    world.apply(step);
    world
}

/// What can be seen when each process takes its own steps by itself.
///
/// # Errors
///
/// If there are too many orders to try.
pub fn racy(program: &Program) -> Result<BTreeSet<Observation>, TooMany> {
    let scripts: Vec<Vec<Op>> = (0..program.processes)
        .map(|who| program.script(who).collect())
        .collect();
    let begin = (
        World::new(program.initial, program.processes),
        vec![0; program.processes],
    );
    let mut known = HashSet::from([begin.clone()]);
    let mut open = vec![begin];
    let mut seen = BTreeSet::new();
    while let Some((world, done)) = open.pop() {
        let mut next: Vec<(World, Vec<usize>)> = Vec::new();
        for step in world.steps() {
            next.push((after(&world, step), done.clone()));
        }
        for (who, script) in scripts.iter().enumerate() {
            if let Some(op) = script.get(done[who]).filter(|_| world.is_ready(who)) {
                let (mut world, mut done) = (world.clone(), done.clone());
                world.act(who, *op);
                done[who] += 1;
                next.push((world, done));
            }
        }
        if next.is_empty() {
            seen.insert(world.observe());
        }
        open.extend(next.into_iter().filter(|state| known.insert(state.clone())));
        if known.len() > MOST_RACY {
            return Err(TooMany);
        }
    }
    Ok(seen)
}
