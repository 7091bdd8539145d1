//! Everything that can go wrong once in a shape: at every step, on its way there and on its way back.

use std::sync::Arc;

use kernel::progress::Stage;
use kernel::rules::Rules;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::life::Death;
use super::play::{Case, Ended, Hit, play};
use super::shapes::{Node, SHAPES, plans};
use super::tools::UNDO_RETRIES;
use super::world::{Fault, Side};
use crate::random::Random;

/// Plays at once: most of their time they wait.
const AT_ONCE: usize = 24;

/// Each step × each fault of its request, of its undo's, and each death at either.
pub fn cases(shape: &'static str) -> Vec<Case> {
    let nodes: Vec<Node> = plans(shape).into_iter().flatten().collect();
    let mut cases = vec![Case::of(shape)];
    for node in &nodes {
        cases.extend(on_the_way(shape, node));
        // Something else fails, so that this one is taken back.
        let other = plans(shape).into_iter().find(|plan| plan.iter().any(|one| one.id == node.id));
        let other = other.into_iter().flatten().rfind(|one| one.id != node.id);
        if let Some(other) = other.filter(|_| !node.is_final()) {
            cases.extend(on_the_way_back(shape, node, &other));
        }
    }
    cases
}

fn on_the_way(shape: &'static str, node: &Node) -> Vec<Case> {
    let deed = |fault| Case::of(shape).hit(&node.id, Side::Deed, &[fault]);
    let again = |fault, next| Case { again_at_request: Some(next), ..deed(fault) };
    let mut cases = vec![
        deed(Fault::Error),
        deed(Fault::Refusal),
        deed(Fault::Hang),
        // What comes after a lost answer tells nothing of it, or tells all.
        Case::of(shape).hit(&node.id, Side::Deed, &[Fault::Lost, Fault::Error]),
        Case::of(shape).hit(&node.id, Side::Deed, &[Fault::Hang, Fault::Refusal]),
        deed(Fault::Lost),
        deed(Fault::CrashBefore),
        deed(Fault::CrashAfter),
        again(Fault::CrashBefore, Fault::CrashAfter),
        again(Fault::CrashAfter, Fault::CrashBefore),
        again(Fault::CrashAfter, Fault::CrashAfter),
        Case::of(shape).hit_always(&node.id, Side::Deed, Fault::Hang),
    ];
    // Who knows no key cannot tell that a request came twice; nobody here sends one twice but the network.
    if node.is_keyed() {
        cases.push(deed(Fault::Twice));
    }
    cases
}

fn on_the_way_back(shape: &'static str, node: &Node, other: &Node) -> Vec<Case> {
    let retries = usize::try_from(UNDO_RETRIES).unwrap_or(0);
    let failing = || Case::of(shape).hit_always(&other.id, Side::Deed, Fault::Error);
    let undo = |faults: &[Fault]| failing().hit(&node.id, Side::Undo, faults);
    let again = |fault, next| Case { again_at_request: Some(next), ..undo(&[fault]) };
    vec![
        // It was sent twice, and is taken back to what was there before the first time.
        failing().hit(&node.id, Side::Deed, &[Fault::Lost]),
        failing().hit(&node.id, Side::Deed, &[Fault::CrashAfter]),
        undo(&vec![Fault::Error; retries]),
        undo(&[Fault::Hang]),
        undo(&[Fault::Lost]),
        failing().hit_always(&node.id, Side::Undo, Fault::Error),
        failing().hit_always(&node.id, Side::Undo, Fault::Hang),
        undo(&[Fault::CrashBefore]),
        undo(&[Fault::CrashAfter]),
        again(Fault::CrashBefore, Fault::CrashBefore),
        again(Fault::CrashAfter, Fault::CrashAfter),
    ]
}

/// The same, where the steps are single calls that join into a group; none for runs beneath runs.
pub fn grouped(shape: &'static str) -> Vec<Case> {
    let one = plans(shape).len() == 1;
    cases(shape).into_iter().filter(|_| one).map(|case| Case { grouped: true, ..case }).collect()
}

/// What was committed is taken back later: each step × each fault of its undo's request.
pub fn taken_back(shape: &'static str) -> Vec<Case> {
    let retries = usize::try_from(UNDO_RETRIES).unwrap_or(0);
    let calm = || Case { later: true, ..Case::of(shape) };
    let mut cases = vec![calm()];
    for node in plans(shape).into_iter().flatten().filter(|node| !node.is_final()) {
        let undo = |faults: &[Fault]| calm().hit(&node.id, Side::Undo, faults);
        let again = |fault, next| Case { again_at_request: Some(next), ..undo(&[fault]) };
        cases.extend([
            undo(&vec![Fault::Error; retries]),
            undo(&[Fault::Hang]),
            undo(&[Fault::Lost]),
            undo(&[Fault::CrashBefore]),
            undo(&[Fault::CrashAfter]),
            again(Fault::CrashBefore, Fault::CrashBefore),
            again(Fault::CrashAfter, Fault::CrashAfter),
            calm().hit_always(&node.id, Side::Undo, Fault::Error),
            calm().hit_always(&node.id, Side::Undo, Fault::Hang),
        ]);
    }
    cases
}

/// A death at each append of a plan that succeeds, and of one that is taken back; the next life dies, too.
pub fn deaths(shape: &'static str, appends: u64, again: u64) -> Vec<Case> {
    let last = plans(shape).into_iter().flatten().last().map(|node| node.id).unwrap_or_default();
    let plain = Case::of(shape);
    let failing = Case::of(shape).hit_always(&last, Side::Deed, Fault::Error);
    let mut cases = Vec::new();
    for append in 1..=appends {
        for durable in [false, true] {
            let death = Some(Death { append, durable });
            let next = (again > 0).then(|| Death { append: 1 + append % again, durable: !durable });
            cases.push(Case { death, ..plain.clone() });
            cases.push(Case { death, ..failing.clone() });
            cases.push(Case { death, again: next, ..failing.clone() });
        }
    }
    cases
}

/// A shape with whatever chance does to its steps, and at times to Remit. The same seed is the same case.
pub fn by_chance(seed: u64) -> Case {
    const FAULTS: [Fault; 6] =
        [Fault::Error, Fault::Hang, Fault::Lost, Fault::CrashBefore, Fault::CrashAfter, Fault::Refusal];
    let mut random = Random::new(seed);
    let shape = random.pick(&SHAPES).copied().unwrap_or("a:take");
    let mut case = Case::of(shape);
    for node in plans(shape).into_iter().flatten() {
        for side in [Side::Deed, Side::Undo] {
            if !random.percent(30) {
                continue;
            }
            let count = 1 + random.below(2);
            let faults: Vec<Fault> = (0..count).filter_map(|_| random.pick(&FAULTS).copied()).collect();
            let always = random.percent(20) && matches!(faults.last(), Some(Fault::Error | Fault::Refusal));
            case.hits.push(Hit { step: node.id.clone(), side, faults, always });
        }
    }
    case.grouped = random.percent(25) && plans(shape).len() == 1;
    case.later = random.percent(25);
    case.rash = random.percent(20) && !case.grouped;
    if random.percent(40) {
        case.death = Some(Death { append: 1 + random.below(30), durable: random.percent(50) });
    }
    if random.percent(50) {
        case.again = Some(Death { append: 1 + random.below(12), durable: random.percent(50) });
    }
    case
}

/// Whether a plan may end with something left: what cannot be taken back was done, or an undo never succeeds, or
/// nobody can know whether it did.
fn may_be_left(case: &Case, ended: &Ended) -> bool {
    let nodes: Vec<Node> = plans(case.shape).into_iter().flatten().collect();
    let kind = |id: &str| nodes.iter().find(|node| node.id == id).map(|node| node.kind.clone());
    let undone_for_good = case
        .hits
        .iter()
        .any(|hit| hit.side == Side::Undo && (hit.always || kind(&hit.step).as_deref() == Some("take_once")));
    let has_keyless_undo = nodes.iter().any(|node| node.kind == "take_once") && ended.deaths > 0;
    let final_done = ended.plans.iter().flat_map(|plan| &plan.left);
    let final_done =
        final_done.into_iter().any(|id| nodes.iter().any(|node| node.id == *id && node.is_final()));
    undone_for_good || has_keyless_undo || final_done
}

/// Counts over many plays.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub plays: u64,
    pub committed: u64,
    pub rolled_back: u64,
    pub quarantined: u64,
    pub deaths: u64,
    pub asked: u64,
    pub broken: Vec<String>,
}

/// Plays them all, several at once.
pub async fn play_all(rules: &Arc<Rules>, cases: Vec<Case>) -> Tally {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for case in cases {
        let (rules, turns) = (rules.clone(), turns.clone());
        playing.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let ended = play(&rules, &case).await;
            (case, ended)
        });
    }
    let mut tally = Tally::default();
    while let Some(played) = playing.join_next().await {
        match played {
            Ok((case, ended)) => tally.take(&case, ended),
            Err(error) => tally.broken.push(error.to_string()),
        }
    }
    tally
}

impl Tally {
    fn take(&mut self, case: &Case, ended: Result<Ended, String>) {
        self.plays += 1;
        let ended = match ended {
            Ok(ended) => ended,
            Err(why) => return self.broken.push(format!("{case:?}: {why}")),
        };
        self.deaths += ended.deaths;
        self.asked += ended.asked;
        for plan in &ended.plans {
            match plan.stage {
                Stage::Committed => self.committed += 1,
                Stage::RolledBack => self.rolled_back += 1,
                Stage::Quarantined => self.quarantined += 1,
                other => self.broken.push(format!("{case:?}: it ended as {}", other.name())),
            }
        }
        let is_calm = case.hits.is_empty() && case.death.is_none() && !case.later;
        if is_calm && ended.plans.iter().any(|plan| plan.stage != Stage::Committed) {
            self.broken.push(format!("{case:?}: nothing went wrong, and it ended so: {:?}", ended.plans));
        }
        let is_left = ended.plans.iter().any(|plan| plan.stage == Stage::Quarantined);
        if is_left && !may_be_left(case, &ended) {
            self.broken
                .push(format!("{case:?}: every undo can succeed, and this is left: {:?}", ended.plans));
        }
    }

    #[must_use]
    pub fn plus(mut self, other: Tally) -> Tally {
        self.plays += other.plays;
        self.committed += other.committed;
        self.rolled_back += other.rolled_back;
        self.quarantined += other.quarantined;
        self.deaths += other.deaths;
        self.asked += other.asked;
        self.broken.extend(other.broken);
        self
    }
}
