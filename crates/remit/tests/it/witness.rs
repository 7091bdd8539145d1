//! What the world outside the ledger has seen, and whether the ledger still says the same after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::call::{Answered, Receipt};
use api::client::Error;
use api::people::EventView;
use serde_json::Value;

use crate::house::{events, open_run, people};
use crate::install::{Install, Serve};
use crate::toolserver::ToolServer;

/// One acknowledged event: its index, its kind, and the id in its body.
type Fact = (u64, &'static str, String);

#[derive(Clone, Default)]
pub struct Witness {
    facts: Arc<Mutex<Vec<Fact>>>,
    outcomes: Arc<Mutex<BTreeMap<String, String>>>,
}

/// What the ledger and the tool server hold, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub decided: usize,
    pub deeds: usize,
    pub unknown: usize,
}

impl Witness {
    pub fn saw(&self, receipt: Receipt, kind: &'static str, id: &str) {
        self.facts.lock().unwrap().push((receipt.index, kind, id.to_owned()));
    }

    pub fn answered(&self, answered: &Answered) {
        self.saw(answered.receipt.unwrap(), "call_decided", &answered.call);
        if let Some(outcome) = &answered.outcome {
            self.outcomes.lock().unwrap().insert(answered.call.clone(), outcome.clone());
        }
    }

    /// An agent works until Remit dies or `calls` are answered; whether its run was opened.
    pub async fn work(&self, agents: &str, key: &str, calls: usize) -> bool {
        let Ok(run) = open_run(agents, key).await else { return false };
        self.saw(run.opened.receipt, "run_opened", &run.opened.run);
        for _ in 0..calls {
            match run.refund(100).await {
                Ok(answered) => self.answered(&answered),
                Err(Error::Unreachable { .. } | Error::Broken { .. }) => break,
                Err(other) => panic!("neither an answer nor a dead line: {other:?}"),
            }
        }
        true
    }

    /// Nothing acknowledged is missing, nothing was done without an intent, and what nobody knows is listed.
    pub async fn check(&self, install: &Install, serve: &Serve, tools: &ToolServer) -> Sum {
        let people = people(install, serve);
        let events = events(&people).await;
        for (index, kind, id) in self.facts.lock().unwrap().iter() {
            let event = events.get(usize::try_from(*index).unwrap());
            let event = event.unwrap_or_else(|| panic!("acknowledged and gone: {kind} {id} at {index}"));
            assert_eq!(event.event["kind"], *kind);
            assert!(
                event.event["body"].as_object().unwrap().values().any(|it| it == id),
                "{kind} {id}: {event:?}"
            );
        }
        let permitted: BTreeSet<String> =
            of_kind(&events, "call_decided").filter(|body| body["ruling"] == "allow").map(call).collect();
        let finished: BTreeMap<String, String> = of_kind(&events, "call_finished")
            .map(|body| (call(body), body["outcome"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(of_kind(&events, "call_finished").count(), finished.len(), "a call has one end");
        for (call, outcome) in self.outcomes.lock().unwrap().iter() {
            assert_eq!(finished.get(call), Some(outcome), "an answered outcome is missing: {call}");
        }
        let deeds: Vec<String> = tools.deeds().into_iter().map(|deed| deed.call).collect();
        let distinct: BTreeSet<String> = deeds.iter().cloned().collect();
        assert_eq!(deeds.len(), distinct.len(), "a call was carried out twice");
        for call in &distinct {
            assert!(permitted.contains(call), "an effect without an intent in the ledger: {call}");
        }
        for (call, outcome) in &finished {
            assert!(outcome != "succeeded" || distinct.contains(call), "a success that nobody saw: {call}");
            assert!(outcome != "not_dispatched" || !distinct.contains(call), "an effect denied: {call}");
        }
        let open = |call: &&String| finished.get(*call).is_none_or(|outcome| outcome == "unknown");
        let unknown: BTreeSet<String> = permitted.iter().filter(open).cloned().collect();
        listed(install, &unknown).await;
        Sum { decided: of_kind(&events, "call_decided").count(), deeds: deeds.len(), unknown: unknown.len() }
    }
}

fn of_kind<'a>(events: &'a [EventView], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event.event["kind"] == kind).map(|event| &event.event["body"])
}

fn call(body: &Value) -> String {
    body["call"].as_str().unwrap().to_owned()
}

/// The views follow the ledger a moment behind.
async fn listed(install: &Install, unknown: &BTreeSet<String>) {
    let mut last = BTreeSet::new();
    for _ in 0..100 {
        let page = install.remit(&["calls", "--outcome", "unknown", "--limit", "200", "--json"]).ok().json();
        last = page["items"].as_array().unwrap().iter().map(call).collect();
        if last == *unknown {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("`calls --outcome unknown` lists {last:?}, the ledger says {unknown:?}");
}
