//! Nothing irreversible before its commit, in whatever order things happen. `cargo xtask sim --saga` plays 100,000.

use sim::saga::rules;
use sim::schedule::{Mutant, Played, schedule, schedule_mutant};

#[test]
fn nothing_irreversible_comes_before_its_commit() {
    let rules = rules().unwrap();
    let all = (0..250).map(|seed| schedule(&rules, seed).unwrap_or_else(|why| panic!("seed {seed}: {why}")));
    let all = all.fold(Played::default(), Played::plus);
    // All of it happened, or it would show nothing.
    let counts = [
        all.finals,
        all.writes,
        all.undone,
        all.refused,
        all.crashes,
        all.faults,
        all.halts,
        all.committed,
        all.rolled_back,
        all.quarantined,
    ];
    assert!(counts.iter().all(|count| *count > 5), "{all:?}");
    assert_eq!(schedule(&rules, 7), schedule(&rules, 7));
}

#[test]
fn an_engine_that_does_not_ask_is_seen() {
    let rules = rules().unwrap();
    let seen = |mutant, law: &str| {
        let broken = |seed| schedule_mutant(&rules, seed, mutant).is_err_and(|why| why.contains(law));
        assert!((0..60).any(broken), "{mutant:?}");
    };
    seen(Mutant::Eager, "something irreversible before the commit");
    seen(Mutant::Early, "nothing durable allows it");
    seen(Mutant::Keyless, "twice");
}
