//! Random plans, carried out in a world where anything may go wrong: they end, and what is said to be left is left.
//!
//! The world is a set of effects. Each call may do its work or not, and tell it, or tell otherwise, or be cut off. The
//! engine here does what `saga::next` says and nothing else, every command through the law.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use kernel::account::Limits;
use kernel::book::Book;
use kernel::call::{Call, Carrier, Outcome, Part, Settlement};
use kernel::command::{Answer, Closing, Command, ControlCommand, Looked, OpenRun};
use kernel::contract::{Contract, Effect};
use kernel::deed::{Deed, Expect, Undo};
use kernel::event::Event;
use kernel::id::{CallId, Mark, RunId};
use kernel::plan::{DraftedPlan, StepDraft, parse};
use kernel::progress::{Expectation, OnFailure, PlanState, Residue, Stage as At, Standing, StepState};
use kernel::rules::Rules;
use kernel::saga::{Move, next};
use kernel::time::Time;
use kernel::undo::UndoKept;
use proptest::prelude::*;
use serde_json::{Value, json};
use stdx::digest::Digest;

use crate::book::{book, compile, contract, desk};
use crate::script::{START, Stage, call, mark};

const RUN: RunId = RunId(5);
/// More turns than any plan here needs.
const TURNS_MAX: usize = 2_000;

/// What a step is, and how the world will treat it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// 0 reads, 1 and 2 can be taken back, 3 cannot.
    kind: u8,
    repeats: bool,
    probed: bool,
    checked: bool,
    after: Vec<prop::sample::Index>,
}

fn part() -> impl Strategy<Value = Piece> {
    let after = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (0..4u8, any::<bool>(), any::<bool>(), any::<bool>(), after)
        .prop_map(|(kind, repeats, probed, checked, after)| Piece { kind, repeats, probed, checked, after })
}

/// The tool of a step by its properties: every combination is a tool of the book.
fn tool_of(part: &Piece) -> String {
    let letter = |yes: bool, letter: &'static str| if yes { letter } else { "" };
    let kind = ["read", "set", "set", "send"][usize::from(part.kind)];
    format!("w.{kind}{}{}{}", letter(part.repeats, "r"), letter(part.probed, "p"), letter(part.checked, "c"))
}

fn tools() -> Vec<Contract> {
    let input = json!({ "type": "object" });
    let look = |that: &str| Some(Expect { args: json!({}), that: that.into(), tool: "w.look".into() });
    let mut all = vec![contract("w.look", Effect::Read, input.clone())];
    for repeats in [false, true] {
        let name = if repeats { "w.unsetr" } else { "w.unset" };
        let mut undo = contract(name, Effect::Reversible, input.clone());
        undo.idempotency_header = repeats.then(|| "key".into());
        all.push(undo);
    }
    for kind in 0..4u8 {
        for bits in 0..8u8 {
            let part = Piece {
                kind,
                repeats: bits & 1 > 0,
                probed: bits & 2 > 0,
                checked: bits & 4 > 0,
                after: vec![],
            };
            let effect = [Effect::Read, Effect::Reversible, Effect::Reversible, Effect::Irreversible];
            let mut tool = contract(&tool_of(&part), effect[usize::from(kind)], input.clone());
            tool.cost_usd_nanos = 3;
            tool.idempotency_header = part.repeats.then(|| "key".into());
            let undo = Undo::Tool {
                args: json!({ "of": "{args.n}" }),
                retries: u32::from(part.repeats),
                tool: if part.repeats { "w.unsetr" } else { "w.unset" }.into(),
                within_ms: None,
            };
            tool.deed = Deed {
                expect: look("result.ok == true").filter(|_| part.checked),
                probe: look("result.is == true").filter(|_| part.probed),
                undo: (effect[usize::from(kind)] == Effect::Reversible).then_some(undo),
                ..Deed::default()
            };
            all.push(tool);
        }
    }
    all.dedup_by(|one, other| one.name == other.name);
    all
}

fn world_book(mends: bool) -> Book {
    let mut agent = desk();
    agent.phases = true;
    agent.per_run = Limits { usd_nanos: Some(1_000), ..Limits::default() };
    agent.commits.on_failure = if mends { OnFailure::PauseForReplan } else { OnFailure::Unwind };
    let mut book = book(vec![agent]);
    book.tools.extend(tools().into_iter().map(|tool| (tool.name.clone(), tool)));
    book
}

/// Where chance is read from; when it is used up, all goes well.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn of(&mut self, sides: u8) -> u8 {
        self.0.next().unwrap_or(0) % sides
    }
}

struct World {
    stage: Stage,
    now: Time,
    dice: Dice,
    calls: u128,
    drafted: Vec<StepDraft>,
    /// Steps whose effect is there.
    there: BTreeSet<u16>,
    /// Effects by the deed whose key they came under: a tool that knows its keys does nothing twice.
    keyed: BTreeMap<(CallId, bool), bool>,
    /// Calls under way, with the step, whether they take back, and what will have been done.
    flying: Vec<(CallId, u16, bool)>,
    residue: Vec<Residue>,
}

impl World {
    fn new(parts: &[Piece], mends: bool, dice: Vec<u8>) -> World {
        static RULES: LazyLock<[Arc<Rules>; 2]> =
            LazyLock::new(|| [false, true].map(|mends| Arc::new(compile(world_book(mends)))));
        let mut stage = Stage::with(RULES[usize::from(mends)].clone());
        let open = OpenRun {
            run: RUN,
            agent: "desk".into(),
            person: None,
            intent: None,
            implicit: None,
            parent: None,
            budget: None,
            credential: None,
        };
        stage.lane(START, &Command::OpenRun(open));
        let mut world = World {
            stage,
            now: START,
            dice: Dice(dice.into_iter()),
            calls: 0,
            drafted: Vec::new(),
            there: BTreeSet::new(),
            keyed: BTreeMap::new(),
            flying: Vec::new(),
            residue: Vec::new(),
        };
        world.propose(parts);
        world
    }

    fn propose(&mut self, parts: &[Piece]) {
        let steps: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(place, part)| {
                let after: BTreeSet<String> =
                    part.after.iter().filter(|_| place > 0).map(|at| format!("s{}", at.index(place))).collect();
                json!({ "id": format!("s{place}"), "tool": tool_of(part), "args": { "n": place }, "after": after })
            })
            .collect();
        let written = parse(&json!({ "steps": steps })).unwrap();
        let draft = |(place, step): (usize, &kernel::plan::WrittenStep)| StepDraft {
            template: mark(&format!("{} {}", step.tool, step.args)),
            touches: vec![mark(&format!("touch {place}"))],
            facts: Vec::new(),
            destinations: Vec::new(),
            hosts: Vec::new(),
        };
        self.drafted = written.steps.iter().enumerate().map(draft).collect();
        let (digest, drafts) = (Digest::of(b"plan"), self.drafted.clone());
        let plan = Arc::new(DraftedPlan { plan: written, digest, mark: mark("plan"), drafts });
        let said = self.lane(&Command::Plan { run: RUN, agent: "desk".into(), plan });
        let Answer::Plan(said) = said else { panic!("{said:?}") };
        assert!(
            said.reasons.is_empty() && said.steps.iter().all(|step| step.reasons.is_empty()),
            "{said:#?}"
        );
    }

    fn plan(&self) -> &PlanState {
        self.stage.state.plan(RUN).unwrap()
    }

    fn lane(&mut self, command: &Command) -> Answer {
        let decision = self.stage.lane(self.now, command);
        for event in &decision.events {
            if let Event::CommitEnded(ended) = event {
                self.residue.clone_from(&ended.residue);
            }
        }
        decision.answer
    }

    fn commit(&mut self) {
        let marks = self.plan().touches.clone();
        let (until, now) = (self.now.plus_ms(1 << 40), self.now);
        let claim = ControlCommand::Claim { run: RUN, marks, until, now };
        assert_eq!(self.stage.control(now, &claim).answer, Answer::Done);
        let version = self.plan().version;
        let (agent, ticket, credential) = ("desk".to_owned(), CallId(u128::MAX), None);
        let commit = Command::Commit { run: RUN, agent, version, ticket, credential, is_last: false };
        let said = self.lane(&commit);
        assert!(matches!(said, Answer::Progress(_)), "{said:?}");
    }

    fn propose_call(
        &mut self,
        tool: &str,
        args: &str,
        args_mark: Mark,
        part: Part,
        touches: Vec<Mark>,
    ) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        let call = Call {
            args_mark,
            part: Some(part),
            touches,
            ..call(id, RUN, "desk", tool, args, None, Carrier::Gate)
        };
        let said = self.lane(&Command::Propose(Arc::new(call)));
        let Answer::Verdict(verdict) = said else { panic!("{said:?}") };
        assert!(verdict.allows(), "{:?}", verdict.reasons);
        id
    }

    fn run(&mut self, step: u16) {
        let plan = self.plan();
        let (planned, known) = (plan.step(step).unwrap().planned.clone(), plan.step(step).unwrap().state);
        if planned.effect == Effect::Irreversible && known == StepState::Outbox {
            // The promise: nothing final is done before all that does not build on it stands.
            let finals = plan.steps.iter().enumerate().filter(|(_, one)| one.state == StepState::Outbox);
            let finals: Vec<usize> = finals.map(|(place, _)| place).collect();
            let builds = |other: usize| finals.iter().any(|last| depends(plan, other, *last));
            let others = plan
                .steps
                .iter()
                .enumerate()
                .filter(|(other, one)| one.planned.effect != Effect::Irreversible && !builds(*other));
            let past = plan.is_past_recall();
            for (_, one) in others {
                assert!(past || one.state == StepState::Done, "{} before {}", planned.id, one.planned.id);
            }
        }
        let (version, template) = (plan.version, planned.template);
        let part = Part::Step { step, template, version };
        let touches = self.drafted[usize::from(step)].touches.clone();
        let id = self.propose_call(&planned.tool, "{}", template, part, touches);
        self.flying.push((id, step, false));
    }

    fn undo(&mut self, step: u16) {
        let known = self.plan().step(step).unwrap().clone();
        let kept = known.undo.unwrap();
        let part = Part::Undo { of: known.call.unwrap(), version: None };
        let id = self.propose_call(&kept.tool, "{}", kept.mark, part, Vec::new());
        self.flying.push((id, step, true));
    }

    /// One of the calls under way ends, in one of all the ways.
    fn land(&mut self) {
        let nth = usize::from(self.dice.of(8)) % self.flying.len();
        let (id, step, back) = self.flying.remove(nth);
        let known = self.plan().step(step).unwrap().clone();
        let tool = self.stage.state.calls[&id].tool.clone();
        let contract = self.stage.rules.tool(&tool).unwrap().contract.clone();
        let key = (known.call.unwrap(), back);
        let done_before = self.keyed.get(&key).copied().filter(|_| contract.repeats());
        // 0 to 4: well. 5: refused. 6: done and not told. 7: not done and not told. 8: never got there.
        let chance = self.dice.of(9);
        let does = done_before.unwrap_or(matches!(chance, 0..=4 | 6));
        let outcome = match (chance, done_before) {
            (6 | 7, _) => Outcome::Unknown,
            (8, _) => Outcome::NotDispatched,
            (_, Some(false)) | (5, None) => Outcome::Failed,
            _ => Outcome::Succeeded,
        };
        if chance != 8 {
            let writes = known.planned.effect.writes();
            if does && done_before.is_none() && writes {
                assert_eq!(self.there.contains(&step), back, "step {step} twice, or taken back twice");
                if back {
                    self.there.remove(&step)
                } else {
                    self.there.insert(step)
                };
            }
            self.keyed.insert(key, does);
        }
        let undo = (!back && outcome == Outcome::Succeeded).then(|| self.kept(&contract, step)).flatten();
        let said = self.lane(&Command::Settle(settlement(id, outcome, undo)));
        assert_eq!(said, Answer::Done);
    }

    fn kept(&self, contract: &Contract, step: u16) -> Option<UndoKept> {
        let tool = contract.deed.undo.as_ref()?.call().0.to_owned();
        let digest = self.stage.rules.tool(&tool)?.digest;
        Some(UndoKept {
            args: digest,
            contract: digest,
            mark: mark(&format!("undo {step}")),
            tool,
            until: None,
        })
    }

    fn look(&mut self, step: u16, probes: bool) {
        let contract = {
            let tool = &self.plan().step(step).unwrap().planned.tool;
            self.stage.rules.tool(tool).unwrap().contract.clone()
        };
        let is_there = self.there.contains(&step);
        let (mut expectation, mut happened, mut undo) = (None, None, None);
        let unknown = self.dice.of(4) == 3;
        if probes {
            let known = if is_there { Expectation::Held } else { Expectation::Failed };
            happened = Some(if unknown { Expectation::Unknown } else { known });
            undo = self.kept(&contract, step);
        } else {
            let known = if self.dice.of(6) == 5 { Expectation::Failed } else { Expectation::Held };
            expectation = Some(if unknown { Expectation::Unknown } else { known });
        }
        let version = self.plan().version;
        let looked =
            Looked { run: RUN, version, step, expectation, happened, seen: None, undo, barred: None };
        let said = self.lane(&Command::StepChecked(looked));
        assert!(matches!(said, Answer::Progress(_)), "{said:?}");
    }

    /// A person knows; or leaves it.
    fn resolve(&mut self, step: u16) -> bool {
        if self.dice.of(3) == 2 {
            let said =
                self.lane(&Command::AcceptResidue { run: RUN, by: "ann".into(), why: "so be it".into() });
            // Not while something can still be done.
            if matches!(said, Answer::Progress(_)) {
                return true;
            }
        }
        let known = self.plan().step(step).unwrap().clone();
        let contract = self.stage.rules.tool(&known.planned.tool).unwrap().contract.clone();
        let (done, undo) = (self.there.contains(&step), self.kept(&contract, step));
        let (by, why) = ("ann".into(), "looked".into());
        let call = *known.unsettled.first().unwrap();
        let said = self.lane(&Command::ResolveCall { call, done, undo, by, why });
        assert_eq!(said, Answer::Done);
        false
    }

    /// Remit is killed and starts again: what was under way may have been done.
    fn crash(&mut self) {
        for (id, step, back) in std::mem::take(&mut self.flying) {
            let known = self.plan().step(step).unwrap();
            let tool = &self.stage.state.calls[&id].tool;
            let repeats = self.stage.rules.tool(tool).unwrap().contract.repeats();
            let key = (known.call.unwrap(), back);
            let before = self.keyed.get(&key).copied().filter(|_| repeats);
            let (writes, does) = (known.planned.effect.writes(), self.dice.of(2) == 1);
            if before.is_none() && does && writes && self.there.contains(&step) == back {
                if back {
                    self.there.remove(&step)
                } else {
                    self.there.insert(step)
                };
                self.keyed.insert(key, true);
            }
        }
        self.lane(&Command::Restarted);
    }

    fn turn(&mut self) {
        self.now = self.now.plus_ms(10);
        if self.dice.of(40) == 39 {
            self.crash();
        }
        if self.dice.of(60) == 59 && self.plan().stage == At::Committing {
            let (by, why) = ("desk".into(), "enough".into());
            self.lane(&Command::Abort { run: RUN, agent: Some("desk".into()), by, why });
        }
        let moves = next(self.plan(), self.now, &|_| false);
        // Which of several goes first is chance.
        let nth = usize::from(self.dice.of(8)) % moves.len().max(1);
        if moves.is_empty() || (!self.flying.is_empty() && self.dice.of(2) == 1) {
            assert!(
                !self.flying.is_empty(),
                "nothing is under way, and nothing is wanted: {:#?}",
                self.plan()
            );
            return self.land();
        }
        match &moves[nth] {
            Move::Run(step) => self.run(*step),
            Move::Check(step) => self.look(*step, false),
            Move::Undo(step) => self.undo(*step),
            Move::Probe(step) => self.look(*step, true),
            Move::Unwind(why) => drop(self.lane(&Command::Unwind { run: RUN, why: why.clone() })),
            Move::Pause(why) => drop(self.lane(&Command::Pause { run: RUN, why: why.clone() })),
            Move::Wait(until) => self.now = self.now.max(*until),
            Move::Held(_) => panic!("nothing is halted"),
            Move::Finish(_) => drop(self.lane(&Command::EndCommit { run: RUN })),
            Move::Stuck(step) if self.flying.is_empty() => drop(self.resolve(*step)),
            Move::Stuck(_) => self.land(),
        }
    }

    fn play(&mut self, parts: &[Piece]) {
        for _ in 0..TURNS_MAX {
            match self.plan().stage {
                At::Committing | At::Unwinding => self.turn(),
                At::Paused => self.mend(parts),
                _ => return self.over(),
            }
        }
        panic!("it does not end: {:#?}", self.plan());
    }

    /// The agent goes on with the same plan, once more, or gives it up.
    fn mend(&mut self, parts: &[Piece]) {
        // A gate may stop it in the middle of a step: that ends first, and what nobody knows of it is asked on the way.
        if !self.flying.is_empty() {
            return self.land();
        }
        if self.plan().steps.iter().any(|step| step.state == StepState::Unknown) {
            return self.commit();
        }
        let failed = self.plan().steps.iter().filter(|step| step.state == StepState::Failed).count();
        if self.plan().may_be_past_recall() || (self.dice.of(2) == 0 && failed > 0) {
            for (place, step) in (0u16..).zip(&self.plan().clone().steps) {
                if step.state == StepState::Failed {
                    // A new deed has a new key.
                    self.keyed.retain(|(call, _), _| Some(*call) != step.call);
                    assert!(!self.there.contains(&place));
                }
            }
            self.propose(parts);
            return self.commit();
        }
        let (by, why) = ("desk".into(), "enough".into());
        let said = self.lane(&Command::Abort { run: RUN, agent: Some("desk".into()), by, why });
        assert!(matches!(said, Answer::Progress(_)), "{said:?}");
    }

    /// What is said to be left is what is left, and no money is held but for what nobody knows.
    fn over(&mut self) {
        let plan = self.plan().clone();
        let place = |id: &str| id.trim_start_matches('s').parse::<u16>().unwrap();
        let stands: BTreeSet<u16> = self
            .residue
            .iter()
            .filter(|left| left.is == Standing::Stands)
            .map(|left| place(&left.id))
            .collect();
        let perhaps: BTreeSet<u16> = self
            .residue
            .iter()
            .filter(|left| left.is == Standing::Unknown)
            .map(|left| place(&left.id))
            .collect();
        let writes: BTreeSet<u16> = (0u16..)
            .zip(&plan.steps)
            .filter(|(_, step)| step.planned.effect.writes())
            .map(|(place, _)| place)
            .collect();
        match plan.stage {
            At::Committed => assert_eq!(self.there, writes),
            At::RolledBack => assert_eq!(self.there, BTreeSet::new()),
            At::Quarantined => {
                assert!(stands.is_subset(&self.there), "{stands:?} of {:?}", self.there);
                let left: BTreeSet<u16> = stands.union(&perhaps).copied().collect();
                assert!(self.there.is_subset(&left), "{:?} of {left:?}", self.there);
                assert!(!left.is_empty());
            }
            stage => panic!("{stage:?}"),
        }
        assert!(plan.hold.is_zero());
        let open = self.stage.state.calls.values().filter(|open| open.unknown);
        let held: u64 = open.map(|open| open.reserved.usd_nanos).sum();
        assert_eq!(self.stage.state.runs[&RUN].account.pending.usd_nanos, held);
        if matches!(plan.stage, At::Committed | At::RolledBack) {
            // A read that never told anything may have cost something, all the same.
            let writes = self.stage.state.calls.values().filter(|open| open.unknown && !open.reads);
            assert_eq!(writes.count(), 0);
        }
        let close = Command::CloseRun {
            run: RUN,
            agent: Some("desk".into()),
            outcome: Closing::Success,
            workflow: None,
            by: "desk".into(),
        };
        assert_eq!(self.lane(&close), Answer::Done);
        self.taken_back(plan.stage);
    }

    /// What was committed can be taken back after the run is closed, too.
    fn taken_back(&mut self, stage: At) {
        let (by, why) = ("ann".to_owned(), "no".to_owned());
        let ask = Command::TakeBack { run: RUN, step: None, dry: false, by, why };
        if stage != At::Committed || !matches!(self.lane(&ask), Answer::Progress(_)) {
            return;
        }
        let taking = self.plan().taking.clone().unwrap();
        for _ in 0..TURNS_MAX {
            if self.plan().stage != At::Unwinding {
                let failed = taking.iter().any(|step| self.there.contains(step));
                let end = if failed { At::Quarantined } else { self.plan().stage };
                assert_eq!(self.plan().stage, end);
                return;
            }
            self.turn();
        }
        panic!("it does not end: {:#?}", self.plan());
    }
}

fn depends(plan: &PlanState, step: usize, on: usize) -> bool {
    plan.steps[step]
        .planned
        .after
        .iter()
        .any(|before| usize::from(*before) == on || depends(plan, usize::from(*before), on))
}

fn settlement(call: CallId, outcome: Outcome, undo: Option<UndoKept>) -> Settlement {
    Settlement {
        call,
        agent: None,
        outcome,
        result: None,
        result_mark: None,
        transient: false,
        used: Default::default(),
        duration_ms: 5,
        trouble: None,
        undo,
        facts: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), ..ProptestConfig::default() })]

    #[test]
    fn every_plan_ends_and_what_is_left_is_said(
        parts in prop::collection::vec(part(), 1..7),
        mends in any::<bool>(),
        dice in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut world = World::new(&parts, mends, dice);
        world.commit();
        world.play(&parts);
    }
}
