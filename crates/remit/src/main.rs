//! The binary: `remit serve` and the command line. It parses, builds, runs, and nothing else.
#![allow(unreachable_pub, reason = "a binary has no public face; `pub(crate)` everywhere would say nothing")]

mod cli;
mod cmd;
mod compose;
mod config;
mod demo;
mod out;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
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
