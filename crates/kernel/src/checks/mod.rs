//! The checks every call must pass, in order. This array is the product.
//!
//! People are asked last, so never for what money or a rule forbids.

mod approval;
mod budget;
mod contract;
mod grant;
mod halt;
pub(crate) mod limits;
mod part;
mod phase;
mod policy;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::Amount;
use crate::agent::{Manifest, Mode};
use crate::approval::Granted;
use crate::call::{Call, Part};
use crate::contract::Effect;
use crate::decide::room::Seen;
use crate::id::RunId;
use crate::lending::Need;
use crate::phase::Phase;
use crate::progress::{PlanState, Stage, Step, StepState};
use crate::reason::{Code, Reason};
use crate::rules::{Rules, ToolRules};
use crate::run::Run;
use crate::state::{Control, State};
use crate::time::Time;
use crate::verdict::{Ruling, Verdict};
use crate::window::AccountId;
use ::policy::RuleRef;

/// Longer words from a schema or a rule that erred are cut: they may hold what somebody else wrote.
const DETAIL_CHARS_MAX: usize = 120;

/// One check: its name, its law, and whether it hinders an agent that is only observed.
pub struct Check {
    pub name: &'static str,
    law: fn(&Case<'_>, &mut Findings) -> Result<(), Box<Reason>>,
    always_hinders: bool,
    /// Only of what the agent asks for: not of what Remit does beside it, under the authority of a contract or a deed.
    of_asked: bool,
}

pub const CHECKS: [Check; 8] = [
    Check { name: "halt", law: halt::check, always_hinders: true, of_asked: false },
    Check { name: "grant", law: grant::check, always_hinders: true, of_asked: false },
    Check { name: "contract", law: contract::check, always_hinders: true, of_asked: false },
    Check { name: "limits", law: limits::check, always_hinders: false, of_asked: true },
    Check { name: "phase", law: phase::check, always_hinders: false, of_asked: true },
    Check { name: "policy", law: policy::check, always_hinders: false, of_asked: false },
    Check { name: "budget", law: budget::check, always_hinders: true, of_asked: false },
    Check { name: "approval", law: approval::check, always_hinders: false, of_asked: true },
];

/// Everything a check may look at. A question has no run.
pub struct Case<'a> {
    pub control: &'a Control,
    pub state: &'a State,
    pub rules: &'a Rules,
    pub now: Time,
    pub call: &'a Call,
    pub run: Option<&'a Run>,
    pub is_question: bool,
    /// Control has nothing more to lend for it.
    pub is_last: bool,
    pub manifest: Option<&'a Manifest>,
    pub tool: Option<&'a ToolRules>,
    /// What people said to it; none of what nobody was asked about.
    pub granted: Option<&'a Granted>,
    /// Set while a plan is judged, before anything of it runs.
    pub planned: Option<&'a Planned>,
}

/// What is not known yet of a step that is only planned: what other steps will have told.
#[derive(Debug, Default)]
pub struct Planned {
    /// JSON Pointers into the arguments.
    pub pointers: Vec<String>,
    /// The arguments that they are in, by name.
    pub names: BTreeSet<String>,
}

impl Planned {
    /// Whether what is wrong there may be right when the step runs.
    pub(crate) fn covers(&self, pointer: &str) -> bool {
        self.pointers.iter().any(|known| {
            pointer.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// What the checks found on their way.
#[derive(Default)]
pub struct Findings {
    destinations: Vec<String>,
    rules: Vec<Arc<RuleRef>>,
    /// The groups whose yes is needed, and the rules that would do without.
    ask: Option<(Vec<String>, Vec<Arc<RuleRef>>)>,
    reserve: Amount,
    /// The accounts wider than a run that it is reserved in.
    accounts: Vec<AccountId>,
    /// How each of them stands with it; or nothing, where that is not the whole of it.
    seen: Vec<Seen>,
    /// What the lane would have to borrow before it can reserve.
    needs: Vec<Need>,
    /// The run whose own budget did not reach.
    exhausted: Option<Exhausted>,
}

/// A run whose budget did not reach, and in what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exhausted {
    pub run: RunId,
    pub currency: String,
    pub limit: u64,
}

/// What the checks came to.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) reserved: Amount,
    pub(crate) accounts: Vec<AccountId>,
    /// See `Findings::seen`.
    pub(crate) seen: Vec<Seen>,
    pub(crate) needs: Vec<Need>,
    pub(crate) exhausted: Option<Exhausted>,
    /// What an ask would reserve, were it allowed.
    pub(crate) cost: Amount,
}

impl Case<'_> {
    /// The groups whose yes to this very call counts.
    pub(crate) fn approvals(&self) -> &[String] {
        self.granted.map_or(&[], |granted| &granted.groups)
    }

    pub(crate) fn phase(&self) -> &'static str {
        match self.manifest {
            Some(manifest) if manifest.phases && self.planned.is_some() => Phase::Commit.name(),
            Some(manifest) if manifest.phases => self.run.map(|run| run.phase).unwrap_or_default().name(),
            _ => "off",
        }
    }

    /// The plan that the call is a part of, and the step.
    pub(crate) fn step(&self) -> Option<(&PlanState, &Step)> {
        let part = self.call.part.as_ref()?;
        let plans = self.state.plans_of(self.call.run);
        match part {
            Part::Step { step, version, .. } => {
                let plan = plans.iter().find(|plan| plan.version == *version)?;
                Some((plan, plan.step(*step)?))
            }
            Part::Undo { of, .. } => {
                let found = |plan: &'_ PlanState| plan.step_of(*of);
                let (plan, step) = plans.iter().rev().find_map(|plan| Some((plan, found(plan)?)))?;
                Some((plan, plan.step(step)?))
            }
            Part::Companion { step, .. } => {
                let plan = plans.last()?;
                Some((plan, plan.step((*step)?)?))
            }
        }
    }

    /// Whether it takes something back, or is looked at for that: then fewer halts hold it.
    fn goes_back(&self) -> bool {
        match &self.call.part {
            None | Some(Part::Step { .. }) => false,
            Some(Part::Undo { .. }) => true,
            Some(Part::Companion { .. }) => {
                self.step().is_some_and(|(plan, _)| plan.stage == Stage::Unwinding)
            }
        }
    }

    /// Asked for by the agent, and not Remit's own doing beside it.
    fn is_asked(&self) -> bool {
        match &self.call.part {
            None => true,
            // The same again was asked for when it was asked for first.
            Some(Part::Step { .. }) => !self.is_repeat(),
            Some(_) => false,
        }
    }

    /// The same step again, because nobody knows what came of it.
    pub(crate) fn is_repeat(&self) -> bool {
        let is_step = matches!(self.call.part, Some(Part::Step { .. }));
        is_step && self.step().is_some_and(|(_, step)| step.state == StepState::Unknown)
    }

    /// What nobody knows writes.
    pub(crate) fn writes(&self) -> bool {
        self.tool.is_none_or(|tool| tool.contract.effect.writes())
    }

    /// By what it does, or by the lines that name its tool.
    pub(crate) fn mode(&self) -> Mode {
        let Some(manifest) = self.manifest else { return Mode::default() };
        let effect = self.tool.map_or(Effect::Irreversible, |tool| tool.contract.effect);
        manifest.mode_of(&self.call.tool, effect)
    }
}

/// Walks the checks; the first that finds something ends it, except for what an observed agent is let through.
pub(crate) fn judge(case: &Case<'_>) -> Judged {
    let mut findings = Findings::default();
    let mut would = Vec::new();
    let asked = case.is_asked();
    for check in CHECKS.iter().filter(|check| asked || !check.of_asked) {
        let Err(reason) = (check.law)(case, &mut findings) else { continue };
        if check.always_hinders || case.mode() != Mode::Observe {
            // Whether there is money for it is known before people are asked.
            let asks = reason.code == Code::ApprovalRequired;
            let (ruling, needs) =
                if asks { (Ruling::Ask, findings.needs) } else { (Ruling::Deny, Vec::new()) };
            return Judged {
                verdict: Verdict { would, ruling, ..Verdict::deny(*reason) },
                reserved: Amount::default(),
                accounts: Vec::new(),
                seen: Vec::new(),
                needs,
                exhausted: findings.exhausted,
                cost: findings.reserve,
            };
        }
        would.push(*reason);
    }
    let Findings { rules, reserve: reserved, accounts, seen, needs, .. } = findings;
    let verdict = Verdict { rules, would, ..Verdict::allow() };
    Judged { verdict, reserved, accounts, seen, needs, exhausted: None, cost: Amount::default() }
}

/// Whether a run may begin to carry a plan out: it is not halted, and it is its agent's own, open and in its time.
pub(crate) fn may_begin(case: &Case<'_>) -> Result<(), Box<Reason>> {
    halt::check(case, &mut Findings::default())?;
    grant::own(case)
}

/// The accounts wider than a run in which so much may be held for a run, and what the lane must borrow for that.
pub(crate) fn room_for(case: &Case<'_>, wanted: &Amount) -> Result<(Vec<AccountId>, Vec<Need>), Box<Reason>> {
    let mut findings = Findings::default();
    budget::room_for(case, wanted, &mut findings)?;
    Ok((findings.accounts, findings.needs))
}
