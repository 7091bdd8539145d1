//! `remit run plan|undo|resolve|accept`, `remit runs --stuck`: what runs write as one, and how it is taken back.

use std::process::ExitCode;

use anyhow::Result;
use api::client::encode;
use api::plan::{
    AcceptResidue, Difference, PlanShown, ResidueView, ResolveCall, StepShown, UndoAnswer, UndoRun,
};
use api::run::{Recorded, RunPage, RunView};

use super::remote::client;
use crate::cli::{Resolution, Run, Whose};
use crate::out;

pub(super) async fn plan(whose: &Whose, command: Run) -> Result<ExitCode> {
    match command {
        Run::Plan { run } => {
            let path = format!("/v1/runs/{}/plan?look=true", encode(&run));
            let plan: PlanShown = client(whose)?.get(&path).await?;
            if whose.json {
                out::json(&plan)?
            } else {
                told(&plan)
            }
            Ok(ExitCode::SUCCESS)
        }
        Run::Undo { run, step, dry_run, why } => undo(whose, &run, UndoRun { step, dry: dry_run, why }).await,
        Run::Resolve { call, resolution, why } => {
            let resolution = match resolution {
                Resolution::Done => api::plan::Resolution::Done,
                Resolution::NotDone => api::plan::Resolution::NotDone,
            };
            let path = format!("/v1/calls/{}/resolve", encode(&call));
            let recorded = client(whose)?.post(&path, &ResolveCall { resolution, why }).await?;
            done(whose, &recorded, "resolved")
        }
        Run::Accept { run, why } => {
            let path = format!("/v1/runs/{}/accept", encode(&run));
            let recorded = client(whose)?.post(&path, &AcceptResidue { why }).await?;
            done(whose, &recorded, "accepted: it stays as it is")
        }
        _ => Ok(ExitCode::FAILURE),
    }
}

fn done(whose: &Whose, recorded: &Recorded, says: &str) -> Result<ExitCode> {
    if whose.json {
        out::json(recorded)?;
    } else {
        out::line(format!("{says}, event {}", recorded.receipt.index));
    }
    Ok(ExitCode::SUCCESS)
}

/// Success: it was taken back, or could be.
async fn undo(whose: &Whose, run: &str, ask: UndoRun) -> Result<ExitCode> {
    let path = format!("/v1/runs/{}/undo", encode(run));
    let answer: UndoAnswer = client(whose)?.post(&path, &ask).await?;
    if whose.json {
        out::json(&answer)?;
    } else {
        let rows = answer.steps.iter().map(|step| {
            let guarded = if step.guarded { "guarded" } else { "unguarded" };
            let until = step.until.clone().unwrap_or_else(|| "-".to_owned());
            let args = step.args.as_ref().map(ToString::to_string).unwrap_or_default();
            vec![step.step.clone(), step.tool.clone(), step.undo.clone(), args, until, guarded.to_owned()]
        });
        out::table(&["step", "of", "taken back by", "with", "until", "guarded"], rows.collect());
        match &answer.plan {
            Some(plan) => told(plan),
            None => out::line(out::safe(&answer.says)),
        }
    }
    let left = answer.plan.is_some_and(|plan| !plan.residue.is_empty());
    Ok(if left { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs that wait for a person, each with what it waits for and what can be done.
pub(super) async fn stuck(whose: &Whose) -> Result<ExitCode> {
    let page: RunPage = client(whose)?.get("/v1/runs?stuck=true").await?;
    if whose.json {
        out::json(&page)?;
    } else if page.items.is_empty() {
        out::talk("nothing waits for a person");
    } else {
        let rows = page.items.iter().map(|run| {
            let plan = run.plan.as_deref();
            let stage = plan.map_or_else(|| "-".to_owned(), |plan| plan.stage.clone());
            let owner = plan.map_or_else(|| "-".to_owned(), |plan| plan.owner.clone());
            vec![run.run.clone(), run.opened.clone(), run.agent.clone(), owner, stage, waits_for(run)]
        });
        out::table(&["run", "opened", "agent", "owner", "plan", "waits for"], rows.collect());
        out::talk("remit run plan RUN shows each, and what you can do about it");
    }
    Ok(ExitCode::SUCCESS)
}

fn waits_for(run: &RunView) -> String {
    let plan = run.plan.as_deref();
    let why = plan.and_then(|plan| plan.why.clone());
    let unknown = plan.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.unsettled);
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    let mut words: Vec<String> = why.into_iter().collect();
    let held = plan.iter().flat_map(|plan| &plan.held).map(String::as_str).collect::<Vec<_>>();
    if !held.is_empty() {
        words.push(format!("a halt holds {}", held.join(", ")));
    }
    if !unknown.is_empty() {
        words.push(format!("nobody knows the end of {}", unknown.join(", ")));
    }
    if let Some(plan) = plan.filter(|plan| !plan.residue.is_empty()) {
        words.push(format!("{} left behind", plan.residue.len()));
    }
    if words.is_empty() {
        words.push(format!(
            "{} with an end that nobody knows: remit calls --run … --outcome unknown",
            run.unknown
        ));
    }
    words.join("; ")
}

/// A plan in words: where it stands, each step, and what was left behind.
pub(super) fn told(plan: &PlanShown) {
    let digest = plan.digest.get(.."sha256:".len() + 12).unwrap_or(&plan.digest);
    out::line(out::safe(&format!("plan {} ({digest}) of {}: {}", plan.version, plan.agent, plan.says)));
    out::table(&["step", "tool", "state", "after", "call", "taken back by", "until"], rows(&plan.steps));
    let trouble = plan.steps.iter().filter_map(|step| Some((step, step.trouble.as_ref()?)));
    for (step, trouble) in trouble {
        out::line(out::safe(&format!("{}: {trouble}", step.id)));
    }
    for change in &plan.changes {
        let trouble = change.trouble.as_ref().map(|trouble| format!("not known: {trouble}"));
        let told = changed(&change.differs).chain(trouble);
        told.for_each(|line| out::line(out::safe(&format!("{} would change {line}", change.id))));
    }
    if !plan.residue.is_empty() {
        out::line(format!("left behind, for {} to look at:", plan.owner));
        plan.residue.iter().for_each(|left| out::line(out::safe(&residue(left))));
    }
    to_do(plan).iter().for_each(|line| out::line(out::safe(line)));
}

/// What a person does about what does not go on, or is left: the commands, to be copied.
fn to_do(plan: &PlanShown) -> Vec<String> {
    let run = &plan.run;
    let mut lines = Vec::new();
    for step in plan.steps.iter().filter(|step| plan.stuck.contains(&step.id)) {
        let Some(call) = step.unsettled.first() else { continue };
        lines.push(format!(
            "look whether `{}` happened, where {} would have done it; then say so:",
            step.id, step.tool
        ));
        lines.push(format!("  remit run resolve {call} --as done --why WHY   (or --as not-done)"));
    }
    let is_left = plan.stage == "quarantined" && !plan.accepted;
    if is_left {
        lines.push("mend by hand what is to be mended; then say that what stays may stay:".to_owned());
    } else if !plan.stuck.is_empty() {
        lines.push("or end it as it is, whatever happened:".to_owned());
    }
    if is_left || !plan.stuck.is_empty() {
        lines.push(format!("  remit run accept {run} --why WHY"));
    }
    lines
}

/// What becomes another, a line each; of a text of several lines, all of them.
pub(super) fn changed(differs: &[Difference]) -> impl Iterator<Item = String> + use<'_> {
    differs.iter().flat_map(|one| {
        let (at, before, after) = (one.at.clone(), one.before.clone(), one.after.clone());
        stdx::difference::Difference { at, before, after, lines: one.lines.clone() }.says()
    })
}

fn residue(left: &ResidueView) -> String {
    let call = left.call.as_ref().map(|call| format!(" ({call})")).unwrap_or_default();
    let why = left.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("  {} {}{call} {}{why}", left.step, left.tool, left.what)
}

fn rows(steps: &[StepShown]) -> Vec<Vec<String>> {
    let row = |step: &StepShown| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let after = if step.after.is_empty() { "-".to_owned() } else { step.after.join(", ") };
        let call = step.undo_call.as_ref().or(step.call.as_ref()).cloned();
        let undo = match (&step.undo, step.guarded) {
            (Some(tool), true) => tool.clone(),
            (Some(tool), false) => format!("{tool} (unguarded)"),
            (None, _) => "-".to_owned(),
        };
        vec![
            step.id.clone(),
            step.tool.clone(),
            step.state.clone(),
            after,
            or_dash(&call),
            undo,
            or_dash(&step.undo_until),
        ]
    };
    steps.iter().map(row).collect()
}
