//! `cargo xtask conformance`: the official MCP conformance suite against Remit, in front of a server that passes it.
//!
//! The suite, the SDK of the fixture server and the Node.js that both need are pinned in `tests/conformance`. Each of
//! the suite's revisions is run thrice: against the fixture itself, and through Remit with an upstream of the same
//! and of the other era. What came of it is compared with `tests/conformance/expected.txt`.

mod expected;
mod stage;
mod suite;

use anyhow::{Result, bail, ensure};

use crate::{process, repo};
use expected::{Expected, Row};
use suite::Outcome;

pub const ERAS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// What was asked for on the command line; what is left out is all of it.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    era: Option<&'static str>,
    /// Whether the upstream is of the client's era.
    is_same: Option<bool>,
    scenarios: Vec<String>,
}

impl Asked {
    pub fn read(words: &[&str]) -> Result<Asked> {
        let mut asked = Asked::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--era" => {
                    let era = words.next().and_then(|era| ERAS.into_iter().find(|known| known == era));
                    ensure!(era.is_some(), "--era takes {}", ERAS.join(" or "));
                    asked.era = era;
                }
                "--upstream" => {
                    asked.is_same = match words.next() {
                        Some(&"same") => Some(true),
                        Some(&"other") => Some(false),
                        _ => bail!("--upstream takes same or other"),
                    };
                }
                word if word.starts_with('-') => bail!("`conformance` does not take `{word}`"),
                scenario => asked.scenarios.push(scenario.to_owned()),
            }
        }
        Ok(asked)
    }

    /// The pairs of client's era and upstream's era.
    fn pairs(&self) -> Vec<(&'static str, &'static str)> {
        let all = ERAS.into_iter().flat_map(|era| ERAS.map(|upstream| (era, upstream)));
        let wanted = |(era, upstream): &(&str, &str)| {
            self.era.is_none_or(|wanted| wanted == *era)
                && self.is_same.is_none_or(|is_same| is_same == (era == upstream))
        };
        all.filter(wanted).collect()
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|wanted| wanted == scenario)
    }
}

pub fn run(asked: &Asked) -> Result<()> {
    stage::install()?;
    process::run(process::cargo(&["build", "--quiet", "-p", "remit"]))?;
    let expected = Expected::read(&repo::root().join(expected::FILE))?;
    let (mut rows, mut direct) = (Vec::new(), Vec::new());
    for era in ERAS.into_iter().filter(|era| asked.pairs().iter().any(|(client, _)| client == era)) {
        eprintln!("{era}: the fixture itself");
        let fixture = stage::Fixture::start(era)?;
        direct.push((era, suite::run(era, &fixture.url, "direct")?));
    }
    for (era, upstream) in asked.pairs() {
        eprintln!("{era}: through Remit, upstream {upstream}");
        let through = stage::Through::start(upstream)?;
        let outcomes = suite::run(era, &through.url, &format!("upstream-{upstream}"))?;
        let own = direct.iter().find(|(of, _)| *of == era).map(|(_, outcomes)| outcomes.as_slice());
        for outcome in outcomes.into_iter().filter(|outcome| asked.wants(&outcome.scenario)) {
            // What the fixture cannot do says nothing of Remit, unless Remit does it.
            if outcome.failures.is_empty() || own.is_some_and(|own| passes(own, &outcome.scenario)) {
                rows.push(Row { era, upstream, outcome });
            }
        }
    }
    let unknown = asked.scenarios.iter().find(|it| rows.iter().all(|row| row.outcome.scenario != **it));
    if let Some(unknown) = unknown {
        bail!("no scenario `{unknown}` came to anything here; {} lists them", expected::FILE);
    }
    let differences = expected.differences(&rows, |era, upstream, scenario| {
        asked.pairs().contains(&(era, upstream)) && asked.wants(scenario)
    });
    print!("{}", expected.table(&rows));
    ensure!(differences.is_empty(), "not as {} says:\n  {}", expected::FILE, differences.join("\n  "));
    Ok(())
}

fn passes(outcomes: &[Outcome], scenario: &str) -> bool {
    outcomes.iter().any(|outcome| outcome.scenario == scenario && outcome.failures.is_empty())
}

#[cfg(test)]
mod tests;
