//! `cargo xtask dist`: the binary as it is shipped, and how big it is.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::process::{self, cargo};
use crate::tidy::metadata;

const MIB: u64 = 1 << 20;
/// The aim, not a limit.
const AIM_MIB: u64 = 40;

pub fn run() -> Result<()> {
    process::run(cargo(&["build", "--release", "--locked", "-p", "remit"]))?;
    let target = metadata()?;
    let target =
        target.get("target_directory").and_then(|path| path.as_str()).context("no target directory")?;
    let binary = PathBuf::from(target).join("release").join("remit");
    let bytes = std::fs::metadata(&binary).with_context(|| format!("looking at {}", binary.display()))?.len();
    println!("{}", binary.display());
    println!("{}.{} MiB stripped (aim: {AIM_MIB} MiB or less)", bytes / MIB, bytes % MIB * 10 / MIB);
    Ok(())
}
