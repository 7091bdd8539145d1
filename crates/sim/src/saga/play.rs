//! One play: a shape, what goes wrong in it, and how it is lived through to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gate::{OpenAsk, PlanShown, TakeBackAsk};
use kernel::book::Book;
use kernel::id::RunId;
use kernel::phase::Phase;
use kernel::progress::Stage;
use kernel::rules::Rules;
use kernel::verdict::Ruling;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::group::{self, named};
use super::judge::{judge, rash};
use super::life::{Death, House, Life, Store, said};
use super::shapes::{Node, plans, written};
use super::tools;
use super::world::{Fault, Holdings, Side, World};

/// Between two looks at a play.
const LOOK: Duration = Duration::from_millis(2);
/// Looks in a row at which nothing has moved: then it hangs. A machine that is busy looks less often, too.
const STILL_MAX: u32 = 10_000;
/// Appends of one play: then it does not end.
const APPENDS_MAX: u64 = 5_000;

/// What goes wrong with the requests of one step.
#[derive(Clone, Debug)]
pub struct Hit {
    pub step: String,
    pub side: Side,
    pub faults: Vec<Fault>,
    /// And so for good.
    pub always: bool,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub shape: &'static str,
    pub hits: Vec<Hit>,
    pub death: Option<Death>,
    /// The life after that dies too.
    pub again: Option<Death>,
    /// The first request of a life after a death is the last.
    pub again_at_request: Option<Fault>,
    pub store: Store,
    /// No plan: single calls of an agent without phases, joined into a group.
    pub grouped: bool,
    /// What is committed is taken back by a person afterwards; what goes wrong on the way back goes wrong then.
    pub later: bool,
    /// The agent tries before its commit what it may only do in it.
    pub rash: bool,
}

impl Case {
    pub fn of(shape: &'static str) -> Case {
        Case {
            shape,
            hits: Vec::new(),
            death: None,
            again: None,
            again_at_request: None,
            store: Store::Memory,
            grouped: false,
            later: false,
            rash: false,
        }
    }

    #[must_use]
    pub fn hit(mut self, step: &str, side: Side, faults: &[Fault]) -> Case {
        self.hits.push(Hit { step: step.to_owned(), side, faults: faults.to_vec(), always: false });
        self
    }

    #[must_use]
    pub fn hit_always(mut self, step: &str, side: Side, fault: Fault) -> Case {
        self.hits.push(Hit { step: step.to_owned(), side, faults: vec![fault], always: true });
        self
    }
}

/// How one plan ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    pub stage: Stage,
    /// Steps whose effect is in the world.
    pub left: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct Ended {
    /// The plan, and that of the run beneath it.
    pub plans: Vec<Judgement>,
    pub deaths: u64,
    /// Appends of the first life, from the first commit on.
    pub appends: u64,
    /// What a person had to say.
    pub asked: u64,
}

/// A run with its plan.
pub(super) struct Act {
    pub(super) run: RunId,
    pub(super) tag: &'static str,
    pub(super) nodes: Vec<Node>,
    back: Back,
}

/// Whether it was taken back after its commit.
enum Back {
    NotAsked,
    /// What is told is whether it was taken: one that met a death is asked for again.
    Asked(oneshot::Receiver<bool>),
    Answered,
}

pub fn rules() -> Result<Arc<Rules>, String> {
    tools::rules_where(|_| ())
}

/// The same with something of it changed.
pub fn rules_where(change: impl FnOnce(&mut Book)) -> Result<Arc<Rules>, String> {
    tools::rules_where(change)
}

/// Plays it to its end, and judges it by the server's own state.
pub async fn play(rules: &Arc<Rules>, case: &Case) -> Result<Ended, String> {
    let world = World::default();
    let (house, life) = House::built(rules.clone(), world.clone(), case.store).await?;
    let mut stage =
        Play { house, life: Some(life), acts: Vec::new(), appends: 0, asked: 0, again: case.again, case };
    stage.propose().await?;
    for hit in &case.hits {
        let act = stage.acts.iter().find(|act| act.nodes.iter().any(|node| node.id == hit.step));
        let note = act.map(|act| format!("{}/{}", act.tag, hit.step)).ok_or("no such step")?;
        world.will(&note, hit.side, &hit.faults);
        if let (true, Some(fault)) = (hit.always, hit.faults.last()) {
            world.will_always(&note, hit.side, *fault);
        }
    }
    let before = world.holdings();
    let appends = stage.life()?.appends();
    if case.rash {
        rash(stage.life()?, &stage.acts).await?;
    }
    if let Some(death) = case.death {
        stage.life()?.dies(death);
    }
    stage.commit()?;
    let (shown, appends_after) = stage.lived_through().await?;
    let judged = stage.judged(&before, shown)?;
    let ended = Ended {
        plans: judged,
        deaths: world.life(),
        appends: appends_after.saturating_sub(appends),
        asked: stage.asked,
    };
    if let Some(life) = stage.life.take() {
        tokio::spawn(async move { life.gate.stop(Duration::from_millis(20)).await });
    }
    Ok(ended)
}

struct Play<'a> {
    house: House,
    life: Option<Life>,
    acts: Vec<Act>,
    /// Of lives that are over.
    appends: u64,
    asked: u64,
    again: Option<Death>,
    case: &'a Case,
}

impl Play<'_> {
    fn life(&self) -> Result<&Life, String> {
        self.life.as_ref().ok_or_else(|| "there is no life".to_owned())
    }

    async fn propose(&mut self) -> Result<(), String> {
        let mut parent = None;
        for (nodes, tag) in plans(self.case.shape).into_iter().zip(["o", "i"]) {
            let run = self.opened(parent).await?;
            parent = Some(run);
            if !self.case.grouped {
                self.planned(run, &nodes, tag).await?;
            }
            self.acts.push(Act { run, tag, nodes, back: Back::NotAsked });
        }
        Ok(())
    }

    async fn opened(&self, parent: Option<RunId>) -> Result<RunId, String> {
        let life = self.life()?;
        let caller = if self.case.grouped { &life.joiner } else { &life.caller };
        let opened =
            life.gate.run_open(caller, OpenAsk { parent, ..OpenAsk::default() }).await.map_err(said)?;
        Ok(opened.map_err(|reason| format!("no run: {reason:?}"))?.run)
    }

    async fn planned(&self, run: RunId, nodes: &[Node], tag: &str) -> Result<(), String> {
        let Life { gate, caller, .. } = self.life()?;
        gate.phase(caller, run, Phase::Decide)
            .await
            .map_err(said)?
            .map_err(|reason| format!("{reason:?}"))?;
        let planned = gate.plan(caller, run, written(nodes, tag)).await.map_err(said)?;
        let planned = planned.map_err(|reason| format!("no plan: {reason:?}"))?;
        match planned.verdict.ruling {
            Ruling::Allow => Ok(()),
            _ => Err(format!("the plan is denied: {:#?}", planned.verdict)),
        }
    }

    /// Nobody waits for the answer: what came of it is asked for.
    fn commit(&self) -> Result<(), String> {
        self.acts.iter().try_for_each(|act| self.commit_one(act))
    }

    fn commit_one(&self, act: &Act) -> Result<(), String> {
        let Life { gate, caller, joiner, .. } = self.life()?;
        let (gate, world, run) = (gate.clone(), self.house.world.clone(), act.run);
        if self.case.grouped {
            let (caller, nodes, tag) = (joiner.clone(), act.nodes.clone(), act.tag);
            tokio::spawn(async move { group::carried(&gate, &caller, &world, run, &nodes, tag).await });
        } else {
            world.commits(act.tag);
            let caller = caller.clone();
            tokio::spawn(async move { gate.commit(&caller, run, None).await });
        }
        Ok(())
    }

    async fn lived_through(&mut self) -> Result<(Vec<PlanShown>, u64), String> {
        let mut appends = None;
        let (mut still, mut last) = (0, (0, 0));
        loop {
            if self.house.world.life() != self.life()?.number {
                appends = appends.or(Some(self.life()?.appends()));
                self.appends += self.life()?.appends();
                self.live_again().await?;
                continue;
            }
            let shown = self.shown().await?;
            if shown.len() == self.acts.len() && shown.iter().all(is_over) && self.is_back(&shown)? {
                return Ok((shown, appends.unwrap_or(self.life()?.appends())));
            }
            for plan in &shown {
                self.asked += self.answered(plan).await?;
            }
            let written = self.appends + self.life()?.appends();
            let moved = (written, self.house.world.requests());
            still = if moved == last { still + 1 } else { 0 };
            last = moved;
            if still > STILL_MAX || written > APPENDS_MAX {
                return Err(format!("it does not end: {shown:#?}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn shown(&self) -> Result<Vec<PlanShown>, String> {
        let mut shown = Vec::new();
        for act in &self.acts {
            // A life that is just ending may know nothing.
            let plan = self.life()?.gate.plan_of(act.run).await.ok().flatten();
            shown.extend(plan.map(|plan| if self.case.grouped { named(plan, &act.nodes) } else { plan }));
        }
        Ok(shown)
    }

    async fn live_again(&mut self) -> Result<(), String> {
        let last = self.life.take().ok_or("there is no life")?;
        if let Some(fault) = self.case.again_at_request.filter(|_| last.number == 0) {
            self.house.world.will_next(fault);
        }
        self.life = Some(self.house.reborn(last, self.again.take()).await?);
        // What was not begun is begun again by its agent, or by the person.
        for act in &mut self.acts {
            if let Back::Asked(_) = act.back {
                act.back = Back::NotAsked;
            }
        }
        for act in &self.acts {
            let plan = self.life()?.gate.plan_of(act.run).await.ok().flatten();
            let is_new = if self.case.grouped { plan.is_none() } else { false };
            if is_new || plan.is_some_and(|plan| plan.stage == Stage::Proposed) {
                self.commit_one(act)?;
            }
        }
        Ok(())
    }

    /// Whether what is to be taken back afterwards was; if nobody has asked for it yet, somebody does.
    fn is_back(&mut self, shown: &[PlanShown]) -> Result<bool, String> {
        if !self.case.later {
            return Ok(true);
        }
        let gate = self.life()?.gate.clone();
        let mut is_back = true;
        // What is beneath another is taken back first.
        for (act, plan) in self.acts.iter_mut().zip(shown).rev() {
            act.back = match std::mem::replace(&mut act.back, Back::Answered) {
                Back::NotAsked if plan.stage == Stage::Committed && is_back => {
                    is_back = false;
                    let (gate, run) = (gate.clone(), act.run);
                    let (by, why) = ("ann".to_owned(), "a mistake".to_owned());
                    let ask = TakeBackAsk { run, step: None, dry: false, by, why };
                    let (tell, told) = oneshot::channel();
                    tokio::spawn(async move { tell.send(gate.take_back(ask).await.is_ok()) });
                    Back::Asked(told)
                }
                Back::Asked(mut told) => {
                    // What became of it is seen at the next look.
                    is_back = false;
                    match told.try_recv() {
                        Ok(true) => Back::Answered,
                        Err(TryRecvError::Empty) => Back::Asked(told),
                        Ok(false) | Err(TryRecvError::Closed) => Back::NotAsked,
                    }
                }
                Back::NotAsked if plan.stage == Stage::Committed => Back::NotAsked,
                _ => Back::Answered,
            };
        }
        Ok(is_back)
    }

    /// A person looks at the server, and says what became of what is stuck.
    async fn answered(&self, plan: &PlanShown) -> Result<u64, String> {
        let Some(act) = self.acts.iter().find(|act| act.run == plan.run) else { return Ok(0) };
        let mut asked = 0;
        for step in plan.steps.iter().filter(|step| plan.stuck.contains(&step.id)) {
            let done = self.house.world.done(&format!("{}/{}", act.tag, step.id)) > 0;
            for call in &step.unsettled {
                let gate = &self.life()?.gate;
                // It may have been settled, or the process may have died, in between.
                let said = gate.resolve_call(*call, done, "ann", "looked at the server").await;
                asked += u64::from(matches!(said, Ok(Ok(_))));
            }
        }
        Ok(asked)
    }

    fn judged(&self, before: &Holdings, shown: Vec<PlanShown>) -> Result<Vec<Judgement>, String> {
        let world = &self.house.world;
        if let Some(note) = world.premature() {
            return Err(format!("something irreversible before the commit: `{note}`"));
        }
        let all_back = shown.iter().all(|plan| plan.stage == Stage::RolledBack);
        if all_back && world.holdings() != *before {
            return Err(format!("rolled back, and the server is not as it was: {:?}", world.holdings()));
        }
        let judged = self.acts.iter().zip(shown).map(|(act, plan)| {
            let judged = judge(world, act, &plan, self.case);
            judged.map_err(|why| format!("{why}\n{plan:#?}\n{:#?}", world.order()))
        });
        judged.collect()
    }
}

fn is_over(plan: &PlanShown) -> bool {
    matches!(plan.stage, Stage::Committed | Stage::RolledBack | Stage::Quarantined)
}
