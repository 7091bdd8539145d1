//! All sources of rules to one checked set; every complaint is a `Problem` with a place.

use std::collections::BTreeMap;

use cedar_policy::{
    Policy, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};

use crate::catalog::{self, Catalog};
use crate::problem::{Place, Problem, span};
use crate::rule::{Rule, RuleRef, Source};
use crate::{FreeRules, May, Options, RuleSet, Severity, World, approvals, free, lint, manifest};

/// The built-in rule that keeps environments apart.
pub(crate) const ENV_RULE: &str = "remit.env";

/// A rule's words are cited in events, up to eight rules at a time, and an event holds 16 KiB.
const WORDS_CHARS_MAX: usize = 400;
/// The same for all that is kept of a cited rule, as JSON: its id and file beside the words.
const CITED_BYTES_MAX: usize = 1536;

const ENV_TEXT: &str = r#"@id("remit.env")
@reason("an agent acts in its own environment, and in those that its manifest lets it cross into")
forbid (principal, action, resource)
unless { context.env == principal.env || principal.crosses.contains(context.env) };
"#;

/// Check all rules against the world; `Err`, with the warnings too, if any problem is an error.
pub fn compile(
    world: &World,
    mays: &[May],
    free: &[FreeRules],
    options: &Options,
) -> Result<RuleSet, Vec<Problem>> {
    let mut problems = Vec::new();
    let catalog = Catalog::new(world, &mut problems);
    let schema_text = catalog.schema();
    let schema = match Schema::from_cedarschema_str(&schema_text) {
        Ok((schema, _)) => Some(schema),
        Err(error) => {
            problems.push(Problem::error("schema", &Place::default(), error.to_string()));
            None
        }
    };
    let rules = rules(&catalog, mays, free, options, &mut problems);
    refuse_same_ids(&rules, &mut problems);
    refuse_long(&rules, &mut problems);
    for rule in &rules {
        check_use(rule, &mut problems);
    }
    if let Some(schema) = schema {
        validate(schema, &catalog, &rules, &mut problems);
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    let set = RuleSet::new(catalog, rules, schema_text);
    lint::warn(&set, &mut problems);
    Ok(set.with_warnings(problems))
}

fn rules(
    catalog: &Catalog,
    mays: &[May],
    free: &[FreeRules],
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(mays.len() + 1);
    match env_rule() {
        Ok(rule) => rules.push(rule),
        Err(why) => problems.push(Problem::error("built-in", &Place::default(), why)),
    }
    for may in mays {
        if let Some(rule) = manifest::rule(rules.len(), may, catalog, problems) {
            rules.push(rule);
        }
    }
    for file in free {
        let found = free::rules(rules.len(), file, options, problems);
        rules.extend(found);
    }
    rules
}

fn env_rule() -> Result<Rule, String> {
    let policy = Policy::parse(None, ENV_TEXT).map_err(|error| error.to_string())?;
    let about = RuleRef {
        id: ENV_RULE.into(),
        file: "built in".into(),
        line: 1,
        words: policy.annotation("reason").unwrap_or_default().to_owned(),
        forbids: true,
    };
    Rule::new(0, policy, about, Source::House { text: ENV_TEXT.into() })
}

/// An id is what people cite and what the ledger keeps: it must mean one rule.
fn refuse_same_ids(rules: &[Rule], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in rules {
        if let Some(first) = seen.insert(&rule.about.id, rule) {
            let message = format!(
                "the id `{}` is taken by the rule at {}:{}",
                rule.about.id, first.about.file, first.about.line
            );
            problems.push(Problem::error("duplicate-id", &rule.place(), message));
        }
    }
}

fn refuse_long(rules: &[Rule], problems: &mut Vec<Problem>) {
    for rule in rules {
        let about = &rule.about;
        let chars = about.words.chars().count();
        let bytes = serde_json::to_vec(&**about).map_or(usize::MAX, |json| json.len());
        let message = if chars > WORDS_CHARS_MAX {
            format!(
                "the words of this rule are {chars} characters long, and at most {WORDS_CHARS_MAX} are kept"
            )
        } else if bytes > CITED_BYTES_MAX {
            format!(
                "this rule's id, file and words take {bytes} bytes, and at most {CITED_BYTES_MAX} are kept"
            )
        } else {
            continue;
        };
        let help = match rule.source {
            Source::Free { .. } => "give it a short `@id` and a short `@reason`",
            _ => "shorten `when` and `to`, or make several lines of it: each permits by itself",
        };
        problems.push(Problem::error("too-long", &rule.place(), message).help(help));
    }
}

/// What Cedar's validator cannot know: how approvals and lists of destinations may be used.
fn check_use(rule: &Rule, problems: &mut Vec<Problem>) {
    let clauses: Vec<_> = rule.clauses.iter().map(|clause| (clause.when, &clause.body)).collect();
    if let Err(why) = approvals::check(rule.about.forbids, &clauses) {
        problems.push(Problem::error("approvals-use", &rule.place(), why));
    }
    if rule.reads.loose_patterns || rule.reads.whole && rule.about.id != ENV_RULE {
        let (code, message) = if rule.reads.loose_patterns {
            (
                "destinations-use",
                "`destinations_within` holds only what rules name: use `.contains(\"list\")`",
            )
        } else {
            ("context-use", "read the context by its members (`context.args`), not as a whole")
        };
        problems.push(Problem::error(code, &rule.place(), message));
    }
}

/// Cedar checks every rule against every action of a schema. A rule about one tool is checked against a schema of
/// that tool alone, so that the cost is rules plus tools, and not their product.
fn validate(schema: Schema, catalog: &Catalog, rules: &[Rule], problems: &mut Vec<Problem>) {
    let mut alone: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    let mut others = Vec::new();
    for rule in rules {
        match rule.only_tool() {
            Some(tool) => alone.entry(tool).or_default().push(rule),
            None => others.push(rule),
        }
    }
    let mut found = Vec::new();
    check(&Validator::new(schema), rules, &others, &mut found);
    for (tool, about_it) in alone {
        let tool = catalog.tool_by_name.get(tool).and_then(|index| catalog.tools.get(*index));
        let schema = tool.map(|tool| Schema::from_cedarschema_str(&catalog::schema(&[tool])).ok());
        match schema {
            Some(Some((schema, _))) => check(&Validator::new(schema), rules, &about_it, &mut found),
            // INVARIANT: a rule that could not be validated never passes.
            _ => found.extend(about_it.iter().map(|rule| {
                (0, Problem::error("schema", &rule.place(), "its tool has no schema to check it against"))
            })),
        }
    }
    found.sort_by(|(a, left), (b, right)| {
        (a, left.line, left.column, &left.message).cmp(&(b, right.line, right.column, &right.message))
    });
    found.dedup();
    problems.extend(found.into_iter().map(|(_, problem)| problem));
}

fn check(validator: &Validator, rules: &[Rule], some: &[&Rule], found: &mut Vec<(usize, Problem)>) {
    let set = match PolicySet::from_policies(some.iter().map(|rule| rule.policy.clone())) {
        Ok(set) => set,
        Err(error) => {
            found.push((0, Problem::error("syntax", &Place::default(), error.to_string())));
            return;
        }
    };
    let result = validator.validate(&set, ValidationMode::Strict);
    let before = found.len();
    for error in result.validation_errors() {
        if let Some((index, rule)) = by_id(rules, error.policy_id()) {
            found.push((index, complaint(rule, error)));
        }
    }
    // INVARIANT: a failed validation never passes, even if its complaint named no rule of ours.
    if !result.validation_passed() && found.len() == before {
        found.push((0, Problem::error("validation", &Place::default(), result.to_string())));
    }
    for warning in result.validation_warnings() {
        if let Some((index, rule)) = by_id(rules, warning.policy_id())
            && let Some(problem) = remark(rule, warning)
        {
            found.push((index, problem));
        }
    }
}

fn by_id<'a>(rules: &'a [Rule], id: &cedar_policy::PolicyId) -> Option<(usize, &'a Rule)> {
    let index = AsRef::<str>::as_ref(id).parse().ok()?;
    Some((index, rules.get(index)?))
}

/// Cedar has no number with a fraction, and so no `<=` over one.
const DECIMALS: &str = "a `number` is a decimal here: compare it as `args.x.lessThanOrEqual(decimal(\"100.0\"))`, or \
                        with `lessThan`, `greaterThan`, `greaterThanOrEqual`; only an `integer` has `<=`";

fn complaint(rule: &Rule, error: &ValidationError) -> Problem {
    let place = rule.source.place(span(error));
    let message = plain(&error.to_string());
    let code = match error {
        ValidationError::UnsafeOptionalAttributeAccess(_) => "optional-argument",
        ValidationError::UnsafeAttributeAccess(_) => "unknown-attribute",
        ValidationError::UnrecognizedActionId(_) => "unknown-tool",
        ValidationError::UnrecognizedEntityType(_) => "unknown-type",
        ValidationError::UnexpectedType(_) | ValidationError::IncompatibleTypes(_) => "types",
        _ => "validation",
    };
    let told = miette::Diagnostic::help(error).map(|help| help.to_string());
    let help = told.or_else(|| (code == "types" && message.contains("decimal")).then(|| DECIMALS.to_owned()));
    let problem = Problem::error(code, &place, message);
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn remark(rule: &Rule, warning: &ValidationWarning) -> Option<Problem> {
    let place = rule.source.place(span(warning));
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => {
            let message = format!("`{}` can never match: its condition is always false", rule.about.id);
            Some(Problem::warning("never-matches", &place, message))
        }
        _ => Some(Problem::warning("look-again", &place, plain(&warning.to_string()))),
    }
}

/// Cedar begins with its own id of the policy, which says nothing to the reader.
fn plain(message: &str) -> String {
    match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, rest)) => rest.to_owned(),
        None => message.to_owned(),
    }
}
