//! Group: how single calls of a run become one plan, as the fold has it.

use stdx::digest::Digest;

use crate::account::Amount;
use crate::event::{GroupBegun, StepJoined};
use crate::id::Mark;
use crate::progress::{Joined, PlanState, Stage, Step};
use crate::state::State;
use crate::time::Time;

impl State {
    pub(crate) fn group_begun(&mut self, at: Time, begun: &GroupBegun) {
        let seq = self.seq;
        let Some(run) = self.runs.get_mut(&begun.run) else { return };
        run.versions = run.versions.max(begun.version);
        run.plans.pop_if(|known| matches!(known.stage, Stage::Proposed | Stage::RolledBack));
        run.plans.push(PlanState::group(at, seq, begun));
    }

    pub(crate) fn step_joined(&mut self, at: Time, joined: &StepJoined) {
        let (path, seq) = (self.chain(joined.run), self.seq);
        let Some(plan) = self.plan_mut(joined.run, joined.version) else { return };
        let (held, accounts) = (std::mem::take(&mut plan.hold), std::mem::take(&mut plan.accounts));
        plan.take_in(seq, joined);
        plan.hold = held.plus(&joined.cost).plus(&joined.undo_cost);
        plan.accounts.clone_from(&joined.accounts);
        let hold = plan.hold.clone();
        self.void(&path, &held, &accounts);
        self.family_reserve(&path, &hold);
        self.shares_reserve(at, &joined.accounts, &hold);
    }
}

impl PlanState {
    fn group(at: Time, seq: u64, begun: &GroupBegun) -> PlanState {
        let digest = Digest::of(&seq.to_be_bytes());
        PlanState {
            seq,
            agent: begun.agent.clone(),
            version: begun.version,
            digest,
            mark: mark_of(&digest),
            proposed: at,
            allowed: true,
            asks: Vec::new(),
            ticket: None,
            granted: None,
            stage: Stage::Open,
            steps: Vec::new(),
            cost: Amount::default(),
            undo_cost: Amount::default(),
            hold: Amount::default(),
            accounts: Vec::new(),
            touches: Vec::new(),
            on_failure: begun.on_failure,
            on_halt: begun.on_halt,
            parallel: begun.parallel,
            stood: None,
            ended: None,
            why: None,
            taking: None,
            accepted: false,
            grouped: true,
            lost: false,
        }
    }

    /// A call becomes its last step. Of two that touch the same, the later one alone is guarded.
    fn take_in(&mut self, seq: u64, joined: &StepJoined) {
        let same = |step: &Step| step.touches.iter().any(|mark| joined.touches.contains(mark));
        for step in self.steps.iter_mut().filter(|step| same(step)) {
            (step.planned.guarded, step.version) = (false, None);
        }
        let StepJoined { args, call, key, reasoning, .. } = *joined;
        let mut step = Step::new(joined.step.clone());
        step.joined = Some(Joined { call, seq, args, reasoning, key });
        step.touches.clone_from(&joined.touches);
        self.steps.push(step);
        (self.cost, self.undo_cost) = (self.cost.plus(&joined.cost), self.undo_cost.plus(&joined.undo_cost));
        self.touches.extend(joined.touches.iter().copied());
        self.touches.sort_unstable();
        self.touches.dedup();
        self.asks.extend(joined.asks.iter().cloned());
        self.asks.sort_unstable();
        self.asks.dedup();
        // What people are asked about is all of it, as it was when they were asked.
        let chained = [self.digest.0.as_slice(), &joined.args.0, joined.step.tool.as_bytes()].concat();
        self.digest = Digest::of(&chained);
        self.mark = mark_of(&self.digest);
    }
}

fn mark_of(digest: &Digest) -> Mark {
    let mut mark = [0; 16];
    mark.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    Mark(mark)
}
