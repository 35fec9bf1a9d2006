//! Two threads: while the table is made anew, a name is found with who has it,
//! and no other.

use loom::sync::Arc as LoomArc;
use loom::thread;

use super::*;

fn pid(slot: u32) -> Pid {
    Pid::new(slot, 1)
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(3));
    model.check(run);
}

#[test]
fn loom_a_name_is_found_while_the_table_is_made_anew() {
    model(|| {
        let index = LoomArc::new(Index::with_seed(0));
        index.give(&Name::from("a"), pid(1)).expect("it is free");
        let theirs = LoomArc::clone(&index);
        let other = thread::spawn(move || {
            // The second name wants a larger table.
            theirs.give(&Name::from("b"), pid(2)).expect("it is free");
        });
        assert_eq!(index.get("a"), Some(pid(1)));
        assert!([None, Some(pid(2))].contains(&index.get("b")));
        other.join().expect("no panic");
        assert_eq!(index.get("b"), Some(pid(2)));
    });
}
