//! The story's second half: several writes as one. One fails, all are taken back; then the same plan succeeds.

use anyhow::{Result, ensure};
use api::client::Client;
use api::people::KeyMinted;
use api::plan::{CommitPlan, PlanEnded, PlanVerdict, ProposePlan, StepAsk};
use api::run::{OpenRun, Recorded, Replan, RunOpened};
use serde_json::{Value, json};

use super::desk::Desk;
use super::story::call;
use crate::out;

const TICKETS: [&str; 2] = ["T-1004", "T-1005"];
/// The charge that the bank holds for a while.
const HELD: &str = "ch_1005";

/// The run that wrote, for whoever wants to take it back.
pub(super) async fn tell(people: &Client, agents: &str, desk: &Desk) -> Result<String> {
    let minted: KeyMinted =
        people.post("/v1/agents/claims-desk/keys", &json!({ "ttl_seconds": 3600 })).await?;
    out::line("");
    out::line(
        "Another agent, `claims-desk`, has `phases: on`: it reads, proposes all that it means to write, and",
    );
    out::line("commits that, all or nothing.");
    let agent = Client::new(agents, Some(minted.secret));
    let open = OpenRun {
        person: Some("dan@customers.example".to_owned()),
        intent: Some("settle T-1004 and T-1005 together".to_owned()),
        budget: None,
    };
    let run: RunOpened = agent.post("/v1/runs", &open).await?;
    let agent = agent.in_run(&run.token);
    read(&agent).await?;
    let refund = json!({ "charge_id": "ch_1004", "amount_cents": 6_400, "currency": "eur" });
    let early = call(&agent, "desk.refund_charge", refund, "the cups were broken").await?;
    ensure!(early.verdict.ruling == "deny", "a write before its plan must be denied");

    let before = desk.refunded();
    desk.dispute(HELD, true);
    out::line("");
    out::line(format!("What the agent does not know: the bank holds {HELD}."));
    let version = propose(&agent, &run.run).await?;
    let ended = commit(&agent, &run.run, version).await?;
    ensure!(ended.plan.stage == "rolled_back", "a plan whose step fails must be rolled back");
    ensure!(desk.refunded() == before, "what was taken back must be as it was before");
    out::line("  the desk's own books are as they were before");

    desk.dispute(HELD, false);
    out::line("");
    out::line("The bank lets go. The agent says what it learned, reads anew, and proposes the same again.");
    let learned = Replan { learned: "the bank held the second charge; it no longer does".to_owned() };
    let _: Recorded = agent.post(&format!("/v1/runs/{}/replan", run.run), &learned).await?;
    read(&agent).await?;
    let version = propose(&agent, &run.run).await?;
    let ended = commit(&agent, &run.run, version).await?;
    ensure!(ended.plan.stage == "committed", "the same plan must succeed once nothing is in its way");
    let _: Value =
        agent.post(&format!("/v1/runs/{}/close", run.run), &json!({ "outcome": "success" })).await?;
    Ok(run.run)
}

async fn read(agent: &Client) -> Result<()> {
    for ticket in TICKETS {
        let read =
            call(agent, "desk.lookup_ticket", json!({ "ticket_id": ticket }), "what it is about").await?;
        ensure!(read.verdict.ruling == "allow", "a read must be allowed in every phase");
    }
    Ok(())
}

async fn propose(agent: &Client, run: &str) -> Result<u32> {
    let verdict: PlanVerdict = agent.post(&format!("/v1/runs/{run}/plan"), &plan()).await?;
    out::line("");
    out::line("agent: a plan of three steps");
    out::line(format!("remit: {}, version {}", verdict.ruling.to_uppercase(), verdict.version));
    for step in &verdict.steps {
        let undo = match &step.undo {
            Some(tool) => format!("taken back by {tool}"),
            None => "cannot be taken back, so it goes last".to_owned(),
        };
        out::line(format!("  {:<8} {}  {}; {undo}", step.id, step.tool, step.ruling));
        for reason in &step.reasons {
            out::line(format!("           because {} [{}]", reason.says, reason.code));
        }
    }
    let cost = verdict.cost.usd_nanos.unwrap_or(0);
    out::line(format!("  it costs at most {}; nothing has happened yet", out::usd(cost)));
    ensure!(verdict.ruling == "allow", "the story's plan must be allowed");
    Ok(verdict.version)
}

async fn commit(agent: &Client, run: &str, version: u32) -> Result<PlanEnded> {
    out::line("");
    out::line(format!("agent: commit version {version}"));
    let version = Some(version);
    let ended: PlanEnded =
        agent.post(&format!("/v1/runs/{run}/commit"), &CommitPlan { version, callback: None }).await?;
    out::line(format!("remit: {}", out::safe(&ended.plan.says)));
    for step in &ended.plan.steps {
        let trouble = step.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        out::line(out::safe(&format!("  {:<8} {}{trouble}", step.id, step.state)));
    }
    Ok(ended)
}

fn plan() -> ProposePlan {
    let step = |id: &str, tool: &str, args: Value, reason: &str| StepAsk {
        id: id.to_owned(),
        tool: tool.to_owned(),
        args: args.as_object().cloned().unwrap_or_default(),
        after: Vec::new(),
        reason: Some(reason.to_owned()),
        effect: None,
        expect: None,
    };
    let cups = json!({ "charge_id": "ch_1004", "amount_cents": 6_400, "currency": "eur" });
    let saucers = json!({ "charge_id": HELD, "amount_cents": 2_900, "currency": "eur" });
    let mail = json!({ "to": "dan@customers.example", "subject": "Your refunds",
        "body": "64 and 29 euros are on their way." });
    ProposePlan {
        steps: vec![
            // Written first, and still the last to go: it cannot be taken back.
            step("mail", "desk.mail_customer", mail, "tell the customer once both are done"),
            step("cups", "desk.refund_charge", cups, "two of four were broken"),
            step("saucers", "desk.refund_charge", saucers, "they never came"),
        ],
    }
}
