//! An incident leaves the house: what is in it, what is taken out of it, and what the ledger holds of that.

use api::incident::{Incident, IncidentPlace, IncidentPlaces, IncidentSent, SendIncident};
use api::problem::Code;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use kernel::contract::Pattern;
use kernel::event;
use kernel::id::RunId;
use serde_json::Value;
use stdx::digest::Digest;

use crate::ask::{Told, id};
use crate::authn::Person;
use crate::house::{Report, Reports, Shared};
use crate::incident::gathered;
use crate::refusal::{Answer, Refusal};
use crate::words;

/// Calls that the summary names: those that were refused or went wrong come first.
const CALLS_MAX: usize = 40;
const NOTE_BYTES_MAX: usize = 4 << 10;
const NAME_CHARS_MAX: usize = 80;
/// What the ledger keeps of how it ended.
const END_BYTES_MAX: usize = 512;

pub(crate) async fn places(_: Person, State(house): State<Shared>) -> Json<IncidentPlaces> {
    let items = house.options.reports.as_ref().map(|reports| reports.places()).unwrap_or_default();
    Json(IncidentPlaces { items })
}

/// Written into the ledger before it leaves, and once more with how that ended.
pub(crate) async fn send(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(ask): Told<SendIncident>,
) -> Answer<IncidentSent> {
    let id = id::<RunId>(&run)?;
    let (reports, place) = place(&house, &ask.to)?;
    let note = ask.note.unwrap_or_default();
    if note.len() > NOTE_BYTES_MAX {
        let detail = format!("the note is longer than {NOTE_BYTES_MAX} bytes");
        return Err(Refusal::new(Code::BadRequest, detail).at("/note"));
    }
    let by = person.name.clone();
    let incident = gathered(&house, person, id).await?;
    let report = report(&incident, &note, &house.options.console);
    let digest = Digest::of(&report.file);
    let sent = event::IncidentSent { by, digest, end: None, run: id, to: place.name.clone() };
    let receipt = house.gate.incident_sent(sent.clone()).await?;
    // The person may go away meanwhile; what is under way is recorded all the same.
    let (gate, to) = (house.gate.clone(), place.name.clone());
    let ended = tokio::spawn(async move {
        let ended = reports.send(to, report).await;
        let mut end = match &ended {
            Ok(Some(url)) => format!("arrived: {url}"),
            Ok(None) => "arrived".to_owned(),
            Err(why) => format!("failed: {why}"),
        };
        end.truncate(end.floor_char_boundary(END_BYTES_MAX));
        if let Err(error) = gate.incident_sent(event::IncidentSent { end: Some(end), ..sent }).await {
            tracing::error!(%error, "how the sending of an incident ended could not be recorded");
        }
        ended
    });
    let ended = ended.await.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))?;
    match ended {
        Ok(url) => Ok(Json(IncidentSent {
            to: place.name,
            place: url,
            digest: digest.to_string(),
            receipt: receipt.map(words::receipt),
        })),
        Err(why) => Err(Refusal::new(Code::NotDelivered, format!("`{}` did not take it: {why}", place.name))),
    }
}

fn place(house: &Shared, name: &str) -> Result<(std::sync::Arc<dyn Reports>, IncidentPlace), Refusal> {
    let reports = house.options.reports.clone();
    let known = reports.and_then(|reports| {
        let place = reports.places().into_iter().find(|place| place.name == name)?;
        Some((reports, place))
    });
    known.ok_or_else(|| Refusal::not_found(&format!("the place `{name}` under `incidents`")).at("/to"))
}

// ---- What is in it ----------------------------------------------------------------------------------------

fn report(incident: &Incident, note: &str, console: &str) -> Report {
    let mut file = serde_json::to_value(incident).unwrap_or_default();
    blot(&mut file);
    let file = Bytes::from(serde_json::to_vec(&file).unwrap_or_default());
    let run = &incident.run;
    let title = format!("Incident: {} in {}", safe(&run.agent), run.run);
    let link = format!("{console}/runs/{}", run.run);
    let summary = summary(incident, note, &link, &file);
    Report { run: run.run.clone(), title, summary, file }
}

/// Takes whatever looks like a secret out of all that agents and tools wrote.
fn blot(value: &mut Value) {
    match value {
        Value::String(text) => {
            let clean = Pattern::Secrets.blot(text).into_owned();
            *text = clean;
        }
        Value::Array(items) => items.iter_mut().for_each(blot),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(text) if Pattern::Secrets.holds_under(name, text) && !is_digest(text) => {
                        *member = Value::String("[secret]".to_owned());
                    }
                    _ => blot(member),
                }
            }
        }
        _ => {}
    }
}

fn is_digest(text: &str) -> bool {
    text.parse::<Digest>().is_ok()
}

/// For a tracker that others may read: names, verdicts and receipts, and nothing that an agent, a tool or a customer
/// wrote.
fn summary(incident: &Incident, note: &str, link: &str, file: &[u8]) -> String {
    let run = &incident.run;
    let mut text = String::new();
    if !note.trim().is_empty() {
        text.push_str(note.trim());
        text.push_str("\n\n");
    }
    let state = match (&run.closed, &run.outcome) {
        (None, _) => "open".to_owned(),
        (Some(at), outcome) => format!("closed {at} as {}", outcome.as_deref().unwrap_or("closed")),
    };
    let halts = incident.halts.iter().map(|halt| safe(&halt.scope)).collect::<Vec<_>>().join(", ");
    let rows = [
        ("Run", run.run.clone()),
        ("Trace", run.trace_id.clone()),
        ("Agent", safe(&run.agent)),
        ("Opened", run.opened.clone()),
        ("State", state),
        ("Calls", format!("{} allowed, {} refused, {} unknown", run.allowed, run.denied, run.unknown)),
        ("Runs of the same root", incident.family.len().max(1).to_string()),
        ("Rules of its calls", incident.rules_digests.join(", ")),
        ("Rules now", incident.rules_now.clone()),
        ("Halts in force", if halts.is_empty() { "none".to_owned() } else { halts }),
        ("Reported by", safe(&incident.by)),
        ("Reported at", incident.made.clone()),
        ("Whole file", format!("{}, {} bytes", Digest::of(file), file.len())),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        text.push_str(&format!("| {name} | `{value}` |\n"));
    }
    text.push_str(&format!("\nIn Remit: {link}\n\n"));
    text.push_str(
        "| At | Call | Tool | Verdict | Because | Outcome | Receipts |\n|---|---|---|---|---|---|---|\n",
    );
    let wrong = |call: &api::call::CallView| {
        call.verdict.ruling != "allow" || call.outcome.as_deref().is_some_and(|it| it != "succeeded")
    };
    let (first, then): (Vec<_>, Vec<_>) = incident.calls.iter().partition(|call| wrong(call));
    for call in first.into_iter().chain(then).take(CALLS_MAX) {
        text.push_str(&row(call));
    }
    let left = incident.calls.len().saturating_sub(CALLS_MAX);
    if left > 0 || incident.older.is_some() {
        text.push_str("\nMore calls are in the file.\n");
    }
    text.push_str("\nArguments, results and what the agent wrote are not in here: see them in Remit.\n");
    text
}

fn row(call: &api::call::CallView) -> String {
    let codes: Vec<&str> = call.verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
    let rules: Vec<String> = call.verdict.rules.iter().map(|rule| safe(&rule.id)).collect();
    let because = if codes.is_empty() { rules.join(", ") } else { codes.join(", ") };
    let end = call.finished_index.map(|index| format!(", {index}")).unwrap_or_default();
    format!(
        "| {} | `{}` | `{}` | {} | `{because}` | {} | {}{end} |\n",
        call.at,
        call.call,
        safe(&call.tool),
        call.verdict.ruling,
        call.outcome.as_deref().unwrap_or("–"),
        call.index,
    )
}

/// A name that others may have chosen: letters that are no markup anywhere.
fn safe(name: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "._-:/@* ".contains(letter);
    name.chars().take(NAME_CHARS_MAX).map(|letter| if plain(letter) { letter } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
