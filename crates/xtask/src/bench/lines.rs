//! What each benchmark prints for people, read as rows of the table. A line that is not known is passed over.

use super::table::{Row, Table};

/// `1000 rules, 3 in scope: sliced 5.21 µs, whole 310.0 µs`
pub(super) fn rules(said: &str, table: &mut Table) {
    for line in said.lines() {
        let Some(rules) = before(line, "rules,") else { continue };
        if let (Some(sliced), Some(whole)) = (after(line, "sliced"), after(line, "whole")) {
            let row = |what: &str, value| Row::new("rules", format!("{rules} rules, {what}"), value, "µs");
            table.row(row("one answer, few in scope", sliced));
            table.row(row("one answer, all in scope", whole));
        }
    }
}

/// `    64          90000         120000     0.75` under a heading
pub(super) fn log(said: &str, table: &mut Table) {
    for line in said.lines() {
        let numbers: Vec<f64> = line.split_whitespace().map_while(number).collect();
        if let [batch, ledger, floor, _] = numbers.as_slice() {
            let row = |what, value| Row::new("log", format!("{batch} a commit, {what}"), value, "/s");
            table.row(row("bare database", *floor));
            table.row(row("the log", *ledger).floor(Some(*floor)));
        }
    }
}

/// `decide_only    64 runs     8900 /s   p50    7000 µs   p99   12000 µs` under `1000 rules`
pub(super) fn process(said: &str, table: &mut Table) {
    let mut rules = 0.0;
    for line in said.lines() {
        match (before(line, "rules"), before(line, "runs")) {
            (Some(found), None) => rules = found,
            (None, Some(runs)) => {
                let what = line.split_whitespace().next().unwrap_or_default();
                let floor = table.value("log", &format!("{runs} a commit, bare database"));
                rate("process", what, rules, runs, line, floor, table);
            }
            _ => {}
        }
        if let (true, Some(p50), Some(p99)) =
            (line.starts_with("kernel `decide`"), after(line, "p50"), after(line, "p99"))
        {
            let row = |what, value: f64| {
                Row::new("process", format!("{rules} rules, the kernel alone {what}"), value / 1_000.0, "µs")
            };
            let row_p50 = row("p50", p50);
            table.row(if rules >= 1_000.0 { row_p50.aim("<= 10") } else { row_p50 });
            table.row(row("p99", p99));
        }
    }
}

/// `a day and a month    p50   9000 ns  p99   12000 ns  added   2000 ns`
pub(super) fn accounts(said: &str, table: &mut Table) {
    for line in said.lines() {
        if let (Some((name, _)), Some(p50), Some(added)) =
            (line.split_once(" p50"), after(line, "p50"), after(line, "added"))
        {
            let row = |what: &str, nanos: f64| {
                Row::new("accounts", format!("{}, {what}", name.trim()), nanos / 1_000.0, "µs")
            };
            table.row(row("one decision p50", p50));
            table.row(row("added", added).aim("<= 2"));
        }
    }
}

/// `a plan, as a chain: 20.00 ms, 40 commits`; what is added to a step has an aim.
pub(super) fn plans(said: &str, table: &mut Table) {
    for line in said.lines() {
        let Some((what, rest)) = line.split_once(": ") else { continue };
        let rest = &rest.replace(',', "");
        if let Some(ms) = before(rest, "ms") {
            let row = Row::new("plans", what, ms, "ms");
            table.row(if what.starts_with("added") { row.aim("<= 1") } else { row });
        }
        if let Some(commits) = before(rest, "commits") {
            table.row(Row::new("plans", format!("{what}, commits"), commits, ""));
        }
    }
}

/// `decide      64 runs   9000 /s   p50 ...` after `constant    64 runs  40000 /s ...`, under `1000 rules: up in ...`
pub(super) fn http(said: &str, table: &mut Table) {
    let (mut rules, mut constant) = (0.0, None);
    for line in said.lines() {
        if let (Some(found), Some(up), Some(idle)) =
            (before(line, "rules:"), after(line, "in"), before(line, "KiB"))
        {
            rules = found;
            table.row(Row::new("http", format!("{rules} rules, start"), up, "ms"));
            let idle = Row::new("http", format!("{rules} rules, idle memory"), idle / 1024.0, "MiB");
            table.row(idle.aim("<= 40"));
        }
        let Some(runs) = before(line, "runs") else { continue };
        if line.starts_with("constant") {
            constant = before(line, "/s");
        } else {
            rate("http", "decide", rules, runs, line, constant.take(), table);
        }
    }
}

/// `10000 open runs: 80000 KiB resident, 3000 bytes a run`, and the rate among them below it
pub(super) fn runs(said: &str, table: &mut Table) {
    grown("runs", "open runs", "open", said, table);
}

/// `100000 events: 80000 KiB resident`, and the rate on such a ledger below it
pub(super) fn events(said: &str, table: &mut Table) {
    grown("events", "events", "events:", said, table);
}

fn grown(section: &'static str, of: &str, word: &str, said: &str, table: &mut Table) {
    let mut count = 0.0;
    for line in said.lines() {
        if let (Some(found), Some(resident)) = (before(line, word), before(line, "KiB")) {
            count = found;
            let what = format!("{count} {of}, memory");
            table.row(Row::new(section, what, resident / 1024.0, "MiB"));
        }
        if let Some(bytes) = before(line, "bytes") {
            table.row(Row::new(section, format!("{count} {of}, memory of each"), bytes, "bytes"));
        }
        if let Some(rate) = before(line, "/s") {
            table.row(Row::new(section, format!("{count} {of}, decisions at 64 runs"), rate, "/s"));
        }
    }
}

/// `100 rules, era 2026-07-28: …`, `10 tools: …` or `64 open clients: …` say what the lines below them are about:
/// `direct 16 clients 200 bytes 9000 /s p50 … p99 … cpu …`, then the same through `remit`.
pub(super) fn mcp(said: &str, table: &mut Table) {
    let (mut about, mut direct) = (String::new(), None);
    for line in said.lines() {
        if let (Some((head, rest)), Some(resident)) = (line.split_once(": "), before(line, "KiB")) {
            about = head.to_owned();
            table.row(Row::new("mcp", format!("{about}, memory"), resident / 1024.0, "MiB"));
            if let Some(each) = before(rest, "bytes").filter(|_| rest.ends_with("a client")) {
                table.row(Row::new("mcp", format!("{about}, memory of each"), each, "bytes"));
            }
            if let Some(time) = before(rest, "µs") {
                table.row(Row::new("mcp", format!("{about}, a page of their list"), time, "µs"));
            }
            continue;
        }
        let (Some(clients), Some(bytes), Some(calls)) =
            (before(line, "clients"), before(line, "bytes"), before(line, "/s"))
        else {
            continue;
        };
        if line.starts_with("direct") {
            direct = Some((calls, after(line, "p50")));
            continue;
        }
        let (floor, alone) = direct.take().unzip();
        let row = |name: &str, value, unit| {
            let what = format!("{about}, {clients} clients, {bytes} bytes{name}");
            Row::new("mcp", what, value, unit)
        };
        let calls = row("", calls, "/s").floor(floor);
        table.row(if clients >= 16.0 { calls.aim(">= 12000") } else { calls });
        for percentile in ["p50", "p99"] {
            table.row(row(&format!(", {percentile}"), after(line, percentile).unwrap_or_default(), "µs"));
        }
        if let (Some(with), Some(Some(without))) = (after(line, "p50"), alone) {
            table.row(row(", added to p50", with - without, "µs"));
        }
        if let Some(cpu) = after(line, "cpu") {
            table.row(row(", processor each", cpu, "µs").aim("<= 80"));
        }
    }
}

/// `64 calls halted, last answer after it was asked for: p50  12000 µs   max  20000 µs   of 20`
pub(super) fn halts(said: &str, table: &mut Table) {
    for line in said.lines() {
        let Some((what, rest)) = line.split_once(": ").filter(|(what, _)| what.contains("halted")) else {
            continue;
        };
        for name in ["p50", "max"] {
            if let Some(micros) = after(rest, name) {
                let row = Row::new("halts", format!("{what}, {name}"), micros / 1_000.0, "ms");
                table.row(if what.contains("last answer") { row.aim("<= 100") } else { row });
            }
        }
    }
}

/// Any line with a number of events and a time in ms or s; its words are the row's name.
pub(super) fn start(said: &str, table: &mut Table) {
    for line in said.lines() {
        let time = before(line, "ms").map(|ms| ms / 1_000.0).or_else(|| before(line, "s"));
        if let (Some((what, _)), Some(time)) = (line.split_once(':'), time) {
            table.row(Row::new("start", what.trim(), time, "s"));
        }
    }
}

fn rate(
    section: &'static str,
    what: &str,
    rules: f64,
    runs: f64,
    line: &str,
    floor: Option<f64>,
    table: &mut Table,
) {
    let row = |name: &str, value, unit| {
        Row::new(section, format!("{rules} rules, {what} at {runs} runs{name}"), value, unit)
    };
    if let Some(rate) = before(line, "/s") {
        let aim = section == "http" && rules >= 1_000.0 && runs == 64.0;
        let row = row("", rate, "/s").floor(floor);
        table.row(if aim { row.aim(">= 20000") } else { row });
    }
    for percentile in ["p50", "p99"] {
        if let Some(time) = after(line, percentile) {
            table.row(row(&format!(", {percentile}"), time, "µs"));
        }
    }
    if let Some(cpu) = after(line, "cpu") {
        table.row(row(", processor each", cpu, "µs"));
    }
}

/// The number that stands before a word.
fn before(line: &str, word: &str) -> Option<f64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [value, found] if *found == word => number(value),
        _ => None,
    })
}

/// The number that stands after a word.
fn after(line: &str, word: &str) -> Option<f64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [found, value] if *found == word => number(value),
        _ => None,
    })
}

fn number(word: &str) -> Option<f64> {
    word.trim_end_matches(',').parse().ok()
}
