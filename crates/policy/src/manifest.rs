//! The entries of a manifest, each as one permit.

use std::str::FromStr;

use cedar_policy::{Expression, Policy};
use stdx::{glob, nearest};

use crate::May;
use crate::catalog::Catalog;
use crate::problem::{Place, Problem, span};
use crate::rule::{Rule, RuleRef, Source, when_span};
use crate::shape::quoted;
use crate::when::{When, rewrite};

/// The list as it stands in `destinations_within`; both sides of that set must write it alike.
pub(crate) fn pattern_list(to: &[String]) -> String {
    to.join(", ")
}

/// The permit of one entry; `None` if it was refused or covers nothing.
pub(crate) fn rule(index: usize, may: &May, catalog: &Catalog, problems: &mut Vec<Problem>) -> Option<Rule> {
    let entry = Place::of(&may.origin);
    if !catalog.agent_by_name.contains_key(&may.agent) {
        let names = catalog.agent_by_name.keys().map(String::as_str);
        problems.push(unknown("unknown-agent", "agent", &may.agent, names, &entry));
        return None;
    }
    let action = action(may, catalog, &entry, problems)?;
    let when_place = may.when_origin.as_ref().map_or_else(|| entry.clone(), Place::of);
    let when = match &may.when {
        Some(text) => Some(expression(text, &when_place, problems)?),
        None => None,
    };
    let head = format!(
        "@id({})\npermit (principal == Remit::Agent::{}, {action}, resource)",
        quoted(&may.id),
        quoted(&may.agent)
    );
    let (text, when_at) = text(&head, may, when.as_ref());
    let policy = match Policy::parse(None, &text) {
        Ok(policy) => policy,
        Err(error) => {
            problems.push(Problem::error("syntax", &when_place, error.to_string()));
            return None;
        }
    };
    let about = RuleRef {
        id: may.id.clone(),
        file: may.origin.file.clone(),
        line: may.origin.line,
        words: words(may),
        forbids: false,
    };
    let (to, ask) = (may.to.clone(), may.ask.clone());
    let source = Source::Manifest { text, when_at, when, when_place, entry: entry.clone(), to, ask };
    Rule::new(index, policy, about, source)
        .map_err(|why| problems.push(Problem::error("syntax", &entry, why)))
        .ok()
}

fn text(head: &str, may: &May, when: Option<&When>) -> (String, usize) {
    let mut text = head.to_owned();
    let mut when_at = 0;
    if let Some(when) = when {
        text.push_str("\nwhen {\n");
        when_at = text.len();
        // The newline ends a comment that the expression may end in.
        text.push_str(&when.cedar);
        text.push_str("\n}");
    }
    if !may.to.is_empty() {
        let list = quoted(&pattern_list(&may.to));
        text.push_str(&format!("\nwhen {{ context.destinations_within.contains({list}) }}"));
    }
    // Approval stands last: see the law in `approvals`.
    if let Some(group) = &may.ask {
        text.push_str(&format!("\nwhen {{ context.approvals.contains({}) }}", quoted(group)));
    }
    text.push_str(";\n");
    (text, when_at)
}

fn words(may: &May) -> String {
    let mut words = Vec::new();
    words.extend(may.when.as_ref().map(|when| when.trim().to_owned()));
    if !may.to.is_empty() {
        words.push(format!("to {}", pattern_list(&may.to)));
    }
    words.extend(may.ask.as_ref().map(|group| format!("approved by {group}")));
    if words.is_empty() { format!("may use {}", may.tool) } else { words.join("; ") }
}

/// Nothing but one expression passes, so that no text can close the braces and begin another policy.
fn expression(text: &str, place: &Place, problems: &mut Vec<Problem>) -> Option<When> {
    let when = rewrite(text);
    match Expression::from_str(&when.cedar) {
        Ok(_) => Some(when),
        Err(error) => {
            let (start, length) = span(&error).unwrap_or((0, when.cedar.len()));
            let place = when_span(&when, place, start, length);
            problems.push(
                Problem::error("syntax", &place, format!("this `when` is not one expression: {error}"))
                    .help("write one condition, such as `args.amount_cents <= 5000`"),
            );
            None
        }
    }
}

fn action(may: &May, catalog: &Catalog, entry: &Place, problems: &mut Vec<Problem>) -> Option<String> {
    if !may.tool.contains('*') {
        if catalog.tool_by_name.contains_key(&may.tool) {
            return Some(format!("action == Remit::Action::{}", quoted(&may.tool)));
        }
        let names = catalog.tool_by_name.keys().map(String::as_str);
        problems.push(unknown("unknown-tool", "tool", &may.tool, names, entry));
        return None;
    }
    if may.tool == "*" {
        return Some("action".into());
    }
    let matched: Vec<_> =
        catalog.tools.iter().filter(|tool| glob::matches(&may.tool, &tool.decl.name)).collect();
    if matched.is_empty() {
        let message = format!("`{}` matches no known tool, so this entry permits nothing", may.tool);
        problems.push(Problem::warning("never-matches", entry, message));
        return None;
    }
    // The group of a server says the same in fewer words than the list of its tools.
    if let Some(server) = may.tool.strip_suffix(".*")
        && matched.iter().all(|tool| tool.decl.server == server)
        && catalog.tools.iter().filter(|tool| tool.decl.server == server).count() == matched.len()
    {
        return Some(format!("action in Remit::Action::{}", quoted(&may.tool)));
    }
    let names: Vec<String> =
        matched.iter().map(|tool| format!("Remit::Action::{}", quoted(&tool.decl.name))).collect();
    Some(format!("action in [{}]", names.join(", ")))
}

fn unknown<'a>(
    code: &'static str,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    place: &Place,
) -> Problem {
    let place = Place { length: name.len(), ..place.clone() };
    let problem = Problem::error(code, &place, format!("there is no {kind} `{name}`"));
    match nearest::nearest(name, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}
