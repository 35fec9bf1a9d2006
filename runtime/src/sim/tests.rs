use std::cell::RefCell;
use std::time::Duration;

use super::{Faults, Plan};
use crate::{Context, kill, spawn_link, trap_exit};

#[test]
fn what_is_held_up_is_not_taken_for_lost() {
    Plan::new().seeds(200).run(|sim| {
        let second = Duration::from_secs(1);
        sim.faults(Faults::none().delay(0.3, Duration::ZERO..second));
        sim.client(|mut ctx: Context<()>| async move {
            trap_exit(true);
            for _ in 0..3 {
                let child = spawn_link(|mut ctx: Context<()>| async move {
                    ctx.receive().await;
                });
                child.unwrap().pid().into_iter().for_each(kill);
                ctx.receive().await;
            }
        });
        for _ in 0..20 {
            sim.run_until_idle();
            sim.run_for(second);
        }
    });
}

#[test]
fn a_seed_is_one_run_whatever_ran_before_it() {
    let chosen_under_the_last_of = |seeds| {
        let chosen = RefCell::new(Vec::new());
        Plan::new().seed_range(seeds).run(|sim| {
            *chosen.borrow_mut() = (0..300).map(|_| sim.random(50)).collect();
        });
        chosen.into_inner()
    };
    for seed in [3, 5, 7] {
        let alone = chosen_under_the_last_of(seed..seed + 1);
        assert_eq!(chosen_under_the_last_of(0..seed + 1), alone);
    }
}
