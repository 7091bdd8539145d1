//! The command line as Markdown, from the same definitions that print its help.

use clap::CommandFactory;

pub(super) fn reference() -> String {
    let mut text = String::from("# Command line\n\nGenerated from the commands themselves.\n");
    let mut root = crate::cli::Cli::command().term_width(100);
    root.build();
    section(&mut root, "remit", &mut text);
    text
}

fn section(command: &mut clap::Command, name: &str, text: &mut String) {
    let help = command.clone().render_long_help().to_string();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", trimmed(&help)));
    let children: Vec<String> = command
        .get_subcommands()
        .filter(|child| !child.is_hide_set() && child.get_name() != "help")
        .map(|child| child.get_name().to_owned())
        .collect();
    for child in children {
        if let Some(found) = command.find_subcommand_mut(&child) {
            section(found, &format!("{name} {child}"), text);
        }
    }
}

/// Without spaces at the ends of lines, which editors remove.
fn trimmed(help: &str) -> String {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}
