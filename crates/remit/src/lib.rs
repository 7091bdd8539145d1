//! The binary's inside: configuration, `serve`, the command line, the demo. It parses, builds, runs, and nothing else.
//!
//! Everything is reached through `main`. The other functions read texts from outside without starting anything; the
//! fuzz targets call them, so that they meet the very readers that the commands use.
#![allow(
    unreachable_pub,
    reason = "only what this file names is public; `pub(crate)` elsewhere says the rest"
)]

mod accept;
mod callback;
mod change;
mod cli;
mod cmd;
mod compose;
mod config;
mod demo;
mod out;
mod private;
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use kernel::rules::Rules;

pub use cmd::read_policy_tests;

pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == tools::mcp::keep::WORD) {
        return tools::mcp::keep::run(words);
    }
    let cli = cli::Cli::parse();
    // INVARIANT: nothing has chosen a crypto provider before; a second choice would be the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cmd::run(cli) {
        Ok(code) => code,
        Err(error) => {
            out::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// What `remit check` does, over named texts of which the first is `remit.yaml`; the problems come as they are shown.
pub fn check_texts(files: &[(&str, &str)]) -> Result<Arc<Rules>, String> {
    let compiled = config::load_embedded(files, Path::new("data")).and_then(compose::compile);
    compiled.map(|(rules, _, _)| rules).map_err(|problems| problems.render(false))
}
