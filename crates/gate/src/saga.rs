//! The engine of a plan on its way: it asks the kernel what is next, does that through the one line, and asks again.
//!
//! It decides nothing and remembers nothing that is not in the ledger: after a crash another engine goes on from the
//! fold. Steps that do not wait for each other are under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::command::{Answer, Command, ControlCommand};
use kernel::id::RunId;
use kernel::progress::{PlanState, Stage, Step};
use kernel::saga::{Move, next};
use kernel::time::Time;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::Error;
use crate::gate::Gate;
use crate::stride::{Stride, Told};

/// How long a move that led nowhere waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// Clocks are looked at again after this, however long is to be waited.
const LOOK: Duration = Duration::from_secs(1);
/// A take-back of what was committed is kept from overtaking later runs for so long, where no undo has an end.
const TOUCHED_MS: u64 = 30 * 24 * 3_600_000;

/// The engines of this process, by run.
#[derive(Default)]
pub(crate) struct Sagas(Mutex<HashMap<RunId, Running>>);

#[derive(Clone)]
struct Running {
    bell: Arc<Notify>,
    /// Moves on after each turn; gone when the engine is.
    turns: watch::Receiver<u64>,
}

/// A plan and what it wants now.
pub(crate) struct Standing {
    pub(crate) plan: PlanState,
    pub(crate) moves: Vec<Move>,
}

impl Standing {
    /// Nothing more happens by itself.
    pub(crate) fn is_at_rest(&self) -> bool {
        let waits = |wanted: &Move| matches!(wanted, Move::Held(_) | Move::Stuck(_));
        !self.plan.stage.is_under_way() || (!self.moves.is_empty() && self.moves.iter().all(waits))
    }
}

impl Standing {
    /// A group in which nothing is to be done waits for its agent, and that may be long.
    fn wants_engine(&self) -> bool {
        let idle = self.plan.is_open() && self.moves.is_empty() && !self.plan.is_busy();
        self.plan.stage.is_under_way() && !idle
    }
}

impl Sagas {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// The newest plan of a run, and what it wants.
    pub(crate) fn standing(&self, run: RunId) -> Option<Standing> {
        let now = self.0.clock.now();
        self.0.lanes.get(self.lane_of(run))?.look(|state, law| {
            let plan = state.plan(run)?;
            let runs = state.chain(run);
            let held = |tool: &str| {
                let (control, rules) = (&law.control, &law.rules);
                control.holds_tool(rules, &plan.agent, tool, runs.clone(), now)
            };
            Some(Standing { plan: plan.clone(), moves: next(plan, now, &held) })
        })?
    }

    /// Gives a plan its engine, or wakes the one it has.
    pub(crate) fn kick(&self, run: RunId) {
        let mut running = self.0.sagas.lock();
        if let Some(engine) = running.get(&run) {
            return engine.bell.notify_one();
        }
        let (turn, turns) = watch::channel(0);
        let bell = Arc::new(Notify::new());
        running.insert(run, Running { bell: bell.clone(), turns });
        drop(running);
        tokio::spawn(Engine::new(self.clone(), run).run(bell, turn));
    }

    /// Control has changed, or time has: what a halt holds, or let go, may go on, and what is overdue goes back.
    pub(crate) fn kick_all(&self) {
        for lane in self.0.lanes.iter() {
            let under_way = lane.look(|state, _| state.plans_under_way().collect::<Vec<RunId>>());
            under_way.into_iter().flatten().for_each(|run| self.kick(run));
        }
    }

    /// Tells when the engine of a run has moved on; none: it has no engine.
    pub(crate) fn turns(&self, run: RunId) -> Option<watch::Receiver<u64>> {
        self.0.sagas.lock().get(&run).map(|engine| engine.turns.clone())
    }

    /// Waits until nothing more happens by itself, and what a plan that is over claimed is free.
    pub(crate) async fn at_rest(&self, run: RunId) -> Option<Standing> {
        loop {
            let mut turns = self.turns(run);
            // Marked as seen before the plan is looked at, so that only what comes after is waited for.
            turns.iter_mut().for_each(|turns| drop(turns.borrow_and_update()));
            let standing = self.standing(run)?;
            let stopping = *self.0.stop.borrow();
            // The engine of a plan that is over still has its claims to give back.
            let goes_on = !standing.plan.stage.is_under_way() || !standing.is_at_rest();
            let Some(mut turns) = turns.filter(|_| goes_on && !stopping) else { return Some(standing) };
            let _ = tokio::time::timeout(LOOK, turns.changed()).await;
        }
    }

    /// What a run claimed is free when its plan is over.
    pub(crate) async fn released(&self, run: RunId, plan: &PlanState) -> Result<(), Error> {
        let has_claimed = !plan.touches.is_empty() || self.law().control.claims.has_any(run);
        if !has_claimed || plan.stage.is_under_way() || plan.stage == Stage::Paused {
            return Ok(());
        }
        // Of what is quarantined something stands, and whoever built on it must not be overtaken either.
        let stands = matches!(plan.stage, Stage::Committed | Stage::Quarantined);
        let committed = stands.then(|| self.touched_until(plan));
        self.claims(ControlCommand::Release { run, committed }).await.map(drop)
    }

    fn touched_until(&self, plan: &PlanState) -> Time {
        let ends = plan.steps.iter().filter_map(|step| step.undo.as_ref()).map(|undo| undo.until);
        let forever = self.0.clock.now().plus_ms(TOUCHED_MS);
        ends.map(|until| until.unwrap_or(forever)).max().unwrap_or(forever)
    }

    /// Plans that were on their way when the process ended get engines again; what nobody claims any more is free.
    pub(crate) async fn recover_sagas(&self) {
        self.kick_all();
        let claimants: Vec<RunId> = self.law().control.claims.runs().collect();
        for run in claimants {
            let over = match self.standing(run) {
                Some(standing) => self.released(run, &standing.plan).await,
                None => self.claims(ControlCommand::Release { run, committed: None }).await.map(drop),
            };
            if let Err(error) = over {
                tracing::warn!(%error, %run, "what it claimed is free when its time is over");
            }
        }
    }
}

struct Engine {
    stride: Stride,
    tasks: JoinSet<Told>,
    /// The steps that something is done for, and how they stood when it began.
    busy: HashMap<u16, Step>,
    /// What led nowhere is not tried again before then.
    rests: HashMap<u16, Instant>,
}

impl Engine {
    fn new(gate: Gate, run: RunId) -> Engine {
        let stride = Stride::new(gate, run);
        Engine { stride, tasks: JoinSet::new(), busy: HashMap::new(), rests: HashMap::new() }
    }

    async fn run(mut self, bell: Arc<Notify>, turn: watch::Sender<u64>) {
        let (gate, run) = (self.stride.gate.clone(), self.stride.run);
        let mut stop = gate.0.stop.subscribe();
        while !*stop.borrow_and_update() {
            let standing = gate.standing(run).filter(Standing::wants_engine);
            let Some(standing) = standing else {
                if self.tasks.is_empty() && self.left(&gate) {
                    return;
                }
                self.wait(RETRY, &bell).await;
                continue;
            };
            let wait = self.turn(standing).await;
            turn.send_modify(|turn| *turn += 1);
            tokio::select! {
                () = self.wait(wait, &bell) => {}
                _ = stop.changed() => {}
            }
        }
        gate.0.sagas.lock().remove(&run);
    }

    /// Whether there is nothing left to do. Looked at under the lock, so that nobody is woken in vain.
    fn left(&self, gate: &Gate) -> bool {
        let mut running = gate.0.sagas.lock();
        let run = self.stride.run;
        let over = gate.standing(run).is_none_or(|standing| !standing.wants_engine());
        if over {
            running.remove(&run);
        }
        over
    }

    async fn wait(&mut self, wait: Duration, bell: &Notify) {
        tokio::select! {
            Some(told) = self.tasks.join_next() => {
                let Ok(told) = told else { return };
                self.took(told);
            }
            () = bell.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// What was done for a step is over. If the step stands as it did, it is left alone for a moment.
    fn took(&mut self, told: Told) {
        let Told { step, result } = told;
        let before = self.busy.remove(&step);
        let run = self.stride.run;
        if let Err(error) = &result {
            tracing::warn!(%error, %run, step, "a step is tried again");
        }
        let now = self.stride.gate.standing(run).and_then(|standing| standing.plan.step(step).cloned());
        if result.is_err() || before == now {
            self.rests.insert(step, Instant::now() + RETRY);
        }
    }

    /// Begins what can be begun; how long to wait for anything else.
    async fn turn(&mut self, standing: Standing) -> Duration {
        let Standing { plan, moves } = standing;
        let plan = Arc::new(plan);
        let mut wait = LOOK;
        for wanted in moves {
            match wanted {
                Move::Run(step) | Move::Check(step) | Move::Undo(step) | Move::Probe(step) => {
                    wait = wait.min(self.begin(&plan, step, wanted));
                }
                Move::Wait(until) => {
                    let clock = &self.stride.gate.0.clock;
                    let left = until.since_ms(clock.now());
                    wait = wait.min(clock.wait(left.max(1)));
                }
                Move::Held(_) | Move::Stuck(_) => {}
                Move::Unwind(why) => {
                    wait = wait.min(self.told(Command::Unwind { run: self.stride.run, why }).await)
                }
                Move::Pause(why) => {
                    wait = wait.min(self.told(Command::Pause { run: self.stride.run, why }).await)
                }
                Move::Finish(_) => wait = wait.min(self.finish().await),
            }
        }
        wait
    }

    fn begin(&mut self, plan: &Arc<PlanState>, step: u16, wanted: Move) -> Duration {
        let now = Instant::now();
        if let Some(rest) = self.rests.get(&step).filter(|rest| **rest > now) {
            return *rest - now;
        }
        let Some(stands) = plan.step(step).filter(|_| !self.busy.contains_key(&step)) else { return LOOK };
        self.rests.remove(&step);
        self.busy.insert(step, stands.clone());
        let (stride, plan) = (self.stride.clone(), plan.clone());
        self.tasks.spawn(async move { Told { step, result: stride.take(&plan, step, wanted).await } });
        LOOK
    }

    /// Told to the lane; the next turn begins at once, or after a moment where the lane will not hear of it.
    async fn told(&self, command: Command) -> Duration {
        let lane = self.stride.gate.lane_of(self.stride.run);
        match self.stride.gate.ask_lane(lane, command, Vec::new()).await.map(|written| written.answer) {
            Ok(Answer::Progress(_)) => Duration::ZERO,
            _ => RETRY,
        }
    }

    async fn finish(&self) -> Duration {
        let Stride { gate, run, .. } = &self.stride;
        let command = Command::EndCommit { run: *run };
        let written = gate.ask_lane(gate.lane_of(*run), command, Vec::new()).await;
        let Ok(Answer::Progress(plan)) = written.map(|written| written.answer) else { return RETRY };
        if let Err(error) = gate.released(*run, &plan).await {
            tracing::warn!(%error, %run, "what it claimed is free when its time is over");
        }
        Duration::ZERO
    }
}
