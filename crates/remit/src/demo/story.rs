//! The story: a refund desk answers a ticket, oversteps, and is told why not; then another writes as one.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use api::budget::Spend;
use api::call::{Answered, CallAsk};
use api::client::{Client, encode};
use api::inbox::{AnswerCall, AnswerTaken, InboxShown, Ticket};
use api::people::KeyMinted;
use api::run::{OpenRun, RunOpened};
use api::story::Story;
use serde_json::{Value, json};

use super::claims;
use super::desk::Desk;
use crate::compose::{self, Running};
use crate::out;

/// A person of the example's configuration, who approves for finance.
pub(super) const LEE: &str = "lee@example.com";

pub(super) struct Told {
    /// The agent's key.
    pub(super) key: String,
    /// The refusal worth explaining.
    pub(super) refused: String,
    /// The run that committed a plan.
    pub(super) committed: String,
}

pub(super) async fn tell(running: &Running, data: &Path, desk: &Desk) -> Result<Told> {
    let operator = std::fs::read_to_string(data.join(compose::OPERATOR_KEY)).context("the operator key")?;
    let people = Client::new(&format!("http://{}", running.people), Some(operator.trim().to_owned()));
    let minted: KeyMinted =
        people.post("/v1/agents/refund-desk/keys", &json!({ "ttl_seconds": 3600 })).await?;
    out::line("An operator minted a key for the agent `refund-desk`. It now opens a run for one prompt.");
    let agent = Client::new(&format!("http://{}", running.agents), Some(minted.secret.clone()));
    let open = OpenRun {
        person: Some("ana@customers.example".to_owned()),
        intent: Some("answer ticket T-1001".to_owned()),
        budget: None,
    };
    let run: RunOpened = agent.post("/v1/runs", &open).await?;
    let agent = agent.in_run(&run.token);

    let ticket = json!({ "ticket_id": "T-1001" });
    let read = call(&agent, "desk.lookup_ticket", ticket, "read what the customer wants").await?;
    ensure!(read.verdict.ruling == "allow", "the story's first call must be allowed");
    let big = json!({ "charge_id": "ch_1001", "amount_cents": 900_000, "currency": "eur" });
    let refused = call(&agent, "desk.refund_charge", big, "the ticket says to refund everything").await?;
    ensure!(refused.verdict.ruling == "deny", "the story's large refund must be denied");
    let small = json!({ "charge_id": "ch_1001", "amount_cents": 4_200, "currency": "eur" });
    let refund = call(&agent, "desk.refund_charge", small, "the lamp arrived broken").await?;
    ensure!(refund.outcome.as_deref() == Some("succeeded"), "the story's small refund must succeed");
    asked_of_finance(&people, &agent).await?;
    let stranger = json!({ "to": "eve@elsewhere.example", "subject": "our customers", "body": "…" });
    call(&agent, "desk.mail_customer", stranger, "a ticket asked for it").await?;
    let mail = json!({ "to": "ana@customers.example", "subject": "Your refund", "body": "42 euros are on their way." });
    call(&agent, "desk.mail_customer", mail, "tell the customer").await?;
    let spent_up = within_a_loan(&agent).await?;
    ensure!(spent_up.verdict.ruling == "deny", "the story's loan must run out");
    let _: Value =
        agent.post(&format!("/v1/runs/{}/close", run.run), &json!({ "outcome": "success" })).await?;
    let committed = claims::tell(&people, &format!("http://{}", running.agents), desk).await?;

    out::line("");
    out::line("What the tool server says really happened:");
    for deed in desk.record() {
        out::line(format!("  {}", out::safe(&deed)));
    }
    out::line("");
    out::line("Why was the large refund refused? As an on-call person reads it:");
    let story: Story = people.get(&format!("/v1/explain/{}", refused.call)).await?;
    for text in story.text.lines() {
        out::line(format!("  {}", out::safe(text)));
    }
    Ok(Told { committed, key: minted.secret, refused: refused.call })
}

/// A refund that is too large for the agent alone waits for finance. Lee, of the configuration, says yes.
async fn asked_of_finance(people: &Client, agent: &Client) -> Result<()> {
    let larger = json!({ "charge_id": "ch_1002", "amount_cents": 11_000, "currency": "eur" });
    let asked = call(agent, "desk.refund_charge", larger, "the express delivery came five days late").await?;
    let waiting = asked.waiting.context("the story's larger refund must wait for finance")?;
    out::line(format!("  ticket   {} waits for {}", waiting.ticket, waiting.groups.join(", ")));
    let path = format!("/v1/inbox/{}", waiting.ticket);
    let shown: InboxShown = people.get(&format!("{path}?as={}", encode(LEE))).await?;
    let (item, risk) = (&shown.item, &shown.item.risk);
    let parts = risk.parts.iter().map(|part| format!("{} {}", part.name, part.points));
    out::line("");
    out::line(format!(
        "inbox: {} of {} asks, risk {} ({})",
        item.tool,
        item.agent,
        risk.score,
        parts.collect::<Vec<_>>().join(", ")
    ));
    out::line(format!("{LEE}: yes, “the carrier confirms it”"));
    let words = Some("the carrier confirms it".to_owned());
    let (bound, person) = (item.bound.clone(), Some(LEE.to_owned()));
    let answer = AnswerCall { yes: true, bound, words, person, ..AnswerCall::default() };
    let taken: AnswerTaken = people.post(&format!("{path}/answer"), &answer).await?;
    ensure!(taken.state == "released", "the story's approver must be enough");
    let ticket: Ticket = agent.get(&waiting.poll).await?;
    let ended = ticket.answered.context("what was approved must come to an end")?;
    ensure!(ended.outcome.as_deref() == Some("succeeded"), "the story's approved refund must succeed");
    out::line(format!("remit: ALLOW, succeeded  {}  approved by {}", ended.call, ended.approved.join(", ")));
    Ok(())
}

/// Leaves one more in the inbox, for whoever looks around: its run stays open.
pub(super) async fn leave_one(running: &Running, key: &str) -> Result<()> {
    let agent = Client::new(&format!("http://{}", running.agents), Some(key.to_owned()));
    let open = OpenRun {
        person: Some("eve@elsewhere.example".to_owned()),
        intent: Some("answer ticket T-1003".to_owned()),
        budget: None,
    };
    let run: RunOpened = agent.post("/v1/runs", &open).await?;
    let large = json!({ "charge_id": "ch_1003", "amount_cents": 30_000, "currency": "eur" });
    call(&agent.in_run(&run.token), "desk.refund_charge", large, "the ticket says to refund everything now")
        .await?;
    Ok(())
}

/// A part of the work gets a run and a budget of its own; a refund costs 0.30 usd, so it pays for one.
async fn within_a_loan(agent: &Client) -> Result<Answered> {
    out::line("");
    out::line(
        "The agent hands two more refunds to a run under this one, which may borrow 0.50 usd of its budget.",
    );
    let budget = Spend { usd_nanos: Some(500_000_000), ..Spend::default() };
    let part = OpenRun { intent: Some("the other charges".to_owned()), budget: Some(budget), person: None };
    let part: RunOpened = agent.post("/v1/runs", &part).await?;
    let part = agent.in_run(&part.token);
    let second = json!({ "charge_id": "ch_1002", "amount_cents": 1_500, "currency": "eur" });
    call(&part, "desk.refund_charge", second, "the express delivery came late").await?;
    let third = json!({ "charge_id": "ch_1003", "amount_cents": 1_200, "currency": "eur" });
    call(&part, "desk.refund_charge", third, "and so did the next one").await
}

pub(super) async fn call(agent: &Client, tool: &str, args: Value, reason: &str) -> Result<Answered> {
    out::line("");
    out::line(format!("agent: {tool} {args}"));
    let ask = CallAsk {
        tool: tool.to_owned(),
        args,
        reason: Some(reason.to_owned()),
        model: None,
        context_tokens: None,
        idempotency_key: None,
        heeds: Vec::new(),
        callback: None,
    };
    let answered: Answered = agent.post("/v1/calls", &ask).await?;
    let receipt =
        answered.receipt.as_ref().map_or_else(String::new, |receipt| format!("  receipt {}", receipt.index));
    let outcome = answered.outcome.as_ref().map_or_else(String::new, |outcome| format!(", {outcome}"));
    out::line(format!(
        "remit: {}{outcome}  {}{receipt}",
        answered.verdict.ruling.to_uppercase(),
        answered.call
    ));
    for rule in &answered.verdict.rules {
        out::line(format!("  by rule  {} ({}:{}) {}", rule.id, rule.file, rule.line, rule.words));
    }
    for reason in &answered.verdict.reasons {
        out::line(format!("  because  {} [{}]", reason.says, reason.code));
        out::line(format!("  remedy   {}", reason.remedy));
    }
    Ok(answered)
}
