//! Many worlds hold all laws, the same seed is the same world, and a broken pipeline is caught.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod plans;
mod sagas;
mod schedules;

use sim::Mutant;

const STEPS: u64 = 400;
/// Rules are slow to ask without optimisation; `cargo xtask sim` lives through a thousand worlds.
const WORLDS: u64 = if cfg!(debug_assertions) { 10 } else { 40 };

#[test]
fn laws_hold_in_many_worlds() {
    let mut effects = 0;
    let (mut crashes, mut faults, mut denied, mut halts) = (0, 0, 0, 0);
    let (mut children, mut loans, mut replans) = (0, 0, 0);
    let (mut released, mut refused, mut expired) = (0, 0, 0);
    for seed in 0..WORLDS {
        let report = sim::run(seed, STEPS).unwrap_or_else(|violation| panic!("{violation}"));
        effects += report.effects;
        crashes += report.crashes;
        faults += report.faults;
        denied += report.denied;
        halts += report.halts;
        children += report.children;
        loans += report.loans;
        replans += report.replans;
        let [done, denied, late] = report.asked;
        (released, refused, expired) = (released + done, refused + denied, expired + late);
    }
    assert!(
        released > 0 && refused > 0 && expired > 0,
        "released {released} refused {refused} expired {expired}"
    );
    // Worlds in which nothing happens prove nothing.
    for count in [effects, crashes, faults, denied, halts, children, loans, replans] {
        assert!(
            count > WORLDS,
            "effects {effects} crashes {crashes} faults {faults} denied {denied} halts {halts} \
             children {children} loans {loans} replans {replans}"
        );
    }
}

#[test]
fn same_seed_same_trace() {
    for seed in 0..2 {
        assert_eq!(sim::run(seed, STEPS), sim::run(seed, STEPS));
    }
    assert_ne!(sim::run(1, STEPS).unwrap().trace, sim::run(2, STEPS).unwrap().trace);
}

#[test]
fn broken_pipelines_are_caught() {
    let cases = [
        (Mutant::ReleaseEarly, "without a durable permit"),
        (Mutant::NoBarrier, "was decided under control"),
        (Mutant::ForgetRestart, "is not even unknown"),
        (Mutant::CarryTwice, "effect"),
        (Mutant::SkipRelease, "without a durable permit"),
    ];
    for (mutant, words) in cases {
        let found: Vec<String> = (0..6)
            .filter_map(|seed| sim::run_mutant(seed, STEPS, mutant).err())
            .map(|violation| violation.to_string())
            .collect();
        assert!(found.iter().any(|text| text.contains(words)), "{mutant:?} was not caught: {found:#?}");
    }
}
