//! `cargo xtask console`: the console in a real browser, against the real binary.
//!
//! Playwright and axe are pinned in `tests/console` and installed into `target/console`; the browser is the system's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{peers, process, repo};

/// Where browsers are, by the names that systems give them.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/// Another browser of Chromium's kind.
const BROWSER: &str = "REMIT_CHROMIUM";

/// Which part of it.
#[derive(Debug, PartialEq)]
pub enum Asked {
    All,
    /// The tests whose name holds this.
    Named(String),
    /// How soon something is seen, with so many runs in the store, by a build for speed or not.
    Paint {
        runs: String,
        is_release: bool,
    },
}

impl Asked {
    pub fn read(words: &[&str]) -> Result<Asked> {
        Ok(match words {
            [] => Asked::All,
            ["--paint", rest @ ..] => Asked::paint(rest)?,
            [name] if !name.starts_with('-') => Asked::Named((*name).to_owned()),
            _ => bail!("`console` does not take `{}`", words.join(" ")),
        })
    }

    fn paint(words: &[&str]) -> Result<Asked> {
        let mut asked = ("100000".to_owned(), false);
        for word in words {
            match *word {
                "--release" => asked.1 = true,
                runs if runs.parse::<u32>().is_ok() => asked.0 = runs.to_owned(),
                other => bail!("`console --paint` takes a number of runs and `--release`, not `{other}`"),
            }
        }
        Ok(Asked::Paint { runs: asked.0, is_release: asked.1 })
    }
}

pub fn run(asked: &Asked) -> Result<()> {
    let (from, to) = (repo::root().join("tests/console"), repo::root().join("target/console"));
    peers::npm(&from, &to.join("node"))?;
    let browser = browser()?;
    let is_release = matches!(asked, Asked::Paint { is_release: true, .. });
    let (profile, folder) = if is_release { ("release", "release") } else { ("dev", "debug") };
    process::run(process::cargo(&["build", "--package", "remit", "--profile", profile]))?;
    let mut node = Command::new("node");
    let tests = ["--test", "--test-reporter=spec", "--test-timeout=900000"];
    match asked {
        Asked::Paint { runs, .. } => node.arg(from.join("paint.mjs")).arg(runs),
        Asked::Named(name) => {
            node.args(tests).arg(format!("--test-name-pattern={name}")).arg(from.join("console.test.mjs"))
        }
        Asked::All => node.args(tests).arg(from.join("console.test.mjs")),
    };
    node.current_dir(repo::root());
    node.env("REMIT_BIN", repo::root().join("target").join(folder).join("remit"));
    node.env("REMIT_CONSOLE_NODE", to.join("node")).env("REMIT_CONSOLE_SHOTS", to.join("shots"));
    node.env(BROWSER, browser);
    // What is set for the person who runs this is no part of the test.
    for inherited in ["REMIT_CONFIG", "REMIT_DATA", "REMIT_URL", "REMIT_OPERATOR_KEY"] {
        node.env_remove(inherited);
    }
    process::run(node)
}

/// The browser that is there, or Debian's, once it is installed.
fn browser() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BROWSER) {
        return Ok(named.into());
    }
    if let Some(found) = found() {
        return Ok(found);
    }
    println!("Chromium is missing: installing Debian's (once; a minute)");
    for words in
        [&["update", "--quiet"][..], &["install", "--yes", "--no-install-recommends", "chromium"][..]]
    {
        let mut apt = Command::new("apt-get");
        apt.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        process::run(apt)
            .with_context(|| format!("install Chromium yourself, or name a browser in {BROWSER}"))?;
    }
    let Some(found) = found() else { bail!("apt-get has installed no browser that is known here") };
    Ok(found)
}

fn found() -> Option<PathBuf> {
    BROWSERS.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned)
}
