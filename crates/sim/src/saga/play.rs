//! One play: a shape, what goes wrong in it, and what must hold at the end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::{OpenAsk, PlanShown};
use kernel::id::RunId;
use kernel::phase::Phase;
use kernel::progress::{Stage, Standing, StepState};
use kernel::rules::Rules;
use kernel::verdict::Ruling;

use super::life::{Death, House, Life, Store, said};
use super::shapes::{Node, plans, written};
use super::tools;
use super::world::{Fault, Side, World};

/// No play is longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

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
struct Act {
    run: RunId,
    tag: &'static str,
    nodes: Vec<Node>,
}

pub fn rules() -> Result<Arc<Rules>, String> {
    tools::rules()
}

/// Plays it to its end, and judges it by the server's own state.
pub async fn play(rules: &Arc<Rules>, case: &Case) -> Result<Ended, String> {
    let world = World::default();
    let (house, life) = House::built(rules.clone(), world.clone(), case.store).await?;
    let mut stage = Play { house, life: Some(life), acts: Vec::new(), asked: 0, again: case.again, case };
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
            let Life { gate, caller, .. } = self.life()?;
            let opened =
                gate.run_open(caller, OpenAsk { parent, ..OpenAsk::default() }).await.map_err(said)?;
            let run = opened.map_err(|reason| format!("no run: {reason:?}"))?.run;
            parent = Some(run);
            gate.phase(caller, run, Phase::Decide)
                .await
                .map_err(said)?
                .map_err(|reason| format!("{reason:?}"))?;
            let planned = gate.plan(caller, run, written(&nodes, tag)).await.map_err(said)?;
            let planned = planned.map_err(|reason| format!("no plan: {reason:?}"))?;
            if planned.verdict.ruling != Ruling::Allow {
                return Err(format!("the plan is denied: {:#?}", planned.verdict));
            }
            self.acts.push(Act { run, tag, nodes });
        }
        Ok(())
    }

    /// Nobody waits for the answer: what came of it is asked for.
    fn commit(&self) -> Result<(), String> {
        for act in &self.acts {
            self.commit_one(act)?;
        }
        Ok(())
    }

    fn commit_one(&self, act: &Act) -> Result<(), String> {
        let Life { gate, caller, .. } = self.life()?;
        let (gate, caller, run) = (gate.clone(), caller.clone(), act.run);
        tokio::spawn(async move { gate.commit(&caller, run, None).await });
        Ok(())
    }

    async fn lived_through(&mut self) -> Result<(Vec<PlanShown>, u64), String> {
        let started = Instant::now();
        let mut appends = None;
        loop {
            if self.house.world.life() != self.life()?.number {
                appends = appends.or(Some(self.life()?.appends()));
                self.live_again().await?;
                continue;
            }
            let mut shown = Vec::new();
            for act in &self.acts {
                // A life that is just ending may know nothing.
                let plan = self.life()?.gate.plan_of(act.run).await.ok().flatten();
                shown.extend(plan);
            }
            let is_over = |plan: &PlanShown| {
                matches!(plan.stage, Stage::Committed | Stage::RolledBack | Stage::Quarantined)
            };
            if shown.len() == self.acts.len() && shown.iter().all(is_over) {
                return Ok((shown, appends.unwrap_or(self.life()?.appends())));
            }
            for plan in &shown {
                self.asked += self.answered(plan).await?;
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("it does not end: {shown:#?}"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn live_again(&mut self) -> Result<(), String> {
        let last = self.life.take().ok_or("there is no life")?;
        if let Some(fault) = self.case.again_at_request.filter(|_| last.number == 0) {
            self.house.world.will_next(fault);
        }
        self.life = Some(self.house.reborn(last, self.again.take()).await?);
        // What was not begun is begun again by its agent.
        for act in &self.acts {
            let plan = self.life()?.gate.plan_of(act.run).await.ok().flatten();
            if plan.is_some_and(|plan| plan.stage == Stage::Proposed) {
                self.commit_one(act)?;
            }
        }
        Ok(())
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

    // ---- Judgement ---------------------------------------------------------------------------------------------

    fn judged(
        &self,
        before: &super::world::Holdings,
        shown: Vec<PlanShown>,
    ) -> Result<Vec<Judgement>, String> {
        let world = &self.house.world;
        let all_back = shown.iter().all(|plan| plan.stage == Stage::RolledBack);
        if all_back && world.holdings() != *before {
            return Err(format!("rolled back, and the server is not as it was: {:?}", world.holdings()));
        }
        let judged = self.acts.iter().zip(shown).map(|(act, plan)| {
            self.judge(act, &plan).map_err(|why| format!("{why}\n{plan:#?}\n{:#?}", world.order()))
        });
        judged.collect()
    }

    fn judge(&self, act: &Act, plan: &PlanShown) -> Result<Judgement, String> {
        let world = &self.house.world;
        let mut left = BTreeSet::new();
        for node in &act.nodes {
            let note = node.note(act.tag);
            let (done, undone) = (world.done(&note), world.undone(&note));
            if done > 1 || undone > done {
                return Err(format!("`{}` was done {done} times and taken back {undone} times", node.id));
            }
            if done > undone {
                left.insert(node.id.clone());
            }
            let state = plan.steps.iter().find(|step| step.id == node.id).map(|step| step.state);
            let claims = matches!(state, Some(StepState::Done | StepState::UndoFailed));
            let denies = matches!(
                state,
                Some(
                    StepState::Waiting
                        | StepState::Outbox
                        | StepState::Failed
                        | StepState::Undone
                        | StepState::Skipped
                )
            );
            if (claims && done == undone) || (denies && done > undone) {
                return Err(format!("`{}` is said to be {state:?}, and is not so", node.id));
            }
        }
        let all: BTreeSet<String> = act.nodes.iter().map(|node| node.id.clone()).collect();
        match plan.stage {
            Stage::Committed if left != all => return Err("committed, and not all of it is there".to_owned()),
            Stage::RolledBack if !left.is_empty() => {
                return Err(format!("rolled back, and {left:?} are there"));
            }
            Stage::Quarantined => residue_is_true(plan, &left)?,
            _ => {}
        }
        self.finals_came_last(act)?;
        Ok(Judgement { stage: plan.stage, left })
    }

    /// When something that cannot be taken back took effect, all that it does not hinder stood.
    fn finals_came_last(&self, act: &Act) -> Result<(), String> {
        let order = self.house.world.order();
        let own: Vec<(Side, &str)> = order
            .iter()
            .filter_map(|(side, note)| Some((*side, note.strip_prefix(act.tag)?.strip_prefix('/')?)))
            .collect();
        let is_final = |id: &str| act.nodes.iter().any(|node| node.id == id && node.is_final());
        let Some(first) = own.iter().position(|(_, id)| is_final(id)) else { return Ok(()) };
        let stood: BTreeSet<&str> = own.iter().take(first).map(|(_, id)| *id).collect();
        let finals: Vec<&str> =
            act.nodes.iter().filter(|node| node.is_final()).map(|node| node.id.as_str()).collect();
        let others = act.nodes.iter().filter(|node| !node.is_final());
        for node in others.filter(|node| !node.after.iter().any(|after| finals.contains(&after.as_str()))) {
            if !stood.contains(node.id.as_str()) {
                return Err(format!("something irreversible was done before `{}`", node.id));
            }
        }
        let undone = own.iter().take(first).any(|(side, _)| *side == Side::Undo);
        if undone { Err("something irreversible was done after an undo".to_owned()) } else { Ok(()) }
    }
}

/// What the report says is left is what the server says is there.
fn residue_is_true(plan: &PlanShown, left: &BTreeSet<String>) -> Result<(), String> {
    let told = |is: Standing| -> BTreeSet<String> {
        let those = plan.residue.iter().filter(|residue| residue.is == is);
        those.map(|residue| residue.step.clone()).collect()
    };
    let (stands, unknown) = (told(Standing::Stands), told(Standing::Unknown));
    if !stands.is_subset(left) {
        return Err(format!("the residue says that {stands:?} stand, and {left:?} do"));
    }
    let missing: Vec<&String> =
        left.iter().filter(|id| !stands.contains(*id) && !unknown.contains(*id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the residue does not name {missing:?}")) }
}
