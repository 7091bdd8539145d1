//! What must come of each scenario, and how what came differs from it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::ERAS;
use super::suite::Outcome;

pub const FILE: &str = "tests/conformance/expected.txt";
const PASS: &str = "pass";
const CANNOT: &str = "cannot pass: ";

pub struct Row {
    pub era: &'static str,
    pub upstream: &'static str,
    pub outcome: Outcome,
}

type Key = (String, String, String);

/// By the client's era, the upstream's era and the scenario: why it cannot pass, if it cannot.
pub struct Expected(BTreeMap<Key, Option<String>>);

impl Expected {
    pub fn read(path: &Path) -> Result<Expected> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {FILE}"))?;
        Expected::parse(&text)
    }

    /// Lines of `ERA UPSTREAM SCENARIO pass` or `… cannot pass: WHY`; those that begin with `#` are for people.
    pub fn parse(text: &str) -> Result<Expected> {
        let mut all = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let read = parse_line(line).with_context(|| {
                format!("{FILE}:{}: want `ERA UPSTREAM SCENARIO pass` or `… cannot pass: WHY`", number + 1)
            })?;
            all.insert(read.0, read.1);
        }
        Ok(Expected(all))
    }

    /// In words, for those rows that were asked for.
    pub fn differences(&self, rows: &[Row], asked: impl Fn(&str, &str, &str) -> bool) -> Vec<String> {
        let mut differences = Vec::new();
        for row in rows {
            let outcome = &row.outcome;
            let failed = outcome.failures.first();
            let what = match (self.of(row), failed) {
                (Some(None), None) | (Some(Some(_)), Some(_)) => continue,
                (Some(None), Some(failure)) => format!("failed: {failure}"),
                (Some(Some(why)), None) => format!("passed, although it cannot: {why}"),
                (None, _) => "is not in the file".to_owned(),
            };
            differences.push(format!("{} {} {}: {what}", row.era, row.upstream, outcome.scenario));
        }
        let ran = |(era, upstream, scenario): &Key| {
            rows.iter()
                .any(|row| row.era == era && row.upstream == upstream && row.outcome.scenario == *scenario)
        };
        for key @ (era, upstream, scenario) in self.0.keys() {
            if asked(era, upstream, scenario) && !ran(key) {
                differences.push(format!("{era} {upstream} {scenario}: was not run, or fails without Remit"));
            }
        }
        differences
    }

    /// One line a scenario that did not simply pass, then the sums.
    pub fn table(&self, rows: &[Row]) -> String {
        let mut text = String::new();
        for row in rows {
            let outcome = &row.outcome;
            let why = self.of(row).and_then(Option::as_deref).map(|why| format!("  [{why}]"));
            let said =
                outcome.failures.iter().map(|said| format!("FAIL {said}{}", why.as_deref().unwrap_or("")));
            for said in said.chain(outcome.warnings.iter().map(|said| format!("warn {said}"))) {
                text += &format!("{}  {}  {:<44} {said}\n", row.era, row.upstream, outcome.scenario);
            }
        }
        text += "client      upstream    passed\n";
        for (era, upstream) in ERAS.into_iter().flat_map(|era| ERAS.map(|upstream| (era, upstream))) {
            let mine = rows.iter().filter(|row| row.era == era && row.upstream == upstream);
            let (all, passed) = mine.fold((0, 0), |(all, passed), row| {
                (all + 1, passed + usize::from(row.outcome.failures.is_empty()))
            });
            if all > 0 {
                text += &format!("{era}  {upstream}  {passed} of {all}\n");
            }
        }
        text
    }

    fn of(&self, row: &Row) -> Option<&Option<String>> {
        self.0.get(&(row.era.to_owned(), row.upstream.to_owned(), row.outcome.scenario.clone()))
    }
}

fn parse_line(line: &str) -> Option<(Key, Option<String>)> {
    let mut words = line.splitn(4, ' ');
    let (era, upstream, scenario) = (words.next()?, words.next()?, words.next()?);
    let result = match words.next()? {
        PASS => None,
        other => Some(other.strip_prefix(CANNOT)?.to_owned()),
    };
    (ERAS.contains(&era) && ERAS.contains(&upstream))
        .then(|| ((era.to_owned(), upstream.to_owned(), scenario.to_owned()), result))
}
