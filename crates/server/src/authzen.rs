//! AuthZEN 1.0: a question to the same law that decides calls. Recorded; it reserves and permits nothing.

use api::authzen::{
    Action, Configuration, Decision, DecisionContext, Decisions, Evaluation, Evaluations, Resource, Semantic,
};
use api::endpoint as at;
use api::problem::Code;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gate::Caller;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::ask::{Asked, recorded};
use crate::house::{House, Shared};
use crate::refusal::{Answer, Refusal};
use crate::words;

/// Evaluations in one request.
const EVALUATIONS_MAX: usize = 100;

pub(crate) async fn evaluate(State(house): State<Shared>, asked: Asked<Evaluation>) -> Answer<Decision> {
    Ok(Json(decide(&house, &asked.caller, asked.body).await?))
}

pub(crate) async fn evaluate_many(
    State(house): State<Shared>,
    asked: Asked<Evaluations>,
) -> Result<Response, Refusal> {
    let Asked { caller, body } = asked;
    let semantic = body.options.evaluations_semantic;
    let (single, all) = match merged(body) {
        Ok(all) => all,
        Err(refusal) => return Err(recorded(&house, &caller, None, refusal).await),
    };
    let mut decisions = Vec::with_capacity(all.len());
    for evaluation in all {
        let decision = decide(&house, &caller, evaluation).await?;
        let last = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision.decision,
            Semantic::PermitOnFirstPermit => decision.decision,
        };
        decisions.push(decision);
        if last {
            break;
        }
    }
    match decisions.pop() {
        Some(decision) if single => Ok(Json(decision).into_response()),
        last => {
            decisions.extend(last);
            Ok(Json(Decisions { evaluations: decisions }).into_response())
        }
    }
}

pub(crate) async fn configuration(State(house): State<Shared>, headers: HeaderMap) -> Json<Configuration> {
    // The guard has let this Host pass, so it is one of ours.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:7470");
    let url = house.options.public_url.clone().unwrap_or_else(|| format!("http://{host}"));
    let url = url.trim_end_matches('/');
    Json(Configuration {
        policy_decision_point: url.to_owned(),
        access_evaluation_endpoint: format!("{url}{}", at::EVALUATION),
        access_evaluations_endpoint: format!("{url}{}", at::EVALUATIONS),
    })
}

async fn decide(house: &House, caller: &Caller, evaluation: Evaluation) -> Result<Decision, Refusal> {
    let subject = evaluation.subject.id;
    if subject != caller.agent && !caller.executor {
        let detail = "only an agent with the role `executor` may ask about another subject";
        return Err(
            recorded(house, caller, None, Refusal::new(Code::Forbidden, detail).at("/subject/id")).await
        );
    }
    let tool = tool_of(&evaluation.action, &evaluation.resource);
    let input = house.gate.rules();
    let input = input.tool(&tool).map(|tool| &tool.contract.input);
    let args = args_of(evaluation.action, evaluation.resource, input);
    let answered = house.gate.question(caller, &subject, &tool, args).await?;
    let reasons = answered.verdict.reasons.iter().map(words::reason).collect();
    let context = DecisionContext { reasons, receipt: answered.receipt.map(words::receipt) };
    Ok(Decision { decision: answered.verdict.allows(), context: Some(context) })
}

/// What each evaluation leaves out comes from the top level. Without a list, the top level is the only one.
fn merged(body: Evaluations) -> Result<(bool, Vec<Evaluation>), Refusal> {
    let Evaluations { subject, action, resource, context, mut evaluations, .. } = body;
    let single = evaluations.is_empty();
    if single {
        evaluations.push(api::authzen::PartialEvaluation::default());
    }
    if evaluations.len() > EVALUATIONS_MAX {
        let detail = format!("at most {EVALUATIONS_MAX} evaluations are answered at once");
        return Err(Refusal::new(Code::BadRequest, detail).at("/evaluations"));
    }
    let missing = |number: usize, member: &str| {
        let at = if single { format!("/{member}") } else { format!("/evaluations/{number}/{member}") };
        Refusal::new(Code::BadRequest, format!("the {member} is missing")).at(at)
    };
    let whole = evaluations.into_iter().enumerate().map(|(number, own)| {
        Ok(Evaluation {
            subject: own.subject.or_else(|| subject.clone()).ok_or_else(|| missing(number, "subject"))?,
            action: own.action.or_else(|| action.clone()).ok_or_else(|| missing(number, "action"))?,
            resource: own.resource.or_else(|| resource.clone()).ok_or_else(|| missing(number, "resource"))?,
            context: own.context.or_else(|| context.clone()),
        })
    });
    Ok((single, whole.collect::<Result<_, Refusal>>()?))
}

/// A full name as it is; any other verb belongs to its resource's type.
fn tool_of(action: &Action, resource: &Resource) -> String {
    if action.name.contains('.') { action.name.clone() } else { format!("{}.{}", resource.kind, action.name) }
}

/// The resource as arguments. Where the schema is closed, members that it does not declare are left out:
/// AuthZEN lets callers send properties that a rule knows nothing of.
fn args_of(action: Action, resource: Resource, input: Option<&Value>) -> Value {
    let mut args: Map<String, Value> = action.properties.unwrap_or_default();
    args.extend(resource.properties.unwrap_or_default());
    args.insert("type".to_owned(), resource.kind.into());
    args.insert("id".to_owned(), resource.id.into());
    let closed = input.filter(|input| input.get("additionalProperties") == Some(&Value::Bool(false)));
    if let Some(input) = closed {
        let declared = input.get("properties").and_then(Value::as_object);
        args.retain(|name, _| declared.is_some_and(|declared| declared.contains_key(name)));
    }
    Value::Object(args)
}

#[cfg(test)]
mod tests;
