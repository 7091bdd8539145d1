//! `cargo xtask peers`: the MCP servers and clients of others that tests talk to, installed into `target/peers`.
//!
//! Versions are pinned in `tests/peers`: `package.json` with its lock, and one `requirements` each. What is installed
//! already is left as it is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{process, repo};

/// Each in an environment of its own: their pins exclude each other.
const PYTHONS: [(&str, &str); 3] = [
    ("python", "requirements.txt"),
    ("python-old", "requirements-old.txt"),
    ("python-fastmcp", "requirements-fastmcp.txt"),
];

/// Tests fail rather than pass without their peers where this is set.
pub const REQUIRED: &str = "REMIT_PEERS";

pub fn run() -> Result<()> {
    let (from, to) = (repo::root().join("tests/peers"), repo::root().join("target/peers"));
    npm(&from, &to.join("node"))?;
    for (name, pins) in PYTHONS {
        python(&from.join(pins), &to.join(name))?;
    }
    Ok(())
}

/// An environment of its own for what one `requirements` pins.
pub fn python(pins: &Path, to: &Path) -> Result<()> {
    once(to, &[pins], |folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder);
        process::run(venv).context("Python 3.11 or newer with venv is needed")?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        pip.arg(pins);
        process::run(pip)
    })
}

/// What a `package.json` and its lock pin.
pub fn npm(from: &Path, to: &Path) -> Result<()> {
    once(to, &[&from.join("package.json"), &from.join("package-lock.json")], |folder| {
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(from.join(name), folder.join(name)).with_context(|| format!("copying {name}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        npm.current_dir(folder);
        process::run(npm).context("Node.js 20 or newer with npm is needed")
    })
}

/// Runs the work unless it was done for the same pins before; work that failed leaves no mark.
fn once(folder: &Path, pins: &[&Path], work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for pin in pins {
        let text = std::fs::read_to_string(pin).with_context(|| format!("reading {}", repo::shown(pin)))?;
        wanted.push_str(&text);
    }
    let mark = folder.join("installed");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        println!("{}: as pinned", repo::shown(folder));
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", repo::shown(folder)))?;
    work(folder)?;
    std::fs::write(&mark, wanted)?;
    println!("{}: installed", repo::shown(folder));
    Ok(())
}
