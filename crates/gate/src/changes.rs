//! Changes: what people would say yes to, one entry a write, with what is there before it beside what would be sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::account::Amount;
use kernel::approval::{Pending, Subject};
use kernel::id::{CallId, RunId};
use kernel::progress::{PlanState, Stage};
use kernel::proposal::{Proposal, net};
use kernel::rules::Rules;
use kernel::state::State;
use kernel::template;
use serde_json::Value;
use stdx::difference::Difference;
use stdx::digest::Digest;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deed::Deed;
use crate::error::Error;
use crate::gate::Gate;
use crate::look::Beside;
use crate::saga::Standing;

/// Nobody who looks at an ask is held longer by what is read for it.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Who looks again so soon is shown what was read: a read is a call, and costs its run what calls cost.
const FRESH: Duration = Duration::from_secs(15);
const KEPT_MAX: usize = 256;

/// One write that waits for people.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its call, or the id of its step.
    pub id: String,
    pub tool: String,
    pub effect: String,
    /// The tool that would take it back.
    pub undo: Option<String>,
    pub cost: Option<Amount>,
    /// What would be sent; none, if it was erased.
    pub after: Option<Value>,
    /// What is there now, if its contract names a read for it.
    pub before: Option<Value>,
    /// What is another then, as far as it is known.
    pub differs: Vec<Difference>,
    /// Why there is no `before` though its contract names a read.
    pub trouble: Option<String>,
    /// The agent's words, which nobody has checked.
    pub reasoning: Option<Value>,
    /// Of proposals: the later one that takes its place. It would not be done.
    pub replaced_by: Option<CallId>,
    /// Of proposals: others that would be done and touch the same.
    pub against: Vec<CallId>,
}

/// What was read a moment ago, by what waits and what it was then.
#[derive(Default)]
pub(crate) struct Looked(Mutex<HashMap<CallId, Look>>);

type Look = (Digest, Instant, Vec<Change>);

/// A proposal, what replaces it, and what it stands against.
type Stood = (Proposal, Option<CallId>, Vec<CallId>);

impl Looked {
    fn find(&self, call: CallId, bound: Digest) -> Option<Vec<Change>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, at, changes) = kept.get(&call)?;
        (*known == bound && at.elapsed() < FRESH).then(|| changes.clone())
    }

    fn keep(&self, call: CallId, bound: Digest, changes: &[Change]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (_, at, _)| at.elapsed() < FRESH);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(call, (bound, Instant::now(), changes.to_vec()));
        }
    }
}

impl Gate {
    /// All that is asked for under this name, each with what is there before it. What cannot be read hides nothing.
    pub async fn changes(&self, call: CallId) -> Result<Vec<Change>, Error> {
        let call = self.ticket_of(call);
        let Some((_, pending)) = self.find_pending(call) else { return Ok(Vec::new()) };
        let rules = self.rules();
        let bound = pending.bound(call, &rules);
        if let Some(changes) = self.0.looked.find(call, bound) {
            return Ok(changes);
        }
        let mut changes = match pending.subject {
            Subject::Call => vec![self.single(call, &pending, &rules).await],
            Subject::Plan => {
                let standing = self.standing(pending.run);
                match standing.filter(|it| Some(it.plan.version) == pending.plan) {
                    Some(standing) => self.steps(pending.run, &standing.plan, &rules).await?,
                    None => Vec::new(),
                }
            }
            Subject::Proposals => self.proposals(call, &pending, &rules).await?,
        };
        self.look_before(pending.run, &pending.agent, &rules, &mut changes).await;
        self.0.looked.keep(call, bound, &changes);
        Ok(changes)
    }

    async fn single(&self, call: CallId, pending: &Pending, rules: &Rules) -> Change {
        let after = self.stored_args(pending).await.ok();
        let cost = Some(pending.cost.clone());
        Change { after, cost, ..change(call.to_string(), &pending.tool, &pending.effect, rules) }
    }

    /// What the newest plan of a run would change, each step with what is there before it, as long as it waits.
    pub async fn plan_changes(&self, run: RunId) -> Result<Vec<Change>, Error> {
        let standing = self.standing(run).filter(|it| it.plan.stage == Stage::Proposed);
        let Some(Standing { plan, .. }) = standing else { return Ok(Vec::new()) };
        let rules = self.rules();
        // No call has this name: it is the run's.
        let name = CallId(run.0);
        if let Some(changes) = self.0.looked.find(name, plan.digest) {
            return Ok(changes);
        }
        let mut changes = self.steps(run, &plan, &rules).await?;
        self.look_before(run, &plan.agent, &rules, &mut changes).await;
        self.0.looked.keep(name, plan.digest, &changes);
        Ok(changes)
    }

    async fn steps(&self, run: RunId, plan: &PlanState, rules: &Rules) -> Result<Vec<Change>, Error> {
        let text = self.plan_text(run, plan).await?;
        let written = |id: &str| text.as_ref()?.steps.iter().find(|step| step.id == id);
        let steps = plan.steps.iter().map(|step| {
            let (planned, written) = (&step.planned, written(&step.planned.id));
            let reasoning = written.and_then(|step| step.reason.clone()).map(Value::String);
            let after = written.map(|step| step.args.clone());
            Change {
                after,
                reasoning,
                ..change(planned.id.clone(), &planned.tool, planned.effect.name(), rules)
            }
        });
        Ok(steps.collect())
    }

    async fn proposals(
        &self,
        ticket: CallId,
        pending: &Pending,
        rules: &Rules,
    ) -> Result<Vec<Change>, Error> {
        let find = |state: &State| -> Option<Vec<Stood>> {
            let run = state.runs.get(&pending.run)?;
            let all = net(run.proposals.iter().filter(|one| one.ticket == ticket));
            let against = |call: CallId| {
                let pairs = all.against.iter().filter(move |(one, other)| *one == call || *other == call);
                pairs.map(move |(one, other)| if *one == call { *other } else { *one }).collect()
            };
            let kept = all.kept.iter().map(|one| ((*one).clone(), None, against(one.call)));
            let replaced = all.replaced.iter().map(|(one, later)| ((*one).clone(), Some(*later), Vec::new()));
            let mut found: Vec<_> = kept.chain(replaced).collect();
            found.sort_by_key(|(one, ..)| one.seq);
            Some(found)
        };
        let lane = self.0.lanes.get(self.lane_of(pending.run));
        let found = lane.and_then(|lane| lane.look(|state, _| find(state))?).unwrap_or_default();
        let mut changes = Vec::new();
        for (one, replaced_by, against) in found {
            let after = self.recalled(pending.run, one.seq, one.args).await?;
            let reasoning = match one.reasoning {
                Some(words) => self.recalled(pending.run, one.seq, words).await?,
                None => None,
            };
            let cost = Some(one.cost.clone());
            let of = change(one.call.to_string(), &one.tool, &one.effect, rules);
            changes.push(Change { after, reasoning, replaced_by, against, cost, ..of });
        }
        Ok(changes)
    }

    /// Asked at once, each a read of its own on the one line.
    async fn look_before(&self, run: RunId, agent: &str, rules: &Rules, changes: &mut [Change]) {
        let mut looking = JoinSet::new();
        for (place, one) in changes.iter_mut().enumerate().filter(|(_, one)| one.replaced_by.is_none()) {
            let known = rules.tool(&one.tool).filter(|tool| tool.contract.deed.preview.is_some());
            let (Some(known), Some(args)) = (known, one.after.clone()) else { continue };
            // What it would look at is not there before other steps have run.
            if !template::references(&args).is_empty() {
                continue;
            }
            one.trouble = Some("its preview was not read in time".to_owned());
            let (gate, agent) = (self.clone(), agent.to_owned());
            let contract = known.contract.clone();
            looking.spawn(async move { (place, gate.look(run, &agent, &contract, &args).await) });
        }
        let until = Instant::now() + LOOK_MAX;
        while let Ok(Some(looked)) = tokio::time::timeout_at(until, looking.join_next()).await {
            let Ok((place, looked)) = looked else { continue };
            let Some(one) = changes.get_mut(place) else { continue };
            if let (Ok(Some(before)), Some(args)) = (&looked, &one.after)
                && let Some(known) = rules.tool(&one.tool)
            {
                one.differs = self.differs(&known.contract, before, args);
            }
            (one.before, one.trouble) = match looked {
                Ok(Some(before)) => (Some(before), None),
                Ok(None) => (None, Some("its preview could not be read".to_owned())),
                Err(error) => (None, Some(error.to_string())),
            };
        }
        // A read that was begun is settled, whoever waits for it.
        looking.detach_all();
    }

    async fn look(
        &self,
        run: RunId,
        agent: &str,
        contract: &Arc<kernel::contract::Contract>,
        args: &Value,
    ) -> Result<Option<Value>, Error> {
        let deed = Deed { run, contract, args, result: None, before: None };
        self.preview(Beside { run, agent, step: None }, &deed).await
    }
}

fn change(id: String, tool: &str, effect: &str, rules: &Rules) -> Change {
    let contract = rules.tool(tool).map(|tool| &tool.contract);
    let undo = contract.filter(|contract| contract.takes_back()).and_then(|it| it.deed.undo.as_ref());
    Change {
        id,
        tool: tool.to_owned(),
        effect: effect.to_owned(),
        undo: undo.map(|undo| undo.call().0.to_owned()),
        cost: None,
        after: None,
        before: None,
        differs: Vec::new(),
        trouble: None,
        reasoning: None,
        replaced_by: None,
        against: Vec::new(),
    }
}
