//! The rules in force: their text, who can do what by them, and what they alone would say to a call.

use std::sync::Arc;

use api::people::{Policy, PolicyAnswer, PolicyAsk, RuleError, Warning, WhoCan, WhoCanList, WhoCanQuery};
use api::problem::Code;
use axum::Json;
use axum::extract::State;
use kernel::policy::{self, Decision};
use kernel::rules::Rules;
use serde_json::{Map, Value};

use crate::ask::{Query, Told, strict};
use crate::authn::Person;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::words;

/// Rows of one answer to who-can.
const WHO_CAN_MAX: usize = 10_000;

pub(crate) async fn policy(_: Person, State(house): State<Shared>) -> Json<Policy> {
    let rules = house.gate.rules();
    let warnings = rules.policy.warnings().iter().map(|problem| Warning {
        says: problem.message.clone(),
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
    });
    Json(Policy {
        digest: rules.digest.to_string(),
        rules: u64::try_from(rules.policy.rule_count()).unwrap_or(u64::MAX),
        cedar: rules.policy.cedar(),
        warnings: warnings.collect(),
    })
}

pub(crate) async fn explain(State(house): State<Shared>, Told(ask): Told<PolicyAsk>) -> Answer<PolicyAnswer> {
    let rules = house.gate.rules();
    if rules.agent(&ask.agent).is_none() {
        return Err(Refusal::not_found(&format!("the agent `{}`", ask.agent)).at("/agent"));
    }
    if rules.tool(&ask.tool).is_none() {
        return Err(Refusal::not_found(&format!("the tool `{}`", ask.tool)).at("/tool"));
    }
    let args = if ask.args.is_null() { Value::Object(Map::new()) } else { ask.args };
    let answer = house.gate.explain_policy(&ask.agent, &ask.tool, &args);
    Ok(Json(policy_answer(&rules, answer)))
}

fn policy_answer(rules: &Rules, answer: policy::Answer) -> PolicyAnswer {
    let decision = match answer.decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    };
    PolicyAnswer {
        decision: decision.to_owned(),
        rules: answer.rules.iter().map(|rule| words::rule(rule)).collect(),
        near: answer.near.iter().map(|rule| words::rule(rule)).collect(),
        errors: answer
            .errors
            .into_iter()
            .map(|(rule, error)| RuleError { rule: words::rule(&rule), error })
            .collect(),
        ask: answer.ask,
        rules_digest: rules.digest.to_string(),
    }
}

pub(crate) async fn who_can(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<WhoCanQuery>,
) -> Answer<WhoCanList> {
    let args = query.args.map(|text| strict(text.as_bytes())).transpose()?;
    let rules = house.gate.rules();
    let found = found(Arc::clone(&rules), query.target, args).await?;
    let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let items = found.into_iter().take(WHO_CAN_MAX).map(who_can_view);
    Ok(Json(WhoCanList { rules_digest: rules.digest.to_string(), total, items: items.collect() }))
}

/// Up to a second over a large set of rules: not on a thread that answers others.
pub(crate) async fn found(
    rules: Arc<Rules>,
    target: String,
    args: Option<Value>,
) -> Result<Vec<policy::WhoCan>, Refusal> {
    let question = policy::Question { target, args };
    let found = tokio::task::spawn_blocking(move || rules.policy.who_can(&question)).await;
    found.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))
}

pub(crate) fn who_can_view(one: policy::WhoCan) -> WhoCan {
    WhoCan {
        agent: one.agent,
        tool: one.tool,
        rule: words::rule(&one.rule),
        only_if: one.only_if,
        needs_approval: one.needs_approval,
        by_free_permit: one.by_free_permit,
    }
}
