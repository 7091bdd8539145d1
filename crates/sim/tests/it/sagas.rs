//! Plans end as they must, whatever goes wrong: judged by the server that they write to.

use std::collections::BTreeSet;
use std::time::Instant;

use kernel::progress::Stage;
use sim::saga::{
    Case, Death, Fault, SHAPES, Side, Store, Tally, cases, deaths, grouped, play, play_all, rules, taken_back,
};

fn whole(tally: &Tally, what: &str) {
    let some: Vec<&String> = tally.broken.iter().take(3).collect();
    assert!(tally.broken.is_empty(), "{what}: {} of {} broken: {some:#?}", tally.broken.len(), tally.plays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_four_steps_commits_and_rolls_back_from_each() {
    let rules = rules().unwrap();
    let shape = "a:take b:set<a c:make<b d:take_probed<c";
    assert!(SHAPES.contains(&shape));
    let ended = play(&rules, &Case::of(shape)).await.unwrap();
    assert_eq!(ended.plans[0].stage, Stage::Committed);
    for step in ["a", "b", "c", "d"] {
        let case = Case::of(shape).hit(step, Side::Deed, &[Fault::Error]);
        let ended = play(&rules, &case).await.unwrap();
        assert_eq!(
            (ended.plans[0].stage, &ended.plans[0].left),
            (Stage::RolledBack, &BTreeSet::new()),
            "{step}"
        );
        let case = Case::of(shape).hit(step, Side::Deed, &[Fault::CrashAfter]);
        let ended = play(&rules, &case).await.unwrap();
        assert_eq!((ended.plans[0].stage, ended.deaths), (Stage::Committed, 1), "{step}");
    }
}

/// The same over SQLite: a life ends in the middle of a step, the next one begins with a copy of its folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_over_sqlite_goes_on_or_back() {
    let rules = rules().unwrap();
    let shape = Case { store: Store::Files, ..Case::of("a:take b:set<a c:make<b d:take_probed<c") };
    for step in ["a", "b", "c", "d"] {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let ended = play(&rules, &shape.clone().hit(step, Side::Deed, &[fault])).await.unwrap();
            // A probe tells that it did not happen; who knows its key tries again.
            let was_lost = (step, fault) == ("d", Fault::CrashBefore);
            let end = if was_lost { Stage::RolledBack } else { Stage::Committed };
            assert_eq!((ended.plans[0].stage, ended.deaths), (end, 1), "{step} {fault:?}");
            let failing =
                shape.clone().hit_always("d", Side::Deed, Fault::Error).hit(step, Side::Undo, &[fault]);
            let ended = play(&rules, &failing).await.unwrap();
            assert_eq!(ended.plans[0].stage, Stage::RolledBack, "{step} {fault:?}");
            assert_eq!(ended.deaths, u64::from(step != "d"));
        }
    }
}

/// One of each kind; `cargo xtask sim --saga` plays them all.
const SOME: [&str; 11] = [
    "a:take",
    "a:take b:set<a c:make<b",
    "a:make b:set@a",
    "a:take_once b:take<a",
    "a:take_probed b:take_plain<a",
    "a:take b:set c:make",
    "a:make b:set@a c:take<a",
    "a:take b:set<a c:make<a d:take<b,c",
    "a:take b:mail<a",
    "a:take b:mail<a c:mail<b",
    "a:take b:take<a / c:take d:set<c",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_at_a_step_ends_as_it_must() {
    let rules = rules().unwrap();
    let started = Instant::now();
    let all = SOME.into_iter().flat_map(cases).collect();
    let tally = play_all(&rules, all).await;
    whole(&tally, "a fault at each step");
    assert!(tally.plays > 400 && tally.deaths > 100, "{tally:?}");
    for count in [tally.committed, tally.rolled_back, tally.quarantined, tally.asked] {
        assert!(count > 10, "{tally:?}");
    }
    eprintln!("{tally:?} in {:?}", started.elapsed());
}

/// The same faults where single calls join into a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_in_a_group_ends_as_it_must() {
    let rules = rules().unwrap();
    let calm = Case { grouped: true, ..Case::of("a:make b:set@a c:mail<b") };
    let ended = play(&rules, &calm).await.unwrap();
    assert_eq!((ended.plans[0].stage, ended.plans[0].left.len()), (Stage::Committed, 3));
    let failing = calm.hit("b", Side::Deed, &[Fault::Error]);
    let ended = play(&rules, &failing).await.unwrap();
    assert_eq!((ended.plans[0].stage, ended.plans[0].left.len()), (Stage::RolledBack, 0));
    let all =
        ["a:take b:set<a c:make<b", "a:make b:set@a", "a:take_probed b:take_plain<a", "a:take b:mail<a"];
    let tally = play_all(&rules, all.into_iter().flat_map(grouped).collect()).await;
    whole(&tally, "a fault at each call of a group");
    assert!(tally.plays > 100 && tally.deaths > 30, "{tally:?}");
    for count in [tally.committed, tally.rolled_back, tally.quarantined] {
        assert!(count > 5, "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_while_a_commit_is_taken_back_ends_as_it_must() {
    let rules = rules().unwrap();
    let shapes = ["a:take b:set<a c:make<b", "a:take b:mail<a c:make", "a:take b:take<a / c:take d:set<c"];
    let tally = play_all(&rules, shapes.into_iter().flat_map(taken_back).collect()).await;
    whole(&tally, "a fault while a commit is taken back");
    assert!(tally.plays > 60 && tally.deaths > 20 && tally.rolled_back > 20, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_append_ends_as_it_must() {
    let rules = rules().unwrap();
    for shape in ["a:take b:set<a c:mail<b", "a:take b:take<a / c:take d:set<c"] {
        let appends = play(&rules, &Case::of(shape)).await.unwrap().appends;
        // Every second of them; `cargo xtask sim --saga` plays them all.
        let some = deaths(shape, appends + 4, 5).into_iter().step_by(2).collect();
        let tally = play_all(&rules, some).await;
        whole(&tally, shape);
        assert!(tally.deaths > appends, "{tally:?}");
    }
    let as_group = |case: Case| Case { grouped: true, ..case };
    let all = deaths("a:take b:make<a c:mail<b", 14, 5).into_iter().step_by(2).map(as_group).collect();
    whole(&play_all(&rules, all).await, "a group");
    // A death that never comes kills nobody.
    let late = Case { death: Some(Death { append: 10_000, durable: true }), ..Case::of("a:take") };
    assert_eq!(play(&rules, &late).await.unwrap().deaths, 0);
}
