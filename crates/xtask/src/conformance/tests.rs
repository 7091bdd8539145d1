//! What is read from the command line, from the expectations and from the suite, without running anything.

use super::expected::{Expected, Row};
use super::suite::{self, Outcome};
use super::*;

fn row(scenario: &str, failures: &[&str]) -> Row {
    let failures = failures.iter().map(|said| (*said).to_owned()).collect();
    let outcome = Outcome { scenario: scenario.to_owned(), failures, warnings: Vec::new() };
    Row { era: ERAS[0], upstream: ERAS[1], outcome }
}

fn differences(expected: &str, rows: &[Row]) -> Vec<String> {
    Expected::parse(expected).unwrap().differences(rows, |_, _, _| true)
}

#[test]
fn what_came_as_expected_is_no_difference() {
    let expected = "# for people\n\n2025-11-25 2026-07-28 ping pass\n\
        2025-11-25 2026-07-28 tools-call-sampling cannot pass: nobody asks\n";
    let rows = [row("ping", &[]), row("tools-call-sampling", &["it did not ask"])];
    assert_eq!(differences(expected, &rows), Vec::<String>::new());
}

#[test]
fn each_way_to_differ_is_told() {
    let expected = "2025-11-25 2026-07-28 ping pass\n2025-11-25 2026-07-28 tools-list pass\n\
        2025-11-25 2026-07-28 tools-call-sampling cannot pass: nobody asks\n";
    let rows = [row("ping", &["no answer"]), row("tools-call-sampling", &[]), row("new", &[])];
    let told = [
        "2025-11-25 2026-07-28 ping: failed: no answer",
        "2025-11-25 2026-07-28 tools-call-sampling: passed, although it cannot: nobody asks",
        "2025-11-25 2026-07-28 new: is not in the file",
        "2025-11-25 2026-07-28 tools-list: was not run, or fails without Remit",
    ];
    assert_eq!(differences(expected, &rows), told);
}

#[test]
fn a_line_that_says_neither_is_refused() {
    for line in
        ["2025-11-25 2026-07-28 ping", "2024-11-05 2026-07-28 ping pass", "2025-11-25 2026-07-28 ping ok"]
    {
        assert!(Expected::parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_folder_of_results_is_named_after_its_scenario() {
    assert_eq!(suite::scenario("server-tools-list-2026-11-21T17-56-34-780Z"), Some("tools-list"));
    assert_eq!(suite::scenario("suite.log"), None);
}

#[test]
fn what_is_left_out_is_all_of_it() {
    assert_eq!(Asked::read(&[]).unwrap().pairs().len(), 4);
    let asked = Asked::read(&["--era", "2026-07-28", "--upstream", "other", "ping"]).unwrap();
    assert_eq!(asked.pairs(), [("2026-07-28", "2025-11-25")]);
    assert!(asked.wants("ping") && !asked.wants("tools-list"));
    assert!(Asked::read(&["--era", "2024-11-05"]).is_err());
}
