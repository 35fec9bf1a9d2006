//! The comparisons, in small. In large: `cargo run --release -p resurgam-proof
//! -- model --programs 100000`, and so on.

use std::io::Write;

use resurgam::Node;
use resurgam_proof::erlang::Erlang;
use resurgam_proof::signals::{Racy, Settled, WithErlang};
use resurgam_proof::suite;
use resurgam_proof::tree::Trees;
use resurgam_proof::trial::{self, Trial};
use tokio::runtime::Runtime;

#[track_caller]
fn check<T: Trial>(cases: u64, trial: impl FnOnce(Node) -> T) {
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(async { Node::new().unwrap() });
    let summary = trial::run(&runtime, trial(node), 0, cases);
    assert!(summary.difference.is_none(), "{summary}");
    assert!(summary.cases * 10 >= cases * 9, "{summary}");
}

/// As `check`, if there is an Erlang. Where there must be one,
/// `RESURGAM_PROOF_NEEDS_ERLANG` says so.
#[track_caller]
fn check_with_erlang<T: Trial>(cases: u64, trial: impl FnOnce(Node, Erlang) -> T) {
    if Erlang::is_there() {
        let erlang = Erlang::start().unwrap();
        return check(cases, |node| trial(node, erlang));
    }
    left_out("erl");
}

/// A comparison cannot be made here.
#[track_caller]
fn left_out(judge: &str) {
    let is_needed = std::env::var_os("RESURGAM_PROOF_NEEDS_ERLANG").is_some();
    assert!(!is_needed, "there is no `{judge}`");
    // Past the test's captured output, or nobody would know.
    let _ = writeln!(
        std::io::stderr(),
        "there is no `{judge}`: not compared with it"
    );
}

/// Runs a suite of simulated cases.
#[track_caller]
fn check_simulated(name: &str, seeds: u64) {
    let mut all = suite::ALL.iter();
    let suite = all.find(|suite| suite.name == name).unwrap();
    let figures = suite::run(suite, 0..seeds).unwrap_or_else(|failed| panic!("{failed}"));
    assert!(figures.cases > 0, "{figures}");
}

/// Runs a suite of cases that Elixir judges, if there is one.
#[track_caller]
fn check_with_elixir(name: &str, seeds: u64) {
    if Erlang::is_with_elixir() {
        return check_simulated(name, seeds);
    }
    left_out("elixir");
}

#[test]
fn simulated_runtime_does_what_the_model_does() {
    check_simulated("simulated", 1_000);
}

#[test]
fn simulated_runtime_does_one_of_the_things_that_can_be() {
    check_simulated("simulated-racy", 100);
}

#[test]
fn simulated_runtime_does_so_in_all_orders_of_the_smallest_programs() {
    check_simulated("simulated-orders", 1);
}

#[test]
fn scenarios_hold_under_every_seed() {
    check_simulated("scenarios", 30);
}

#[test]
fn simulated_trees_live_and_die_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-trees", 50);
    }
}

#[test]
fn simulated_state_machines_go_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-statems", 200);
    }
}

#[test]
fn simulated_event_managers_go_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-events", 200);
    }
}

#[test]
fn simulated_servers_go_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-servers", 80);
    }
}

#[test]
fn simulated_process_groups_go_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-groups", 200);
    }
}

#[test]
fn simulated_applications_go_as_in_erlang() {
    if Erlang::is_there() {
        check_simulated("simulated-applications", 50);
    }
}

#[test]
fn simulated_registries_go_as_in_elixir() {
    check_with_elixir("simulated-keys", 100);
}

#[test]
fn simulated_tasks_and_agents_go_as_in_elixir() {
    check_with_elixir("simulated-tasks", 40);
}

#[test]
fn simulated_pools_go_as_in_elixir() {
    check_with_elixir("simulated-pools", 80);
}

#[test]
fn simulated_applications_never_wait_for_themselves() {
    check_simulated("simulated-callbacks", 50);
}

#[test]
fn runtime_does_what_the_model_does() {
    check(1_000, |node| Settled { node });
}

#[test]
fn runtime_does_one_of_the_things_that_can_be() {
    check(100, |node| Racy { node, times: 5 });
}

#[test]
fn erlang_does_what_the_model_does() {
    check_with_erlang(500, |node, erlang| WithErlang { node, erlang });
}

#[test]
fn trees_live_and_die_as_in_erlang() {
    check_with_erlang(250, |node, erlang| Trees { node, erlang });
}
