//! Help of every command, and the reference page that is made of it.

use std::process::{Command, Stdio};

use expect_test::expect_file;

use crate::install::{BINARY, Said};

fn remit(args: &[&str]) -> Said {
    let mut command = Command::new(BINARY);
    command.args(args).env_remove("REMIT_CONFIG").env_remove("REMIT_DATA").env_remove("REMIT_URL");
    Said::of(&command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn the_reference_page_is_the_help_itself() {
    let page = remit(&["help-markdown"]).ok().out;
    expect_file!["../../../../docs/reference/cli.md"].assert_eq(&page);
}

#[test]
fn every_command_has_help_worth_reading() {
    let page = remit(&["help-markdown"]).ok().out;
    let commands: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## `remit")?.strip_suffix('`')).collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = remit(&args).ok().out;
        let first = help.lines().next().unwrap_or_default();
        assert!(
            first.len() > 10 && !first.starts_with("Usage"),
            "`remit{command} --help` says nothing:\n{help}"
        );
        assert!(help.contains("Usage: remit"), "{help}");
    }
}

#[test]
fn a_wrong_command_line_exits_2_and_says_what_was_meant() {
    let said = remit(&["servee"]);
    assert_eq!(said.code, Some(2));
    said.holds(&["serve"]);
}
