//! `remit doctor`: what is wrong with an installation, and how to mend it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use kernel::rules::Rules;
use tokio::net::{TcpListener, TcpStream};

use super::remote;
use crate::cli::Whose;
use crate::{compose, config, out};

const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// What was found, line by line.
#[derive(Default)]
struct Report {
    lines: Vec<(bool, String)>,
}

impl Report {
    fn good(&mut self, text: impl Into<String>) {
        self.lines.push((true, text.into()));
    }

    fn bad(&mut self, text: impl Into<String>, mend: &str) {
        self.lines.push((false, format!("{}\n       mend: {mend}", text.into())));
    }
}

pub(super) async fn doctor(whose: &Whose) -> Result<ExitCode> {
    let mut report = Report::default();
    let data = remote::data_folder(whose);
    match config::load(&whose.config).and_then(compose::compile) {
        Ok((rules, settings, warnings)) => {
            report.good(format!(
                "configuration: {} agents, {} tools, {} warnings",
                rules.book.agents.len(),
                rules.book.tools.len(),
                warnings.len()
            ));
            credentials(&mut report, &rules);
            servers(&mut report, &rules).await;
            let running = running(whose).await;
            for (whose, address) in [("agents", settings.agents_listen), ("people", settings.people_listen)] {
                port(&mut report, whose, address, running).await;
            }
            disk(&mut report, &settings.data, settings.disk_reserve_bytes);
        }
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            report.bad(
                "configuration: it does not load",
                "mend what is listed above; `remit check` says it again",
            );
        }
    }
    folder(&mut report, &data);
    for (good, text) in &report.lines {
        out::line(format!("{} {text}", if *good { " ok  " } else { "WRONG" }));
    }
    let wrong = report.lines.iter().filter(|(good, _)| !good).count();
    out::line(if wrong == 0 { "nothing is wrong".to_owned() } else { format!("{wrong} things are wrong") });
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

fn folder(report: &mut Report, data: &Path) {
    if !data.exists() {
        report.good(format!("data folder {}: not there yet, made at the first start", data.display()));
        return;
    }
    for name in ["", compose::OPERATOR_KEY, "house.key"] {
        let path = data.join(name);
        let Ok(found) = path.metadata() else { continue };
        if found.permissions().mode() & 0o077 != 0 {
            let mend = format!("chmod go-rwx {}", path.display());
            report.bad(format!("{}: others may read it", path.display()), &mend);
        } else {
            report.good(format!("{}: for its owner only", path.display()));
        }
    }
}
