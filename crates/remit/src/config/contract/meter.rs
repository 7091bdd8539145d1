//! What a call costs, how it is known what it took, and what it does with less of when a budget is half spent.

use kernel::obligation::{self as law, Cap};
use kernel::price::{Failed, Meter, Told};
use serde_json::Value;

use super::destination::check_path;
use super::shape::{Cost, Effect, ToolEntry};
use crate::config::yaml::{At, Page, Place};

const CAPS_MAX: usize = 8;
const CLASS_BYTES_MAX: usize = 64;

impl ToolEntry {
    pub(super) fn cost_usd_nanos(&self, page: &mut Page<'_>) -> u64 {
        let usd = self.cost.as_ref().and_then(|cost| cost.usd.as_ref());
        usd.map_or(0, |usd| page.usd_nanos(usd))
    }

    pub(super) fn meter(&self, page: &mut Page<'_>) -> Meter {
        let Some(cost) = &self.cost else { return Meter::default() };
        let failed = cost.failed.as_ref().map(|failed| Failed {
            counts: failed.counts.unwrap_or(false),
            tokens: failed.tokens.unwrap_or(0),
            usd_nanos: failed.usd.as_ref().map_or(0, |usd| page.usd_nanos(usd)),
        });
        Meter {
            failed: failed.unwrap_or_default(),
            tokens_cached: cost.tokens_cached.unwrap_or(0),
            tokens_in: cost.tokens_in.unwrap_or(0),
            tokens_out: cost.tokens_out.unwrap_or(0),
            told: cost.told(page),
        }
    }

    pub(super) fn degrade(&self, page: &mut Page<'_>, input: &Value) -> law::Degrade {
        let Some(at) = &self.degrade else { return law::Degrade::default() };
        let degrade = &at.value;
        let mut wrong = |place: Place, words: &str, help: &str| {
            page.error("degrade", place, words).help(help);
        };
        if degrade.cap.is_empty() && degrade.model.is_none() && degrade.tool.is_none() {
            wrong(at.place, "`degrade` names nothing", "`cap: { args.limit: 20 }`, `tool` or `model`");
        }
        if self.effect != Effect::Read && (!degrade.cap.is_empty() || degrade.tool.is_some()) {
            let help = "what a write does is for its agent to say: write `model` alone, or a lower budget";
            wrong(at.place, "only what reads is changed behind its agent's back", help);
        }
        if degrade.cap.len() > CAPS_MAX {
            wrong(at.place, "these are too many caps", "eight are enough for any read");
        }
        let class = degrade.model.as_ref();
        if let Some(class) = class.filter(|at| at.value.is_empty() || at.value.len() > CLASS_BYTES_MAX) {
            wrong(class.place, "a class of models needs a short name", "such as `small`");
        }
        let caps = degrade.cap.iter().map(|(name, most)| cap(page, name, most, input)).collect();
        let tool = degrade.tool.as_ref().map(|at| at.value.clone());
        law::Degrade { caps, model: class.map(|at| at.value.clone()), tool }
    }
}

impl Cost {
    fn told(&self, page: &mut Page<'_>) -> Told {
        let Some(at) = &self.told else { return Told::default() };
        let kinds = [self.tokens, self.tokens_in, self.tokens_out, self.tokens_cached];
        if kinds.into_iter().flatten().sum::<u64>() == 0 {
            page.error("cost", at.place, "nothing is set aside for what its result tells")
                .help("write the most that one call takes: `tokens`, or `tokens_in` and `tokens_out`");
        }
        let mut path = |at: &Option<At<String>>| at.as_ref().map(|at| result_path(page, at));
        let told = &at.value;
        Told {
            tokens: path(&told.tokens),
            tokens_cached: path(&told.tokens_cached),
            tokens_in: path(&told.tokens_in),
            tokens_out: path(&told.tokens_out),
        }
    }
}

fn result_path(page: &mut Page<'_>, at: &At<String>) -> Vec<String> {
    let path = at.value.strip_prefix("result.").unwrap_or_default();
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        page.error("field", at.place, format!("`{}` names no place in a result", at.value))
            .help("begin with `result.`, such as `result.usage.input_tokens`");
    }
    path
}

/// `args.limit: 20`
fn cap(page: &mut Page<'_>, name: &str, most: &At<u64>, input: &Value) -> Cap {
    let path = name.strip_prefix("args.").unwrap_or_default();
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let place = page.key(name, most.place);
    if path.iter().any(String::is_empty) {
        page.error("argument", place, format!("`{name}` names no argument"))
            .help("begin with `args.`, such as `args.limit`");
    } else {
        let at = At { place, value: name.to_owned() };
        check_path(page, &at, &path, input);
        check_number(page, place, name, &path, most.value, input);
    }
    Cap { at: path, most: most.value }
}

/// What is put in must be what the schema takes.
fn check_number(page: &mut Page<'_>, place: Place, name: &str, path: &[String], most: u64, input: &Value) {
    let found = path.iter().try_fold(input, |schema, name| schema.get("properties")?.get(name));
    let Some(schema) = found else { return };
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("integer");
    if !["integer", "number"].contains(&kind) {
        page.error("degrade", place, format!("`{name}` is no number"))
            .help("name an argument that says how much");
    }
    let least = schema.get("minimum").and_then(Value::as_u64);
    if least.is_some_and(|least| least > most) {
        page.error("degrade", place, format!("its schema takes no `{name}` of {most}"))
            .help("write no less than the schema's `minimum`");
    }
}
