//! Metrics in Prometheus text form. Labels hold names of outcomes and nothing that an agent chose.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use kernel::balance::{Balance, Of};

use crate::authn::Person;
use crate::budget;
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
    // Without them the page is still worth having: it says that calls cannot be recorded.
    budgets(&mut page, &budget::every(&house).await.unwrap_or_default());
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], page.text).into_response()
}

/// Of an account, in the currency of this key, with this limit.
type Figure = fn(&Balance, &str, u64) -> u64;

/// Accounts wider than a run: their names come from the configuration.
fn budgets(page: &mut Page, balances: &[Balance]) {
    let families: [(&str, &str, Figure); 3] = [
        ("remit_budget_limit", "What may be spent in this window; money is nano-dollars.", |_, _, limit| {
            limit
        }),
        ("remit_budget_spent", "What was spent in this window.", |one, key, _| {
            one.account.posted.by_key(key)
        }),
        ("remit_budget_pending", "What calls under way may still spend.", |one, key, _| {
            one.account.pending.by_key(key)
        }),
    ];
    for (name, about, value) in families {
        page.family(name, "gauge", about);
        for one in balances {
            let Of::Account(account) = &one.of else { continue };
            for (key, limit) in one.limits.by_key() {
                let (owner, window) = (label(&account.owner.to_string()), account.window.name());
                let labels = format!("of=\"{owner}\",window=\"{window}\",currency=\"{}\"", label(key));
                page.line(&format!("{name}{{{labels}}}"), value(one, key, limit));
            }
        }
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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
