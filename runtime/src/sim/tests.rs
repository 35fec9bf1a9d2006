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
