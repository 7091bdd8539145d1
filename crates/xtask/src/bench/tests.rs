//! What the benchmarks print becomes rows: each shape of line, its floor and its growth.

use super::table::Table;
use super::{Asked, lines};

fn read(read: fn(&str, &mut Table), said: &str) -> Table {
    let mut table = Table::default();
    read(said, &mut table);
    table
}

#[test]
fn the_rate_over_http_stands_on_the_constant_before_it() {
    let said = "1000 rules: up in 85 ms, 20480 KiB resident when idle\n\
        constant    64 runs   40000 /s   p50   1500 µs   p99   2500 µs   cpu   20.5 µs   core 100 %   21000 KiB\n\
        decide      64 runs   10000 /s   p50   6000 µs   p99   9000 µs   cpu   99.5 µs   core 100 %   22000 KiB\n";
    let table = read(lines::http, said);
    assert_eq!(table.value("http", "1000 rules, idle memory"), Some(20.0));
    assert_eq!(table.value("http", "1000 rules, decide at 64 runs"), Some(10_000.0));
    assert_eq!(table.value("http", "1000 rules, decide at 64 runs, p99"), Some(9_000.0));
    assert_eq!(table.value("http", "1000 rules, decide at 64 runs, processor each"), Some(99.5));
    let rate = &table.json()[2];
    assert_eq!((&rate["floor"], &rate["aim"]), (&40_000.0.into(), &">= 20000".into()));
}

#[test]
fn calls_through_remit_stand_on_the_same_calls_made_directly() {
    let said = "100 rules, era 2026-07-28: 20480 KiB resident when idle\n\
        direct   16 clients       200 bytes   20000 /s   p50    700 µs   p99   900 µs   cpu    0.0 µs   core   0 %\n\
        remit    16 clients       200 bytes   10000 /s   p50   1500 µs   p99  2000 µs   cpu   90.5 µs   core  99 %\n\
        64 open clients: 30720 KiB resident, 9000 bytes a client\n\
        500 tools: 40960 KiB resident, a page of 90000 bytes in 1200 µs\n";
    let table = read(lines::mcp, said);
    let of = |what: &str| table.value("mcp", &format!("100 rules, era 2026-07-28, {what}"));
    assert_eq!(of("memory"), Some(20.0));
    assert_eq!(of("16 clients, 200 bytes, added to p50"), Some(800.0));
    assert_eq!(of("16 clients, 200 bytes, processor each"), Some(90.5));
    assert_eq!(table.json()[1]["floor"], 20_000.0);
    assert_eq!(table.value("mcp", "64 open clients, memory of each"), Some(9_000.0));
    assert_eq!(table.value("mcp", "500 tools, a page of their list"), Some(1_200.0));
}

#[test]
fn decisions_in_process_stand_on_the_database() {
    let mut table =
        read(lines::log, " batch  ledger rows/s   floor rows/s    ratio\n    64   90000   120000   0.75\n");
    let said = "100 rules\nkernel `decide` alone: p50 4000 ns, p99 9000 ns\n\
        decide_only    64 runs     8900 /s   p50    7000 µs   p99   12000 µs    500 commits\n";
    lines::process(said, &mut table);
    assert_eq!(table.value("process", "100 rules, the kernel alone p50"), Some(4.0));
    assert_eq!(table.json()[4]["floor"], 120_000.0);
}

#[test]
fn what_accounts_add_is_a_row_of_its_own() {
    let said =
        "a day and a month                            p50    9000 ns  p99   12000 ns  added   2500 ns\n";
    let table = read(lines::accounts, said);
    assert_eq!(table.value("accounts", "a day and a month, one decision p50"), Some(9.0));
    assert_eq!(table.value("accounts", "a day and a month, added"), Some(2.5));
}

#[test]
fn what_a_halt_takes_has_an_aim() {
    let said = "64 calls halted, last answer after it was asked for: p50  12500 µs   max  20000 µs   of 20\n\
        64 calls halted, an allow beside them, during the halt: p50   1500 µs   max   9000 µs   of 90\n";
    let table = read(lines::halts, said);
    let of = |what: &str| table.value("halts", &format!("64 calls halted, {what}"));
    assert_eq!(of("last answer after it was asked for, p50"), Some(12.5));
    assert_eq!(of("an allow beside them, during the halt, max"), Some(9.0));
    assert_eq!(
        (&table.json()[1]["aim"], &table.json()[2]["aim"]),
        (&"<= 100".into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_tenfold_number_is_shown_as_growth() {
    let said = "10000 open runs: 51200 KiB resident, 3000 bytes a run\n100000 open runs: 102400 KiB resident, 900 \
        bytes a run\n";
    let mut table = read(lines::runs, said);
    table.grow();
    assert_eq!(table.value("runs", "memory: 10000 open runs, then tenfold"), Some(2.0));
}

#[test]
fn a_section_that_is_not_there_is_refused_with_those_that_are() {
    let asked = Asked::read(&["--quick", "http", "size"]).unwrap();
    assert!(asked.quick && !asked.json && asked.names == ["http", "size"]);
    let refused = Asked::read(&["https"]).err().unwrap().to_string();
    assert!(
        refused.contains("`https`") && refused.contains("rules, log, process, accounts, plans, http, mcp"),
        "{refused}"
    );
}

#[test]
fn what_a_plan_adds_to_a_step_has_an_aim() {
    let said = "10 writes over SQLite, median of 50 rounds\n\
        a plan, as a chain: 20.50 ms, 42 commits with its proposal\n\
        added to a step of a chain: 0.75 ms\n";
    let table = read(lines::plans, said);
    assert_eq!(table.value("plans", "a plan, as a chain"), Some(20.5));
    assert_eq!(table.value("plans", "a plan, as a chain, commits"), Some(42.0));
    assert_eq!(table.value("plans", "added to a step of a chain"), Some(0.75));
    assert_eq!(table.json()[2]["aim"], "<= 1");
}
