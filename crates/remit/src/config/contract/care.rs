//! How gently a tool is called, what is written into its arguments, and what must not pass.

use kernel::contract as law;
use serde_json::Value;

use super::destination::{check_path, check_pattern};
use super::shape::{Forbidden, Pattern, ToolEntry};
use crate::config::yaml::{At, Page};

const COUNT_MAX: u64 = 10_000;

impl Pattern {
    fn law(self) -> law::Pattern {
        match self {
            Pattern::Secrets => law::Pattern::Secrets,
            Pattern::Email => law::Pattern::Email,
            Pattern::CreditCard => law::Pattern::CreditCard,
            Pattern::Iban => law::Pattern::Iban,
            Pattern::Phone => law::Pattern::Phone,
        }
    }
}

fn count(value: u64) -> u32 {
    u32::try_from(value.min(COUNT_MAX)).unwrap_or(u32::MAX)
}

impl ToolEntry {
    pub(super) fn care(&self, page: &mut Page<'_>) -> law::Care {
        let default = law::Care::default();
        let concurrent = self.limits.as_ref().and_then(|limits| limits.concurrent.as_ref());
        let failures = self.care.as_ref().and_then(|care| care.failures_max.as_ref());
        let queue = self.care.as_ref().and_then(|care| care.queue);
        let retries = self.care.as_ref().and_then(|care| care.retries);
        let fallback = self.fallback(page);
        law::Care {
            fallback,
            concurrent: concurrent.map_or(default.concurrent, |at| count(page.at_least_one(at))),
            failures_max: failures.map_or(default.failures_max, |at| count(page.at_least_one(at))),
            queue: queue.map_or(default.queue, count),
            retries: retries.map_or(default.retries, |retries| count(retries.min(5))),
        }
    }

    fn fallback(&self, page: &mut Page<'_>) -> Option<law::Fallback> {
        let at = self.fallback.as_ref()?;
        match (&at.value.answer, &at.value.tool) {
            (Some(answer), None) => Some(law::Fallback::Answer(answer.clone())),
            (None, Some(tool)) => Some(law::Fallback::Tool(tool.clone())),
            _ => {
                page.error("fallback", at.place, "`fallback` is not exactly one thing")
                    .help("`{ tool: \"crm.search\" }` or `{ answer: { … } }`");
                None
            }
        }
    }

    pub(super) fn redact(&self, page: &mut Page<'_>) -> law::Redact {
        let Some(redact) = &self.redact else { return law::Redact::default() };
        law::Redact {
            arguments: redact.arguments.iter().map(|at| self.forbidden(page, at)).collect(),
            fields: redact.fields.iter().map(|at| field(page, at)).collect(),
            results: redact.results.iter().map(|pattern| pattern.law()).collect(),
        }
    }

    fn forbidden(&self, page: &mut Page<'_>, at: &At<Forbidden>) -> law::Forbidden {
        let elsewhere = match &at.value {
            Forbidden::Everywhere(pattern) => {
                return law::Forbidden { pattern: pattern.law(), unless_to: Vec::new() };
            }
            Forbidden::Elsewhere(elsewhere) => elsewhere,
        };
        if self.destinations.is_empty() {
            page.error("destination", at.place, "`unless_to` has no destination to look at").help(
                "add `destinations` to the tool, so that Remit knows which argument says where it goes",
            );
        }
        for pattern in &elsewhere.unless_to {
            check_pattern(page, pattern, at.place);
        }
        law::Forbidden { pattern: elsewhere.pattern.law(), unless_to: elsewhere.unless_to.clone() }
    }

    pub(super) fn stamp(&self, page: &mut Page<'_>, input: &Value) -> Option<Vec<String>> {
        let at = &self.stamp.as_ref()?.field;
        Some(argument(page, at, input))
    }

    pub(super) fn idempotency_field(&self, page: &mut Page<'_>, input: &Value) -> Option<String> {
        let at = self.idempotency.as_ref()?.field.as_ref()?;
        argument(page, at, input);
        Some(at.value.clone())
    }
}

fn field(page: &mut Page<'_>, at: &At<String>) -> Vec<String> {
    let path: Vec<String> = at.value.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        page.error("field", at.place, format!("`{}` names no field of a result", at.value))
            .help("the names on the way to it with dots between them, such as `customer.email`");
    }
    path
}

/// The path of an argument that Remit itself writes, which the schema must know.
fn argument(page: &mut Page<'_>, at: &At<String>, input: &Value) -> Vec<String> {
    let path: Vec<String> = at.value.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        page.error("argument", at.place, format!("`{}` names no argument", at.value))
            .help("the names on the way to it with dots between them, such as `metadata.remit_run`");
    } else {
        check_path(page, at, &path, input);
    }
    path
}
