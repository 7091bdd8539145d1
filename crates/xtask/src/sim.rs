//! `cargo xtask sim`: many seeded worlds through the real law, optimised. A seed that fails is printed.

use anyhow::Result;

use crate::process::{self, cargo};

pub fn run(words: &[&str]) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "sim", "--example", "campaign", "--"]);
    command.args(words);
    process::run(command)
}
