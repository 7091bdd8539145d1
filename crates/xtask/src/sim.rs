//! `cargo xtask sim`: many seeded worlds through the real law, optimised. A seed that fails is printed.
//! With `--saga` plans instead: every shape, every fault at every step, a death at every append.

use anyhow::Result;

use crate::process::{self, cargo};

pub fn run(words: &[&str]) -> Result<()> {
    let (example, words) = match words.split_first() {
        Some((&"--saga", rest)) => ("sagas", rest),
        _ => ("campaign", words),
    };
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "sim", "--example", example, "--"]);
    command.args(words);
    process::run(command)
}
