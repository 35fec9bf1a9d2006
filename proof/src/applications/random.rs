//! Random applications, and what happens to them.

use fastrand::Rng;
use resurgam::StartType;

use super::{App, Case, Do, Key, Name, Reason, Start, Step};

/// The script of this seed.
pub(super) fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let count = rng.u8(2..=6);
    let names: Vec<Name> = ('a'..).take(count.into()).collect();
    let apps = names.iter().map(|name| app(&mut rng, *name, &names));
    let apps: Vec<_> = apps.collect();
    // Most are loaded to begin with, for most of the steps to mean something.
    let mut steps: Vec<_> = names.iter().copied().map(Step::Load).collect();
    rng.shuffle(&mut steps);
    if rng.u8(..3) == 0 {
        steps.pop();
    }
    let more = rng.usize(4..20);
    steps.extend((0..more).map(|_| step(&mut rng, &names)));
    Case { apps, steps }
}

fn app(rng: &mut Rng, name: Name, names: &[Name]) -> App {
    let (mut needs, mut optional) = (Vec::new(), Vec::new());
    for other in names.iter().copied().filter(|other| *other != name) {
        // Now and then there is a circle.
        let often = if other < name { 10 } else { 1 };
        match rng.u8(..32) {
            n if n < often => needs.push(other),
            n if n < often + 3 && other < name => optional.push(other),
            _ => {}
        }
    }
    if rng.u8(..40) == 0 {
        needs.push('z');
    }
    rng.shuffle(&mut needs);
    let phases = if rng.u8(..4) == 0 { rng.usize(1..3) } else { 0 };
    App {
        name,
        needs,
        optional,
        starts: (0..rng.usize(..4)).map(|_| start(rng)).collect(),
        phases: (0..phases).map(|_| does(rng, 6)).collect(),
        prep_stop: crashes(rng),
        stop: crashes(rng),
        stray: rng.u8(..4) == 0,
        env: env(rng, name, 0),
    }
}

fn start(rng: &mut Rng) -> Start {
    match rng.u8(..10) {
        0..=1 => Start::Gated,
        2 => Start::GatedError,
        3 => Start::Error,
        4 => Start::Crash,
        _ => Start::Ok,
    }
}

fn does(rng: &mut Rng, seldom: u8) -> Do {
    match rng.u8(..seldom) {
        0 => Do::Error,
        1 => Do::Crash,
        _ => Do::Ok,
    }
}

fn crashes(rng: &mut Rng) -> Do {
    match rng.u8(..8) {
        0 => Do::Crash,
        _ => Do::Ok,
    }
}

fn key(rng: &mut Rng, name: Name) -> Key {
    (name, rng.u8(..4))
}

/// Different settings, at least so many.
fn env(rng: &mut Rng, name: Name, least: usize) -> Vec<(Key, u8)> {
    let count = rng.usize(least..3);
    let keys = rng.choose_multiple(0..4, count).into_iter();
    keys.map(|key| ((name, key), rng.u8(..4))).collect()
}

fn step(rng: &mut Rng, names: &[Name]) -> Step {
    let name = names[rng.usize(..names.len())];
    match rng.u8(..40) {
        0..=2 => Step::Load(name),
        3..=4 => Step::Unload(name),
        5..=11 => Step::Start(name, start_type(rng)),
        12..=17 => Step::Ensure(name, start_type(rng)),
        18..=22 => Step::Stop(name),
        23..=26 => Step::Crash(name, reason(rng)),
        27..=33 => Step::Release(name),
        34 => Step::Set(key(rng, name), rng.u8(..4)),
        35 => Step::SetPersistent(key(rng, name), rng.u8(..4)),
        36 => Step::Unset(key(rng, name)),
        _ => Step::Configure(config(rng, names)),
    }
}

fn start_type(rng: &mut Rng) -> StartType {
    match rng.u8(..10) {
        0 => StartType::Permanent,
        1..=2 => StartType::Transient,
        _ => StartType::Temporary,
    }
}

fn reason(rng: &mut Rng) -> Reason {
    match rng.u8(..4) {
        0 => Reason::Normal,
        1 => Reason::Shutdown,
        2 => Reason::Error,
        _ => Reason::Killed,
    }
}

fn config(rng: &mut Rng, names: &[Name]) -> Vec<(Name, Vec<(Key, u8)>)> {
    let mut config = Vec::new();
    for name in names.iter().copied() {
        if rng.bool() {
            config.push((name, env(rng, name, 1)));
        }
    }
    config
}
