//! The story of a call or a run, for a person who must answer for it.

use api::call::{CallView, ReasonView, RuleView};
use api::plan::PlanShown;
use api::run::{AfterQuery, RunView};
use api::story::{Step, Story};
use axum::Json;
use axum::extract::{Path, State};
use kernel::id::{CallId, RunId};
use stdx::money::usd;

use crate::agents::past;
use crate::ask::{Query, id};
use crate::authn::Person;
use crate::house::Shared;
use crate::refusal::Answer;
use crate::{plans, words};

/// Longer arguments and results are cut in the text; the structure holds them whole.
const SHOWN_CHARS_MAX: usize = 400;

pub(crate) async fn explain(
    _: Person,
    State(house): State<Shared>,
    Path(asked): Path<String>,
    Query(query): Query<AfterQuery>,
) -> Answer<Story> {
    let after = past(query.after);
    let (as_of, mut run, calls, older) = if asked.starts_with(CallId::PREFIX) {
        let (as_of, call) = house.gate.call_view(id::<CallId>(&asked)?, after).await?;
        let run = match call.run {
            Some(run) => Some(house.gate.run(run, None).await?.run),
            None => None,
        };
        (as_of, run, vec![call], None)
    } else {
        let shown = house.gate.run(id::<RunId>(&asked)?, after).await?;
        (shown.as_of, Some(shown.run), shown.calls, shown.older)
    };
    let calls: Vec<CallView> = calls.into_iter().map(words::call_view).collect();
    let plan = match &run {
        Some(run) => house.gate.plan_of(id::<RunId>(&run.id)?).await?,
        None => None,
    };
    let run = run
        .take()
        .map(words::run_view)
        .map(|view| RunView { plan: plan.map(|plan| Box::new(plans::shown(plan))), ..view });
    Ok(Json(tell(asked, as_of, run, older, calls)))
}

fn tell(id: String, as_of: u64, run: Option<RunView>, older: Option<String>, calls: Vec<CallView>) -> Story {
    let mut steps: Vec<Step> = run.iter().flat_map(run_steps).collect();
    let plan = run.as_ref().and_then(|run| run.plan.as_deref());
    steps.extend(plan.iter().flat_map(|plan| plan_steps(plan)));
    if let Some(older) = older {
        let says = format!("this is not all: there are calls before {older}");
        steps.push(Step { what: "older".to_owned(), call: None, says });
    }
    for call in &calls {
        steps.extend(call_steps(call, run.as_ref()));
    }
    Story { text: text(&steps), id, as_of, run, calls, steps }
}

fn run_steps(run: &RunView) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |what: &str, says: String| steps.push(Step { what: what.to_owned(), call: None, says });
    let person = run.person.as_deref().map(|person| format!(" for {person}")).unwrap_or_default();
    say("run", format!("{} opened by {}{person} at {}", run.run, run.agent, run.opened));
    if let Some(intent) = &run.intent {
        say("intent", format!("in the agent's words: {}", quoted(intent)));
    }
    let flood =
        if run.uncounted > 0 { format!(", {} more only counted", run.uncounted) } else { String::new() };
    say(
        "calls",
        format!("{} allowed, {} denied{flood}; {}", run.allowed, run.denied, usd(run.cost_usd_nanos)),
    );
    if run.unknown > 0 {
        say("open", format!("{} permitted with an outcome that nobody knows", run.unknown));
    }
    match (&run.closed, &run.outcome) {
        (Some(closed), outcome) => {
            let by = run.closed_by.as_deref().unwrap_or("Remit");
            let outcome = outcome.as_deref().unwrap_or("closed");
            match &run.corrected_by {
                None => say("closed", format!("{outcome} at {closed} by {by}")),
                // What it was closed as is not what it came to.
                Some(later) => {
                    say("closed", format!("at {closed} by {by}"));
                    say("corrected", format!("to {outcome} by {later}"));
                }
            }
        }
        (None, _) => say("open", format!("until {}", run.expires)),
    }
    steps
}

/// What it meant to write, what became of each step, and how it is taken back.
fn plan_steps(plan: &PlanShown) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |what: &str, call: Option<&String>, says: String| {
        steps.push(Step { what: what.to_owned(), call: call.cloned(), says });
    };
    say("plan", None, format!("version {} ({}): {}", plan.version, short(&plan.digest), plan.says));
    for step in &plan.steps {
        let trouble = step.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        let call = step.call.as_ref().map(|call| format!(", {call}")).unwrap_or_default();
        let undo = match (&step.undo, &step.undo_call) {
            (Some(tool), Some(call)) => format!("; taken back by {tool}, {call}"),
            (Some(tool), None) => {
                let until =
                    step.undo_until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
                format!("; {tool} takes it back{until}")
            }
            (None, _) => String::new(),
        };
        let says = format!("`{}` {} {}{trouble}{call}{undo}", step.id, step.tool, step.state);
        say("step", step.call.as_ref(), says);
    }
    for left in &plan.residue {
        let why = left.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let says = format!("`{}` {} {}{why}; {} looks at it", left.step, left.tool, left.what, plan.owner);
        say("left behind", left.call.as_ref(), says);
    }
    steps
}

fn call_steps(call: &CallView, run: Option<&RunView>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut say = |what: &str, says: String| {
        steps.push(Step { what: what.to_owned(), call: Some(call.call.clone()), says });
    };
    let kind = if call.run.is_some() { "call" } else { "question" };
    let effect = call.effect.as_deref().map(|effect| format!(" ({effect})")).unwrap_or_default();
    say(kind, format!("{} {}{effect} at {}", call.call, call.tool, call.at));
    let person =
        run.and_then(|run| run.person.as_deref()).map(|who| format!(" for {who}")).unwrap_or_default();
    let model = call.model.as_deref().map(|model| format!("; model {model}")).unwrap_or_default();
    let tokens = call.context_tokens.map(|n| format!(" with {n} tokens of context")).unwrap_or_default();
    let by = call.by.as_deref().map(|by| format!(", as {by} asked")).unwrap_or_default();
    say("asked", format!("{}{by}{person}{model}{tokens}", call.agent));
    if let Some(reason) = &call.reason {
        say("because", format!("in the agent's words: {}", quoted(reason)));
    }
    say(
        "saw",
        call.args.as_ref().map_or("arguments that were erased".to_owned(), |args| cut(&args.to_string())),
    );
    say("decided", format!("{} by rules {}", call.verdict.ruling, short(&call.rules_digest)));
    call.verdict.rules.iter().for_each(|rule| say("allowed by", cited(rule)));
    call.verdict.obligations.iter().for_each(|one| say("bound", one.says.clone()));
    if !call.approved.is_empty() {
        say("approved by", call.approved.join(", "));
    }
    let refused = if call.verdict.ruling == "ask" { "waits" } else { "refused" };
    call.verdict.reasons.iter().for_each(|reason| say(refused, reasoned(reason)));
    call.verdict.would.iter().for_each(|reason| say("would refuse", reasoned(reason)));
    if call.verdict.ruling == "allow" && call.run.is_some() {
        say("happened", happened(call));
        let cost = match call.outcome {
            Some(_) => usd(call.cost_usd_nanos),
            None => format!("at most {}", usd(call.reserved_usd_nanos)),
        };
        say("cost", cost);
    }
    let end = call.finished_index.map(|index| format!(", its end at {index}")).unwrap_or_default();
    say("proof", format!("the decision is event {} of the ledger{end}", call.index));
    steps
}

fn happened(call: &CallView) -> String {
    let Some(outcome) = &call.outcome else { return "not settled yet".to_owned() };
    let by = match call.settled_by.as_deref() {
        Some("gate") | None => String::new(),
        Some("executor") => ", as its executor claims".to_owned(),
        Some(other) => format!(", marked by {other}"),
    };
    let trouble = call.trouble.as_deref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    let result =
        call.result.as_ref().map(|result| format!(": {}", cut(&result.to_string()))).unwrap_or_default();
    format!("{outcome}{trouble} in {} ms{by}{result}", call.duration_ms.unwrap_or(0))
}

fn reasoned(reason: &ReasonView) -> String {
    format!("{}: {}. What would help: {}", reason.code, reason.says, reason.remedy)
}

fn cited(rule: &RuleView) -> String {
    format!("`{}` ({}:{}): {}", rule.id, rule.file, rule.line, rule.words)
}

/// One line a step, calls set apart. Agents choose some of these words, so none reaches a terminal raw.
fn text(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        if matches!(step.what.as_str(), "call" | "question") && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{:<13}", step.what));
        step.says.chars().for_each(|letter| plain(letter, &mut out));
        out.push('\n');
    }
    out
}

fn plain(letter: char, out: &mut String) {
    let bends = matches!(
        letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    if letter.is_control() || bends { out.extend(letter.escape_unicode()) } else { out.push(letter) }
}

fn quoted(words: &str) -> String {
    format!("“{}”", cut(words))
}

fn cut(words: &str) -> String {
    match words.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words.to_owned(),
    }
}

fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

#[cfg(test)]
mod tests;
