//! An incident: all that is known of a run, gathered into one file.

use std::collections::BTreeSet;

use api::call::CallView;
use api::incident::Incident;
use api::people::EventView;
use axum::Json;
use axum::extract::{Path, State};
use gate::Gate;
use gate::views::StoredEvent;
use kernel::id::RunId;

use crate::ask::id;
use crate::authn::Person;
use crate::halts::halt_views;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::words;

const FORM: u64 = 1;
/// Events of one run in one file.
const EVENTS_MAX: usize = 5_000;
/// Events read at a time.
const READ: usize = 500;
/// How far behind the last call the end of the run is looked for.
const READS_BEYOND_MAX: usize = 20;

pub(crate) async fn incident(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
) -> Answer<Incident> {
    gathered(&house, person, id::<RunId>(&run)?).await.map(Json)
}

pub(crate) async fn gathered(house: &Shared, person: Person, run: RunId) -> Result<Incident, Refusal> {
    let shown = house.gate.run(run, None).await?;
    let family = shown.family.into_iter().map(words::run_view).collect();
    let closed = shown.run.closed.is_some();
    let run = words::run_view(shown.run);
    let calls: Vec<CallView> = shown.calls.into_iter().map(words::call_view).collect();
    let rules: BTreeSet<&String> = calls.iter().map(|call| &call.rules_digest).collect();
    let rules_digests = rules.into_iter().cloned().collect();
    let ends = calls.iter().flat_map(|call| [Some(call.index), call.finished_index]).flatten();
    let known: BTreeSet<u64> = ends.chain([run.index]).collect();
    let events = events(&house.gate, &run.run, &known, closed).await?;
    Ok(Incident {
        incident: FORM,
        made: house.options.clock.now().to_string(),
        by: person.name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        as_of: shown.as_of,
        run,
        family,
        calls,
        older: shown.older,
        rules_digests,
        rules_now: house.gate.rules().digest.to_string(),
        halts: halt_views(&house.gate),
        events,
    })
}

/// The events at the places that are known, what else of the run lies beside them, and its end.
async fn events(
    gate: &Gate,
    run: &str,
    known: &BTreeSet<u64>,
    closed: bool,
) -> Result<Vec<EventView>, Refusal> {
    let mut events = Vec::new();
    let mut next = known.first().copied();
    let mut beyond = 0;
    while let Some(from) = next {
        let page = gate.events(from, READ).await?;
        let Some(end) = page.last().map(|event| event.index.saturating_add(1)) else { break };
        events.extend(page.into_iter().filter(|event| is_of(event, run)).map(view));
        if events.len() >= EVENTS_MAX {
            break;
        }
        next = known.range(end..).next().copied();
        let ended = events
            .iter()
            .any(|event: &EventView| event.event.get("kind").is_some_and(|kind| kind == "run_closed"));
        if next.is_none() && closed && !ended && beyond < READS_BEYOND_MAX {
            (next, beyond) = (Some(end), beyond + 1);
        }
    }
    Ok(events)
}

fn is_of(event: &StoredEvent, run: &str) -> bool {
    event.event.pointer("/body/run").is_some_and(|of| of == run)
}

fn view(event: StoredEvent) -> EventView {
    EventView { index: event.index, event: event.event }
}
