//! Free rules: files of Cedar text beside the manifests, which may only forbid.

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::PolicySet;

use crate::problem::{Place, Problem, line_and_column, span};
use crate::rule::{Rule, RuleRef, Source, UNDO, forbids};
use crate::{FreeRules, Options};

/// The rules of one file in the order they are written, numbered from `first`.
pub(crate) fn rules(
    first: usize,
    file: &FreeRules,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let text: Arc<str> = Arc::from(file.text.as_str());
    let at = |start: usize, length: usize| {
        let (line, column) = line_and_column(&text, start);
        Place { file: file.file.clone(), line, column, length }
    };
    let set = match PolicySet::from_str(&file.text) {
        Ok(set) => set,
        Err(error) => {
            let (start, length) = span(&error).unwrap_or((0, 0));
            problems.push(Problem::error("syntax", &at(start, length), error.to_string()));
            return Vec::new();
        }
    };
    for template in set.templates() {
        let range = template.as_ref().loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
        let message = "a rule with a slot (`?principal`, `?resource`) says nothing by itself";
        problems.push(Problem::error("template", &at(range.0, range.1), message));
    }
    let mut found: Vec<_> = set
        .policies()
        .map(|policy| {
            let range = policy.as_ref().loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()));
            (range, policy.clone())
        })
        .collect();
    found.sort_by_key(|(range, _)| *range);
    let mut rules = Vec::with_capacity(found.len());
    for ((start, length), policy) in found {
        let forbids = forbids(&policy);
        // A rule begins at its annotations; people look for the line that says permit or forbid.
        let head = head(&text, start, length, forbids);
        let place = at(head, if forbids { "forbid".len() } else { "permit".len() });
        if !forbids && !options.allow_permits {
            let message = "a free rule may only forbid: what an agent may do belongs in its manifest";
            problems.push(
                Problem::error("free-permit", &place, message)
                    .help("move it to a manifest, or set `policies.allow_permits: true`"),
            );
            continue;
        }
        if policy.annotation("applies").is_some_and(|applies| applies != UNDO || !forbids) {
            let message = "`@applies` says that a rule that forbids binds what takes a deed back, too";
            problems.push(Problem::error("applies", &place, message).help("write `@applies(\"undo\")`"));
            continue;
        }
        let named = |name: &str| policy.annotation(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let line = text.lines().nth(place.line - 1).unwrap_or("").trim().to_owned();
        let about = RuleRef {
            id: named("id").unwrap_or_else(|| format!("{}:{}", file.file, place.line)),
            file: file.file.clone(),
            line: place.line,
            words: named("reason").unwrap_or(line),
            forbids,
        };
        let source = Source::Free { text: text.clone(), place: place.clone(), at: head };
        match Rule::new(first + rules.len(), policy, about, source) {
            Ok(rule) => rules.push(rule),
            Err(why) => problems.push(Problem::error("syntax", &place, why)),
        }
    }
    rules
}

/// Where the word `permit` or `forbid` stands, past annotations and comments.
fn head(text: &str, start: usize, length: usize, forbids: bool) -> usize {
    let word = if forbids { "forbid" } else { "permit" };
    let body = text.get(start..start + length).unwrap_or("");
    let mut at = start;
    for line in body.split_inclusive('\n') {
        let lead = line.len() - line.trim_start().len();
        if line.trim_start().starts_with(word) {
            return at + lead;
        }
        at += line.len();
    }
    body.find(word).map_or(start, |found| start + found)
}
