//! `remit inbox`, `approve`, `deny`: what waits for a person, all there is to know of it, and the answer.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use api::budget::Spend;
use api::client::{Client, encode};
use api::inbox::{
    AnswerCall, AnswerFigures, AnswerTaken, Inbox, InboxItem, InboxShown, InboxStats, Standing,
};
use serde_json::Value;

use super::remote::{client, query};
use crate::cli::{Approve, Whose};
use crate::{config, out};

pub(super) async fn list(whose: &Whose, person: Option<String>) -> Result<ExitCode> {
    let named = person.is_some();
    let inbox: Inbox = client(whose)?.get(&format!("/v1/inbox{}", query(&[("as", person)]))).await?;
    if whose.json {
        out::json(&inbox)?;
        return Ok(ExitCode::SUCCESS);
    }
    if inbox.items.is_empty() {
        out::talk("nothing waits for a person");
    } else {
        let rows = inbox.items.iter().map(|item| row(item, named)).collect();
        let mut head = vec!["call", "risk", "tool", "agent", "for", "group", "asked", "expires"];
        head.extend(named.then_some("you"));
        out::table(&head, rows);
        out::talk("all there is to know of one: remit inbox CALL");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(item: &InboxItem, named: bool) -> Vec<String> {
    let groups = item.groups.iter().map(|asked| {
        let missing = asked.quorum.saturating_sub(u64::try_from(asked.yes.len()).unwrap_or(u64::MAX));
        if asked.quorum > 1 { format!("{} ({missing} more)", asked.group) } else { asked.group.clone() }
    });
    let groups: Vec<String> = groups.collect();
    let mut row =
        vec![item.call.clone(), item.risk.score.to_string(), name(item).to_owned(), item.agent.clone()];
    row.push(item.person.clone().unwrap_or_else(|| "-".to_owned()));
    row.extend([groups.join(", "), item.asked.clone(), item.expires.clone()]);
    if named {
        row.push(if item.may_answer { "may answer".to_owned() } else { "may not".to_owned() });
    }
    row
}

/// What it is about: a tool, or more than one write.
fn name(item: &InboxItem) -> &str {
    match item.kind.as_str() {
        "proposals" => "what its run proposes",
        "plan" => "a plan",
        _ => &item.tool,
    }
}

pub(super) async fn show(whose: &Whose, call: &str, person: Option<String>) -> Result<ExitCode> {
    let client = client(whose)?;
    let call = &waiting(&client, call.to_owned()).await?;
    let shown = read(&client, call, person).await?;
    if whose.json {
        out::json(&shown)?
    } else {
        told(&shown)
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(client: &Client, call: &str, person: Option<String>) -> Result<InboxShown> {
    Ok(client.get(&format!("/v1/inbox/{}{}", encode(call), query(&[("as", person)]))).await?)
}

/// Nothing that an agent wrote reaches a terminal raw.
fn told(shown: &InboxShown) {
    let item = &shown.item;
    let say = |what: &str, says: &str| out::line(format!("{what:<13}{}", out::safe(says)));
    say("call", &item.call);
    say("asks for", &format!("{} ({})", name(item), item.effect));
    let person = item.person.as_deref().map(|person| format!(" for {person}")).unwrap_or_default();
    say("who", &format!("{}{person}, in {}", item.agent, item.run));
    if let Some(intent) = &shown.intent {
        say("intent", &format!("in the agent's words: “{intent}”"));
    }
    match &shown.reason {
        Some(reason) => say("because", &format!("in the agent's words: “{reason}”")),
        // Of several writes each has its own.
        None if item.kind == "call" => say("because", "the agent gives no reason"),
        None => {}
    }
    if item.kind == "call" {
        let args = shown.args.as_ref().map(|args| serde_json::to_string_pretty(args).unwrap_or_default());
        say("arguments", &args.unwrap_or_else(|| "erased".to_owned()));
    }
    changes(shown);
    if let Some(asked) = &shown.asked_args {
        say("asked was", &asked.to_string());
    }
    say("cost", &format!("at most {}", out::usd(item.cost_usd_nanos)));
    say("undo", &shown.undo);
    let parts = item.risk.parts.iter().map(|part| format!("{} {} ({})", part.points, part.name, part.says));
    say("risk", &format!("{} of 100: {}", item.risk.score, parts.collect::<Vec<_>>().join("; ")));
    for rule in &shown.rules {
        say("asked by", &format!("`{}` ({}:{}): {}", rule.id, rule.file, rule.line, rule.words));
    }
    for asked in &item.groups {
        let more = asked.escalates.as_ref().map(|it| format!("; from {} also {}", it.at, it.to));
        let yes = if asked.yes.is_empty() { "nobody yet".to_owned() } else { asked.yes.join(", ") };
        let says = format!("{} of {}: {yes}{}", asked.quorum, asked.group, more.unwrap_or_default());
        say("waits for", &says);
    }
    for one in &shown.said {
        let stale = if one.counts { "" } else { " (to what it was before; it does not count)" };
        say("yes", &format!("{}{stale}", one.by));
    }
    for one in &shown.similar {
        let said = if one.yes { "approved" } else { "denied" };
        say("one like it", &format!("{} was {said} by {} at {}", one.call, one.by, one.at));
    }
    say("expires", &item.expires);
    if let Some(why) = &item.may_not {
        say("you", why);
    }
    say("bound", &item.bound);
}

/// Each write, and what is there before it.
fn changes(shown: &InboxShown) {
    let say = |what: &str, says: &str| out::line(format!("{what:<13}{}", out::safe(says)));
    let erased = || "erased".to_owned();
    let is_one = shown.item.kind == "call";
    for change in &shown.changes {
        if !is_one {
            let undo = change.undo.as_ref().map(|undo| format!(", taken back by {undo}")).unwrap_or_default();
            say("-", &format!("{}  {} ({}{undo})", change.id, change.tool, change.effect));
        }
        if let Some(later) = &change.replaced_by {
            say("  not done", &format!("{later} takes its place"));
        }
        if !change.against.is_empty() {
            say("  with", &format!("{} touches the same: look at them together", change.against.join(", ")));
        }
        if let Some(before) = &change.before {
            say("  there now", &before.to_string());
        }
        for line in super::plan::changed(&change.differs) {
            say("  becomes", &line);
        }
        if let Some(trouble) = &change.trouble {
            say("  there now", &format!("not known: {trouble}"));
        }
        if !is_one {
            say("  sent", &change.after.as_ref().map_or_else(erased, Value::to_string));
        }
        if let Some(reason) = change.reason.as_ref().filter(|_| !is_one) {
            say("  because", &format!("in the agent's words: “{reason}”"));
        }
    }
}

/// What waits by this name: a call, or what a run proposes.
async fn waiting(client: &Client, named: String) -> Result<String> {
    if !named.starts_with("run_") {
        return Ok(named);
    }
    let inbox: Inbox = client.get(&format!("/v1/inbox{}", query(&[("run", Some(named.clone()))]))).await?;
    let mut whole = inbox.items.iter().filter(|item| item.kind != "call");
    match (whole.next(), whole.next()) {
        (Some(item), None) => Ok(item.call.clone()),
        (None, _) => bail!("`{named}` proposes nothing that waits; `remit inbox` lists what does"),
        (Some(_), Some(_)) => {
            bail!("more than one thing of `{named}` waits; `remit inbox` lists them by name")
        }
    }
}

pub(super) async fn approve(whose: &Whose, options: Approve) -> Result<ExitCode> {
    let client = client(whose)?;
    let standing = standing(&options)?;
    let Approve { call: named, person, why, bound, edit, only, .. } = options;
    let call = waiting(&client, named.clone()).await?;
    let edit: Option<Value> =
        edit.map(|text| serde_json::from_str(&text)).transpose().context("--edit is not JSON")?;
    let bound = match bound {
        Some(bound) => bound,
        None => seen(&client, &call, &person, edit.as_ref()).await?,
    };
    let answer = AnswerCall { yes: true, bound, words: why, only, edit, standing, person: Some(person) };
    answered(whose, &client, (&named, &call), &answer).await
}

/// Shows it and asks. What is approved is what was shown, even if it changes before the answer.
async fn seen(client: &Client, call: &str, person: &str, edit: Option<&Value>) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("say what was seen with --bound, as `remit inbox {call}` prints it");
    }
    let shown = read(client, call, Some(person.to_owned())).await?;
    told(&shown);
    if let Some(edit) = edit {
        out::line(format!("{:<13}{}", "sent instead", out::safe(&edit.to_string())));
    }
    out::talk("approve exactly this? type `yes`");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.trim() != "yes" {
        bail!("nothing was answered; `remit deny {call} --as {person} --why …` says no");
    }
    Ok(shown.item.bound)
}

pub(super) async fn deny(whose: &Whose, call: &str, person: String, why: String) -> Result<ExitCode> {
    let (client, named) = (client(whose)?, call);
    let call = &waiting(&client, call.to_owned()).await?;
    // A no is good for whatever it has become.
    let shown = read(&client, call, Some(person.clone())).await?;
    let (words, person) = (Some(why), Some(person));
    let answer = AnswerCall { yes: false, bound: shown.item.bound, words, person, ..AnswerCall::default() };
    answered(whose, &client, (named, call), &answer).await
}

/// `named` is what the person called it: a call, or the run whose proposals wait as one.
async fn answered(
    whose: &Whose,
    client: &Client,
    (named, call): (&str, &str),
    answer: &AnswerCall,
) -> Result<ExitCode> {
    let path = format!("/v1/inbox/{}/answer", encode(call));
    let taken: AnswerTaken = client.post(&path, answer).await?;
    if whose.json {
        out::json(&taken)?;
        return Ok(ExitCode::SUCCESS);
    }
    let event = format!("event {}", taken.receipt.index);
    match (taken.state.as_str(), answer.yes) {
        ("waiting", _) => {
            out::line(format!("noted, {event}; it still waits for {}", taken.groups.join(", ")))
        }
        (_, true) => {
            out::line(format!(
                "approved, {event}; it is decided again on the rules of now, and then carried out"
            ));
            out::talk(format!("what became of it: remit explain {named}"));
        }
        (_, false) => out::line(format!("denied, {event}; the agent is told")),
    }
    Ok(ExitCode::SUCCESS)
}

fn standing(options: &Approve) -> Result<Option<Standing>> {
    let (Some(times), Some(within)) = (options.times, options.within.clone()) else { return Ok(None) };
    let mut at_most = BTreeMap::new();
    for pair in &options.at_most {
        let parsed = pair.split_once('=').and_then(|(name, most)| Some((name, most.parse::<u64>().ok()?)));
        let (name, most) = parsed.with_context(|| format!("`{pair}` is not NAME=NUMBER"))?;
        at_most.insert(pointer(name), most);
    }
    let usd = options.usd.as_deref();
    let usd_nanos = usd
        .map(|text| config::usd_nanos(text).with_context(|| format!("`{text}` is not an amount of dollars")))
        .transpose()?;
    let same = options.same.iter().map(|name| pointer(name)).collect();
    Ok(Some(Standing { times, within, same, at_most, spend: Spend { usd_nanos, ..Spend::default() } }))
}

/// A member's name, or a JSON Pointer as it stands.
fn pointer(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{}", name.replace('~', "~0")) }
}

pub(super) async fn stats(whose: &Whose) -> Result<ExitCode> {
    let stats: InboxStats = client(whose)?.get("/v1/inbox/stats").await?;
    if whose.json {
        out::json(&stats)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (of, figures) in [("approver", &stats.approvers), ("rule", &stats.rules)] {
        let head = [of, "approved", "denied", "yes", "time to decide", ""];
        out::table(&head, figures.iter().map(figures_row).collect());
    }
    Ok(ExitCode::SUCCESS)
}

fn figures_row(figures: &AnswerFigures) -> Vec<String> {
    let note = if figures.always_approved { "never a no: does anybody look?" } else { "" };
    vec![
        figures.of.clone(),
        figures.approved.to_string(),
        figures.denied.to_string(),
        format!("{} %", figures.approved_percent),
        format!("{} s", figures.seconds_median),
        note.to_owned(),
    ]
}
