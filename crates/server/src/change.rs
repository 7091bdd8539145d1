//! What a change of the rules would do, before anybody makes it: past calls asked again, and who could do what.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::people::{CallDiffers, PolicyChange, PolicyChanged, PolicyFile, PolicyFiles, WhoCan};
use api::problem::Code;
use axum::Json;
use axum::extract::State;
use gate::Gate;
use gate::views::{CallQuery, CallView};
use kernel::id::CallId;
use kernel::policy::{self, Decision};
use kernel::rules::Rules;
use kernel::time::Time;

use crate::ask::Told;
use crate::authn::Person;
use crate::house::{Changes, Shared};
use crate::refusal::{Answer, Refusal};
use crate::{rules, words};

const CALLS_USUAL: usize = 1_000;
const CALLS_MAX: usize = 10_000;
/// Read and asked at a time.
const PAGE: usize = 200;
/// Shown of each list; the counts are of all.
const SHOWN_MAX: usize = 200;
/// Every tool.
const ANY: &str = "*";

pub(crate) async fn files(_: Person, State(house): State<Shared>) -> Answer<PolicyFiles> {
    let Some(source) = &house.options.changes else { return Ok(Json(PolicyFiles::default())) };
    let files = source.files().map_err(|why| Refusal::new(Code::BadRequest, why))?;
    let items = files.into_iter().map(|(file, text)| PolicyFile { file, text }).collect();
    Ok(Json(PolicyFiles { items }))
}

pub(crate) async fn change(
    _: Person,
    State(house): State<Shared>,
    Told(ask): Told<PolicyChange>,
) -> Answer<PolicyChanged> {
    let source = Arc::clone(changes(&house)?);
    // Compiling and asking take a processor: one person at a time.
    let Ok(_turn) = house.changing.try_lock() else {
        return Err(Refusal::new(Code::Overloaded, "another change is being looked at"));
    };
    let PolicyChange { file, text, calls } = ask;
    let compiled = tokio::task::spawn_blocking(move || source.changed(&file, text)).await;
    let compiled = compiled.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))?;
    let (would, warnings) = compiled.map_err(|why| Refusal::new(Code::BadRequest, why).at("/text"))?;
    let now = house.gate.rules();
    let limit = calls.unwrap_or(CALLS_USUAL).min(CALLS_MAX);
    let mut found = past(&house.gate, &now, &would, limit).await?;
    (found.lost, found.won) = who(&now, &would).await?;
    found.rules_digest = now.digest.to_string();
    found.would_digest = would.digest.to_string();
    found.warnings = warnings;
    Ok(Json(found))
}

fn changes(house: &Shared) -> Result<&Arc<dyn Changes>, Refusal> {
    let none = || Refusal::not_found("a configuration whose text could be changed");
    house.options.changes.as_ref().ok_or_else(none)
}

/// The newest calls, asked of both versions at the time of each.
async fn past(
    gate: &Gate,
    now: &Arc<Rules>,
    would: &Arc<Rules>,
    limit: usize,
) -> Result<PolicyChanged, Refusal> {
    let mut found = PolicyChanged::default();
    let (mut before, mut left): (Option<CallId>, usize) = (None, limit);
    while left > 0 {
        let query = CallQuery { before, limit: left.min(PAGE), ..CallQuery::default() };
        let page = gate.calls(query).await?;
        left = left.saturating_sub(page.items.len());
        let rules = (Arc::clone(now), Arc::clone(would));
        let asked = tokio::task::spawn_blocking(move || {
            let mut sheet = PolicyChanged::default();
            page.items.into_iter().for_each(|call| again(&rules.0, &rules.1, call, &mut sheet));
            (sheet, page.next)
        });
        let (sheet, next) = asked.await.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))?;
        found.compared += sheet.compared;
        found.skipped += sheet.skipped;
        found.differ += sheet.differ;
        found.calls.extend(sheet.calls);
        found.calls.truncate(SHOWN_MAX);
        before = next.and_then(|id| id.parse().ok());
        if before.is_none() {
            break;
        }
    }
    Ok(found)
}

fn again(now: &Rules, would: &Rules, call: CallView, sheet: &mut PolicyChanged) {
    let (Some(args), Ok(at)) = (&call.args, call.decided.parse::<Time>()) else {
        sheet.skipped += 1;
        return;
    };
    let says = |rules: &Rules| answer(rules, &call.agent, &call.tool, args, at);
    let ((before, _), (after, by)) = (says(now), says(would));
    sheet.compared += 1;
    if before == after {
        return;
    }
    sheet.differ += 1;
    sheet.calls.push(CallDiffers {
        call: call.id,
        run: call.run.map(|run| run.to_string()),
        agent: call.agent,
        tool: call.tool,
        at: call.decided,
        before: before.to_owned(),
        after: after.to_owned(),
        rules: by,
    });
}

/// What has no manifest or no contract is refused before any rule is asked.
fn answer(
    rules: &Rules,
    agent: &str,
    tool: &str,
    args: &serde_json::Value,
    at: Time,
) -> (&'static str, Vec<api::call::RuleView>) {
    if rules.agent(agent).is_none() || rules.tool(tool).is_none() {
        return ("deny", Vec::new());
    }
    let answer = kernel::decide::explain_policy(rules, agent, tool, args, at);
    let decision = match answer.decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    };
    (decision, answer.rules.iter().map(|rule| words::rule(rule)).collect())
}

/// Ways that there are now and would not be, and the other way round.
async fn who(now: &Arc<Rules>, would: &Arc<Rules>) -> Result<(Vec<WhoCan>, Vec<WhoCan>), Refusal> {
    let before = ways(rules::found(Arc::clone(now), ANY.to_owned(), None).await?);
    let after = ways(rules::found(Arc::clone(would), ANY.to_owned(), None).await?);
    let only = |these: &BTreeMap<Way, WhoCan>, those: &BTreeMap<Way, WhoCan>| {
        let own = these.iter().filter(|(way, _)| !those.contains_key(*way));
        own.map(|(_, row)| row.clone()).take(SHOWN_MAX).collect::<Vec<_>>()
    };
    Ok((only(&before, &after), only(&after, &before)))
}

/// Agent, tool, conditions, whose yes: which line of which file says so is not what counts.
type Way = (String, String, Vec<String>, Option<String>);

fn ways(found: Vec<policy::WhoCan>) -> BTreeMap<Way, WhoCan> {
    let rows = found.into_iter().map(rules::who_can_view);
    let way =
        |row: &WhoCan| (row.agent.clone(), row.tool.clone(), row.only_if.clone(), row.needs_approval.clone());
    rows.map(|row| (way(&row), row)).collect()
}
