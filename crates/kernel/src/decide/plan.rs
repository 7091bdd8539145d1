//! A plan is judged before anything of it runs: each step as it would stand then, the whole by what it costs.

use std::collections::BTreeSet;

use super::open::under_way;
use super::{Decision, assent, case};
use crate::account::{Amount, Limits};
use crate::agent::Manifest;
use crate::call::{Call, Carrier, Part};
use crate::checks::limits::{Wanted, of_a_plan};
use crate::checks::{Case, Judged, Planned, judge, room_for};
use crate::command::Answer;
use crate::contract::{Contract, Effect};
use crate::deed::Undo;
use crate::event::{Event, PhaseChanged, PlanProposed};
use crate::id::{CallId, Mark, RunId};
use crate::phase::Phase;
use crate::plan::{DraftedPlan, PlanVerdict, StepDraft, StepVerdict, WrittenStep, ordered, small};
use crate::price::price;
use crate::progress::{PlanState, Stage, StepPlanned, StepState};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::Run;
use crate::state::{Control, State};
use crate::template;
use crate::time::Time;
use crate::verdict::Ruling;

/// Plans of one run that are remembered.
const PLANS_MAX: usize = 16;
/// Marks that one plan may claim.
const TOUCHES_MAX: usize = crate::claim::CLAIMS_MAX;
/// Reasons that are recorded with a plan; all are told.
const REASONS_MAX: usize = 4;
/// An event must fit into the log, with its frame.
const EVENT_BYTES_MAX: usize = 15 * 1_024;

/// All that a plan is judged by.
pub(super) struct Desk<'a> {
    pub(super) state: &'a State,
    pub(super) control: &'a Control,
    pub(super) rules: &'a Rules,
    pub(super) now: Time,
}

/// One step as it was judged.
struct Judgement {
    planned: StepPlanned,
    said: StepVerdict,
    cost: Amount,
    undo_cost: Amount,
}

/// `gathers`: the proposals that it is made of, if it is, one for each step.
pub(super) fn decide_plan(
    desk: &Desk<'_>,
    run: RunId,
    agent: &str,
    plan: &DraftedPlan,
    gathers: &[CallId],
) -> Decision {
    let (Some(known), Some(manifest)) = (desk.state.own_run(run, agent), desk.rules.agent(agent)) else {
        return Decision::none(Answer::refused(Code::RunUnknown));
    };
    if let Err(reason) = may_plan(known, plan) {
        return Decision::none(Answer::Refused(*reason));
    }
    let version = known.versions.saturating_add(1);
    let paused = known.plans.last().filter(|plan| plan.stage == Stage::Paused);
    let steps = plan.plan.steps.iter().zip(&plan.drafts).enumerate();
    let mut judged: Vec<Judgement> = steps
        .map(|(place, (step, draft))| {
            let stands = paused.is_some_and(|plan| stands(plan, &step.id));
            let call = call_of(run, agent, plan, version, place, (step, draft));
            let case = case(desk.state, desk.control, desk.rules, &call, desk.now);
            judged_step(&case, manifest, step, draft, stands)
        })
        .collect();
    order_conflicts(&mut judged);
    let verdict = whole(desk, run, agent, plan, version, &judged);
    let refusals = desk.state.refusals(Some(run), agent);
    let is_denied = verdict.ruling == Ruling::Deny;
    if is_denied && refusals.is_flood(desk.now, desk.rules.book.house.refusals_per_minute_max) {
        return Decision::none(Answer::Plan(Box::new(verdict)));
    }
    let proposed = proposed(desk, run, agent, plan, &verdict, judged);
    let Some(proposed) = fitting(PlanProposed { gathers: gathers.to_vec(), ..proposed }) else {
        let reason = Reason::new(Code::PlanInvalid).at("/steps");
        return Decision::none(Answer::Refused(
            reason.detail("it is too long for the log: propose it in parts"),
        ));
    };
    let mut events = vec![Event::PlanProposed(Box::new(proposed))];
    events.extend(assent::withdrawn(desk, run, "another plan was proposed"));
    if known.phase == Phase::Explore {
        let (by, to, why) = ("plan".to_owned(), Phase::Decide, None);
        events.push(Event::PhaseChanged(PhaseChanged { by, from: known.phase, run, to, why }));
    }
    Decision { answer: Answer::Plan(Box::new(verdict)), events }
}

/// Nothing of the run is under way; and what stands of a paused plan is planned again as it was.
fn may_plan(run: &Run, plan: &DraftedPlan) -> Result<(), Box<Reason>> {
    if plan.drafts.len() != plan.plan.steps.len() {
        return Err(Box::new(Reason::new(Code::PlanInvalid).at("/steps").detail("a draft of each step")));
    }
    let Some(last) = run.plans.last() else { return Ok(()) };
    let open = last.steps.iter().any(|step| matches!(step.state, StepState::Running | StepState::Unknown));
    if last.stage == Stage::Paused && open {
        return Err(Box::new(Reason::new(Code::CommitUnderWay)));
    }
    may_begin_another(run)?;
    if last.stage != Stage::Paused {
        return Ok(());
    }
    for step in last.steps.iter().filter(|step| step.carries()) {
        let drafts = plan.plan.steps.iter().zip(&plan.drafts);
        let same = |(written, draft): (&WrittenStep, &StepDraft)| {
            written.id == step.planned.id && draft.template == step.planned.template
        };
        if !drafts.into_iter().any(same) {
            let detail = format!("step `{}` stands, so it must stay as it was", step.planned.id);
            return Err(Box::new(Reason::new(Code::PlanInvalid).at("/steps").detail(detail)));
        }
    }
    Ok(())
}

/// Nothing of the run is under way or must be looked at, and there is room for another plan.
pub(super) fn may_begin_another(run: &Run) -> Result<(), Box<Reason>> {
    if let Some(plan) = run.plans.iter().find(|plan| plan.stage.is_under_way()) {
        return Err(Box::new(under_way(Some(plan))));
    }
    if run.plans.iter().any(PlanState::is_left) {
        return Err(Box::new(Reason::new(Code::ResidueOpen)));
    }
    if run.plans.len() >= PLANS_MAX {
        let reason = Reason::new(Code::LimitReached).detail("plans in one run");
        return Err(Box::new(reason.limit(u64::try_from(PLANS_MAX).unwrap_or(u64::MAX))));
    }
    Ok(())
}

fn stands(plan: &PlanState, id: &str) -> bool {
    plan.steps.iter().any(|step| step.planned.id == id && step.carries())
}

fn call_of(
    run: RunId,
    agent: &str,
    plan: &DraftedPlan,
    version: u32,
    place: usize,
    (step, draft): (&WrittenStep, &StepDraft),
) -> Call {
    Call {
        id: CallId(0),
        run,
        agent: agent.to_owned(),
        tool: step.tool.clone(),
        args: step.args.clone(),
        args_commitment: plan.digest,
        args_mark: draft.template,
        key_mark: None,
        bound: Default::default(),
        reasoning: None,
        model: None,
        context_tokens: None,
        carrier: Carrier::Gate,
        destinations: draft.destinations.clone(),
        hosts: draft.hosts.clone(),
        credential: None,
        ask_marks: None,
        part: Some(Part::Step { step: small(place), template: draft.template, version }),
        touches: draft.touches.clone(),
        facts: draft.facts.clone(),
    }
}

fn judged_step(
    case: &Case<'_>,
    manifest: &Manifest,
    step: &WrittenStep,
    draft: &StepDraft,
    stands: bool,
) -> Judgement {
    let references = template::references(&step.args);
    let name =
        |pointer: &str| pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let names: BTreeSet<String> = references.iter().map(|found| name(&found.at)).collect();
    let planned = Planned { pointers: references.into_iter().map(|found| found.at).collect(), names };
    let later = !planned.pointers.is_empty();
    let case = Case { planned: Some(&planned), ..*case };
    let Judged { mut verdict, reserved, cost: asked, .. } = judge(&case);
    let reserved = if verdict.asks() { asked } else { reserved };
    if let Some(expect) = &step.expect {
        let reads = case.rules.tool(&expect.tool).is_some_and(|tool| tool.contract.effect == Effect::Read);
        if !reads {
            let reason = Reason::new(Code::PlanInvalid).at(format!("/steps/{}/expect/tool", step.id));
            verdict.reasons.push(reason.detail("a tool that only reads is expected"));
            verdict.ruling = Ruling::Deny;
        }
    }
    if stands {
        // It was judged when it ran.
        (verdict.ruling, verdict.reasons) = (Ruling::Allow, Vec::new());
    }
    let contract = case.tool.map(|tool| tool.contract.as_ref());
    let undo = contract.and_then(|contract| undo_of(case.rules, contract));
    let kind = kind(contract, undo);
    let (companions, undo_cost) = beside(&case, manifest, contract, undo);
    let cost = if stands { Amount::default() } else { reserved.plus(&companions) };
    let conflicts = case.control.claimed_by_other(case.call.run, &draft.touches, case.now);
    let conflicts = conflicts.map(|run| Reason::new(Code::ResourceClaimed).detail(run.to_string()));
    let planned = planned_step(step, draft, contract, undo, kind);
    let said = StepVerdict {
        id: step.id.clone(),
        tool: step.tool.clone(),
        effect: kind,
        ruling: verdict.ruling,
        reasons: verdict.reasons,
        later,
        cost: cost.clone(),
        undo: undo.filter(|_| kind == Effect::Reversible).map(|(_, tool)| tool.name.clone()),
        guarded: planned.guarded,
        touches: draft.touches.clone(),
        after: step.after.clone(),
        conflicts: conflicts.into_iter().collect(),
    };
    Judgement { planned, said, cost, undo_cost }
}

/// The undo of a contract, and the contract of the tool that it calls.
pub(super) fn undo_of<'a>(rules: &'a Rules, contract: &'a Contract) -> Option<(&'a Undo, &'a Contract)> {
    let undo = contract.deed.undo.as_ref()?;
    let tool = rules.tool(undo.call().0)?;
    contract.takes_back().then_some((undo, tool.contract.as_ref()))
}

/// What nobody can take back is irreversible, whatever it claims; and so is what nobody knows.
pub(super) fn kind(contract: Option<&Contract>, undo: Option<(&Undo, &Contract)>) -> Effect {
    match contract.map(|contract| contract.effect) {
        Some(Effect::Read) => Effect::Read,
        Some(Effect::Reversible) if undo.is_some() => Effect::Reversible,
        _ => Effect::Irreversible,
    }
}

pub(super) fn planned_step(
    step: &WrittenStep,
    draft: &StepDraft,
    contract: Option<&Contract>,
    undo: Option<(&Undo, &Contract)>,
    effect: Effect,
) -> StepPlanned {
    let deed = contract.map(|contract| &contract.deed);
    let has = |found: Option<bool>| found.unwrap_or(false);
    let undone = effect == Effect::Reversible;
    let guarded = undone && has(deed.map(|deed| deed.version.is_some()));
    StepPlanned {
        after: step.after.clone(),
        checked: step.expect.is_some() || guarded || has(deed.map(|deed| deed.expect.is_some())),
        delay_ms: deed.and_then(|deed| deed.delay_ms).filter(|_| effect == Effect::Irreversible).unwrap_or(0),
        effect,
        guarded,
        held: false,
        id: step.id.clone(),
        probed: has(deed.map(|deed| deed.probe.is_some())),
        repeats: has(contract.map(Contract::repeats)),
        retries: undo.filter(|_| undone).map_or(0, |(undo, _)| undo.retries()),
        template: draft.template,
        tool: step.tool.clone(),
        undo_repeats: undo.is_some_and(|(_, tool)| undone && tool.repeats()),
    }
}

/// What the reads that go with a step may cost, and what taking it back may cost.
pub(super) fn beside(
    case: &Case<'_>,
    manifest: &Manifest,
    contract: Option<&Contract>,
    undo: Option<(&Undo, &Contract)>,
) -> (Amount, Amount) {
    let priced = |tool: &str| {
        let tool = case.rules.tool(tool)?;
        price(manifest, &tool.contract, case.call, &Limits::default()).ok()
    };
    let deed = contract.map(|contract| &contract.deed);
    let expect = deed.and_then(|deed| deed.expect.as_ref()).map(|expect| expect.tool.as_str());
    let version = deed.and_then(|deed| deed.version.as_ref()).map(|version| version.tool.as_str());
    let before = match undo {
        Some((Undo::Restore { read, .. }, _)) => Some(read.tool.as_str()),
        _ => None,
    };
    let sum = |tools: &[Option<&str>]| {
        let costs = tools.iter().flatten().filter_map(|tool| priced(tool));
        costs.fold(Amount::default(), |sum, cost| sum.plus(&cost))
    };
    let back = undo.map(|(undo, _)| undo.call().0);
    (sum(&[expect, version, before]), sum(&[back, version.filter(|_| back.is_some())]))
}

/// Two steps that touch the same never run at once: the later one waits, and it alone is guarded.
fn order_conflicts(judged: &mut [Judgement]) {
    let pairs = (0..judged.len()).flat_map(|one| (one + 1..judged.len()).map(move |other| (one, other)));
    for (one, other) in pairs.collect::<Vec<_>>() {
        let (Some(a), Some(b)) = (judged.get(one), judged.get(other)) else { continue };
        if !a.said.touches.iter().any(|mark| b.said.touches.contains(mark)) {
            continue;
        }
        let a_is_final = a.planned.effect == Effect::Irreversible;
        let swaps = builds_on(judged, one, other)
            || (!builds_on(judged, other, one) && a_is_final && b.planned.effect != Effect::Irreversible);
        let (first, last) = if swaps { (other, one) } else { (one, other) };
        if let Some(first) = judged.get_mut(first) {
            (first.planned.guarded, first.said.guarded) = (false, false);
        }
        let first = small(first);
        if let Some(last) = judged.get_mut(last).filter(|last| !last.planned.after.contains(&first)) {
            last.planned.after.push(first);
            last.planned.after.sort_unstable();
            last.said.after.clone_from(&last.planned.after);
        }
    }
}

fn builds_on(judged: &[Judgement], step: usize, other: usize) -> bool {
    let (mut seen, mut at) = (vec![step], 0);
    while let Some(known) = seen.get(at).and_then(|known| judged.get(*known)) {
        for before in known.planned.after.iter().map(|before| usize::from(*before)) {
            if before == other {
                return true;
            }
            if !seen.contains(&before) {
                seen.push(before);
            }
        }
        at += 1;
    }
    false
}

fn whole(
    desk: &Desk<'_>,
    run: RunId,
    agent: &str,
    plan: &DraftedPlan,
    version: u32,
    judged: &[Judgement],
) -> PlanVerdict {
    let sum = |of: fn(&Judgement) -> &Amount| {
        judged.iter().map(of).fold(Amount::default(), |sum, one| sum.plus(one))
    };
    let (cost, undo_cost) = (sum(|one| &one.cost), sum(|one| &one.undo_cost));
    let mut reasons = Vec::new();
    let after: Vec<&[u16]> = judged.iter().map(|one| one.planned.after.as_slice()).collect();
    let is_final =
        |place: usize| judged.get(place).is_some_and(|one| one.planned.effect == Effect::Irreversible);
    let order = ordered(&after, &is_final).unwrap_or_default();
    let steps: Vec<StepVerdict> = judged.iter().map(|one| one.said.clone()).collect();
    if touches(&steps).len() > TOUCHES_MAX {
        let limit = u64::try_from(TOUCHES_MAX).unwrap_or(u64::MAX);
        reasons.push(Reason::new(Code::LimitReached).detail("things that one plan touches").limit(limit));
    }
    if let (Some(step), Some(draft)) = (plan.plan.steps.first(), plan.drafts.first()) {
        let call = call_of(run, agent, plan, version, 0, (step, draft));
        let case = case(desk.state, desk.control, desk.rules, &call, desk.now);
        let held =
            desk.state.plan(run).filter(|plan| plan.stage == Stage::Paused).map(|plan| plan.hold.clone());
        let wanted = cost.plus(&undo_cost).minus(&held.unwrap_or_default());
        reasons.extend(room_for(&case, &wanted).err().map(|reason| *reason));
        reasons.extend(counts(&case, plan, judged));
    }
    let denied = !reasons.is_empty() || steps.iter().any(|step| step.ruling == Ruling::Deny);
    let mut asks: Vec<String> =
        steps.iter().flat_map(|step| &step.reasons).flat_map(|why| why.ask.clone()).collect();
    asks.sort_unstable();
    asks.dedup();
    let lasting = steps.iter().filter(|step| step.effect == Effect::Irreversible);
    PlanVerdict {
        version,
        digest: plan.digest,
        mark: plan.mark,
        ruling: match (denied, asks.is_empty()) {
            (true, _) => Ruling::Deny,
            (false, true) => Ruling::Allow,
            (false, false) => Ruling::Ask,
        },
        reasons,
        cannot_be_undone: lasting.map(|step| step.id.clone()).collect(),
        steps,
        order,
        cost,
        undo_cost,
        asks,
    }
}

/// One by one each step may be within what a run may do, and all together beyond it.
fn counts<'a>(case: &Case<'_>, plan: &'a DraftedPlan, judged: &'a [Judgement]) -> Option<Reason> {
    let wanted = |(one, draft): (&'a Judgement, &'a StepDraft)| Wanted {
        tool: &one.planned.tool,
        writes: one.planned.effect.writes(),
        destinations: &draft.destinations,
        hosts: &draft.hosts,
    };
    let steps: Vec<Wanted<'_>> = judged.iter().zip(&plan.drafts).map(wanted).collect();
    of_a_plan(case, &steps).err().map(|reason| *reason)
}

fn touches(steps: &[StepVerdict]) -> BTreeSet<Mark> {
    steps.iter().flat_map(|step| step.touches.iter().copied()).collect()
}

fn proposed(
    desk: &Desk<'_>,
    run: RunId,
    agent: &str,
    plan: &DraftedPlan,
    verdict: &PlanVerdict,
    judged: Vec<Judgement>,
) -> PlanProposed {
    let reasons = verdict.reasons.iter().chain(verdict.steps.iter().flat_map(|step| &step.reasons));
    PlanProposed {
        agent: agent.to_owned(),
        asks: if verdict.ruling == Ruling::Ask { verdict.asks.clone() } else { Vec::new() },
        control_seq: desk.control.seq,
        cost: verdict.cost.clone(),
        gathers: Vec::new(),
        mark: plan.mark,
        plan: plan.digest,
        reasons: reasons.take(REASONS_MAX).cloned().collect(),
        rules_digest: desk.rules.digest,
        ruling: verdict.ruling,
        run,
        touches: touches(&verdict.steps).into_iter().collect(),
        steps: judged.into_iter().map(|one| one.planned).collect(),
        undo_cost: verdict.undo_cost.clone(),
        version: verdict.version,
    }
}

/// With as many of its reasons as fit into the log; none, if not even the steps do.
fn fitting(mut proposed: PlanProposed) -> Option<PlanProposed> {
    let too_long = |proposed: &PlanProposed| {
        serde_json::to_vec(proposed).map_or(usize::MAX, |bytes| bytes.len()) > EVENT_BYTES_MAX
    };
    while too_long(&proposed) {
        proposed.reasons.pop()?;
    }
    Some(proposed)
}
