//! `remit doctor`: what is wrong with an installation, and how to mend it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use kernel::rules::Rules;
use ledger::Read as _;
use serde::Serialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::remote;
use crate::cli::{CONFIG, Whose};
use crate::{compose, config, demo, out, private};

const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// What was found, one by one.
#[derive(Default)]
struct Report {
    found: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    ok: bool,
    says: String,
    /// What would make it right.
    mend: Option<String>,
}

impl Report {
    fn good(&mut self, says: impl Into<String>) {
        self.found.push(Finding { ok: true, says: says.into(), mend: None });
    }

    fn bad(&mut self, says: impl Into<String>, mend: &str) {
        self.found.push(Finding { ok: false, says: says.into(), mend: Some(mend.to_owned()) });
    }
}

pub(super) async fn doctor(whose: &Whose) -> Result<ExitCode> {
    let mut report = Report::default();
    // A folder may be all there is: the demo carries its configuration in the binary.
    let alone = whose.data.as_deref().filter(|_| whose.config == Path::new(CONFIG) && !whose.config.exists());
    match alone {
        Some(data) => folder_alone(&mut report, whose, data).await,
        None => configuration(&mut report, whose).await,
    }
    rights(&mut report, &remote::data_folder(whose));
    let wrong = report.found.iter().filter(|found| !found.ok).count();
    if whose.json {
        out::json(&json!({ "ok": wrong == 0, "wrong": wrong, "findings": report.found }))?;
    } else {
        for Finding { ok, says, mend } in &report.found {
            out::line(format!("{} {says}", if *ok { " ok  " } else { "WRONG" }));
            if let Some(mend) = mend {
                out::line(format!("       mend: {mend}"));
            }
        }
        out::line(match wrong {
            0 => "nothing is wrong".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            _ => format!("{wrong} things are wrong"),
        });
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn configuration(report: &mut Report, whose: &Whose) {
    let (rules, settings, warnings) = match config::load(&whose.config).and_then(compose::compile) {
        Ok(compiled) => compiled,
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            let mend = "mend what is listed above; `remit check` says it again";
            return report.bad("configuration: it does not load", mend);
        }
    };
    report.good(format!(
        "configuration: {} agents, {} tools, {} warnings",
        rules.book.agents.len(),
        rules.book.tools.len(),
        warnings.list.len()
    ));
    credentials(report, &rules);
    servers(report, &rules).await;
    let running = running(whose).await;
    for (whose, address) in [("agents", settings.agents_listen), ("people", settings.people_listen)] {
        port(report, whose, address, running).await;
    }
    disk(report, &remote::data_folder(whose), settings.disk_reserve_bytes);
}

/// What can be said of a data folder without the configuration that it belongs to.
async fn folder_alone(report: &mut Report, whose: &Whose, data: &Path) {
    let shown = data.display();
    let events = match ledger::sqlite::open_read_only(data).and_then(|mut log| log.head()) {
        Ok(head) => head.next_index,
        Err(error) => {
            let mend =
                "name a Remit's data folder (`store.sqlite` of its configuration), or its configuration";
            return report.bad(format!("{shown}: no ledger can be read there: {error}"), mend);
        }
    };
    let kind = if data.join(demo::DESK_KEY).exists() {
        "the data folder of a demo, whose configuration is in the binary"
    } else {
        "a data folder; with --config its configuration is checked too"
    };
    report.good(format!("{shown}: {kind}"));
    report.good(format!("ledger: {events} events"));
    if running(whose).await {
        report.good("a Remit is running on it");
    } else {
        report.good("no Remit is running on it");
    }
    disk(report, data, config::DISK_RESERVE_MB << 20);
}

fn credentials(report: &mut Report, rules: &Rules) {
    let mut references: Vec<&str> =
        rules.book.tools.values().filter_map(|tool| tool.credential.as_deref()).collect();
    references.sort_unstable();
    references.dedup();
    for reference in references {
        let there = match reference.split_once(':') {
            Some(("env", name)) => std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            Some(("file", path)) => std::fs::read(path).is_ok_and(|bytes| !bytes.is_empty()),
            _ => false,
        };
        if there {
            report.good(format!("credential {reference}"));
        } else {
            let mend = "set the variable, or write the file, for the user that runs Remit";
            report.bad(format!("credential {reference}: it is not there"), mend);
        }
    }
}

async fn servers(report: &mut Report, rules: &Rules) {
    let mut seen = std::collections::BTreeMap::new();
    for tool in rules.book.tools.values() {
        if let Some(url) = tool.via.pointer("/http/url").and_then(serde_json::Value::as_str) {
            seen.entry(tool.server.clone()).or_insert_with(|| url.to_owned());
        }
    }
    for (server, url) in seen {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let default = if url.starts_with("https") { 443 } else { 80 };
        let address =
            if authority.contains(':') { authority.to_owned() } else { format!("{authority}:{default}") };
        match tokio::time::timeout(CONNECT_WAIT, TcpStream::connect(&address)).await {
            Ok(Ok(_)) => report.good(format!("tool server {server} answers at {address}")),
            _ => report.bad(
                format!("tool server {server} does not answer at {address}"),
                "start it, or mend `via.http.url`",
            ),
        }
    }
}

async fn running(whose: &Whose) -> bool {
    match remote::client(whose) {
        Ok(client) => client.get::<serde_json::Value>("/healthz").await.is_ok(),
        Err(_) => false,
    }
}

async fn port(report: &mut Report, whose: &str, address: SocketAddr, running: bool) {
    match TcpListener::bind(address).await {
        Ok(_) => report.good(format!("{whose}' address {address} is free")),
        Err(_) if running => report.good(format!("{whose}' address {address} is held by this Remit")),
        Err(error) => report.bad(
            format!("{whose}' address {address} cannot be listened on: {error}"),
            &format!("stop what holds it, or set `listen.{whose}`"),
        ),
    }
}

fn disk(report: &mut Report, data: &Path, reserve: u64) {
    let folder =
        if data.exists() { data } else { data.parent().filter(|p| p.exists()).unwrap_or(Path::new(".")) };
    match ledger::free_bytes(folder) {
        Ok(free) if free > reserve => report.good(format!("disk: {} MB free", free >> 20)),
        Ok(free) => report.bad(
            format!(
                "disk: {} MB free, below the reserve of {} MB: calls are refused",
                free >> 20,
                reserve >> 20
            ),
            "free some space, or lower `store.disk_reserve_mb`",
        ),
        Err(error) => report.bad(format!("disk: {error}"), "check the data folder's file system"),
    }
}

fn rights(report: &mut Report, data: &Path) {
    if !data.exists() {
        report.good(format!("data folder {}: not there yet, made at the first start", data.display()));
        return;
    }
    let wide = private::open_to_others(data);
    for path in &wide {
        report.bad(format!("{}: others may open it", path.display()), &private::mend(path));
    }
    if wide.is_empty() {
        report.good(format!("data folder {}: it and its files are for their owner alone", data.display()));
    }
}
