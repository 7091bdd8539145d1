//! Metrics in Prometheus text form. Labels hold names of outcomes and nothing that an agent chose.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::authn::Person;
use crate::house::Shared;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

pub(crate) async fn metrics(_: Person, State(house): State<Shared>) -> Response {
    let counts = house.gate.counts();
    let mut page = Page::default();
    page.family("remit_calls_decided_total", "counter", "Calls decided, by ruling.");
    page.line("remit_calls_decided_total{ruling=\"allow\"}", counts.allowed);
    page.line("remit_calls_decided_total{ruling=\"deny\"}", counts.denied);
    page.family("remit_calls_settled_total", "counter", "Permitted calls that ended, by outcome.");
    for (outcome, number) in &counts.settled {
        page.line(&format!("remit_calls_settled_total{{outcome=\"{outcome}\"}}"), *number);
    }
    page.one(
        "remit_requests_refused_total",
        "counter",
        "Requests of known agents that were no call.",
        counts.refused_requests,
    );
    page.one("remit_ledger_commits_total", "counter", "Batches committed to the ledger.", counts.commits);
    page.one(
        "remit_ledger_commit_failures_total",
        "counter",
        "Batches that could not be committed.",
        counts.commit_failures,
    );
    page.one(
        "remit_ledger_head_index",
        "gauge",
        "The index that the next event will have.",
        counts.head_index,
    );
    page.one("remit_calls_in_flight", "gauge", "Calls that are being carried out.", counts.in_flight);
    page.one(
        "remit_ready",
        "gauge",
        "1 if calls can be decided and recorded.",
        u64::from(house.gate.ready().is_ok()),
    );
    page.one("remit_halts", "gauge", "Halts in force.", number(house.gate.halts().len()));
    page.one(
        "remit_people_requests_in_flight",
        "gauge",
        "Requests under way on the people's port.",
        number(house.requests_now()),
    );
    page.one("remit_tails_open", "gauge", "Streams of events that are open.", number(house.tails_now()));
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], page.text).into_response()
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn one(&mut self, name: &str, kind: &str, about: &str, value: u64) {
        self.family(name, kind, about);
        self.line(name, value);
    }

    fn family(&mut self, name: &str, kind: &str, about: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {about}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: u64) {
        let _ = writeln!(self.text, "{name} {value}");
    }
}
