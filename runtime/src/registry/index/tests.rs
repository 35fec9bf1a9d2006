//! An index agrees with a map, whatever is asked of it and by how many.

use std::collections::HashMap;

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

fn pid(slot: u32) -> Pid {
    Pid::new(slot, 1)
}

fn name(text: impl ToString) -> Name {
    Name::from(text.to_string())
}

#[test]
fn a_name_is_the_same_after_its_way_through_a_key() {
    let long = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich";
    for from in (0..long.len()).filter(|at| long.is_char_boundary(*at)) {
        for to in (from..=long.len()).filter(|at| long.is_char_boundary(*at)) {
            let text = &long[from..to];
            match Key::of(text) {
                Some(key) => assert_eq!(key.name().as_str(), text),
                None => assert!(text.len() > 32, "{text} is not too long"),
            }
        }
    }
}

#[test]
fn an_index_agrees_with_a_map() {
    for seed in 1..30_u64 {
        let index = Index::new();
        let mut model: HashMap<Name, Pid> = HashMap::new();
        let mut random = seed;
        let mut draw = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        // Few names, or many; now and then too long ones, or such as differ in
        // their length alone.
        let names = 1 << (seed % 10);
        for _ in 0..2000 {
            let n = draw(names);
            let name = match n % 8 {
                0 => name(format!("{n} is a name that is too long for the table")),
                1 => name("\0".repeat(n as usize % 32 + 1)),
                _ => name(n),
            };
            let who = pid(draw(5) as u32 + 1);
            assert_eq!(index.get(name.as_str()), model.get(&name).copied());
            if draw(2) == 0 {
                let given = index.give(&name, who);
                let holder = *model.entry(name).or_insert(who);
                assert!(given == Ok(()) && holder == who || given == Err(holder));
            } else {
                index.free(&name, who);
                if model.get(&name) == Some(&who) {
                    model.remove(&name);
                }
            }
        }
        let mut entries = index.entries();
        let mut expected: Vec<_> = model.into_iter().collect();
        entries.sort_unstable();
        expected.sort_unstable();
        assert_eq!(entries, expected);
    }
}

#[test]
fn names_that_nobody_has_any_more_are_forgotten() {
    let index = Index::new();
    for n in 0..100 {
        index.give(&name(format!("kept {n}")), pid(n + 1)).unwrap();
    }
    for n in 0..100_000 {
        let name = name(n);
        index.give(&name, pid(1000)).unwrap();
        index.free(&name, pid(1000));
        assert_eq!(index.get(name.as_str()), None);
    }
    assert!(index.table().len() <= 512, "{} slots", index.table().len());
    let mut kept: Vec<_> = (0..100)
        .map(|n| (name(format!("kept {n}")), pid(n + 1)))
        .collect();
    let mut entries = index.entries();
    kept.sort_unstable();
    entries.sort_unstable();
    assert_eq!(entries, kept);
}

/// Names are given and freed while the table is made anew all the time.
#[test]
fn a_name_has_one_holder_and_is_found_whatever_others_do() {
    const NAMES: u32 = 4;
    let index = Index::new();
    let kept = name("kept");
    index.give(&kept, pid(9)).unwrap();
    let names: Vec<_> = (0..NAMES).map(name).collect();
    let taken: Vec<_> = names.iter().map(|_| AtomicBool::new(false)).collect();
    let work = |thread: u32| {
        for round in 0..20_000_u32 {
            let at = (round.wrapping_mul(thread * 2 + 1) % NAMES) as usize;
            let me = pid(thread + 1);
            if index.give(&names[at], me).is_ok() {
                assert!(!taken[at].swap(true, Ordering::SeqCst), "it was taken");
                assert_eq!(index.get(names[at].as_str()), Some(me));
                taken[at].store(false, Ordering::SeqCst);
                index.free(&names[at], me);
            }
            let passing = name(format!("{thread} in passing {round}"));
            index.give(&passing, me).unwrap();
            index.free(&passing, me);
            assert_eq!(index.get(passing.as_str()), None);
            assert_eq!(index.get(kept.as_str()), Some(pid(9)));
        }
    };
    thread::scope(|scope| {
        for thread in 0..3 {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    assert_eq!(index.entries(), [(kept, pid(9))]);
}
