//! What a contract says of a call as a step of a plan, checked: an undo that cannot work is found here, not at night.

use std::collections::BTreeMap;

use kernel::condition::Condition;
use kernel::contract::Contract;
use kernel::{deed, template};
use serde_json::{Map, Value};
use stdx::nearest::nearest;

use super::destination::{missing, missing_value};
use super::shape::{Effect, ToolEntry};
use super::undo::{Companion, Expect, Preview, RETRIES, Restore, Undo, UndoBy, Version};
use crate::config::yaml::{At, Page, Place};

const DELAY_MS_MAX: u64 = 86_400_000;
const WITHIN_MS_MAX: u64 = 90 * 86_400_000;
const RETRIES_MAX: u64 = 10;
const TOUCHES_MAX: usize = 16;
/// What a template may begin with, somewhere.
const ROOTS: [&str; 4] = ["args", "before", "deed", "result"];

/// What a companion's tool must do to the world.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Write,
}

/// A tool that a contract names, and where that is written.
pub(in crate::config) struct Partner {
    key: &'static str,
    place: Place,
    of: String,
    tool: String,
    args: At<Map<String, Value>>,
    does: Does,
}

/// The arguments that a contract is about, while its deed is read.
struct Reading<'p, 't> {
    page: &'p mut Page<'t>,
    input: &'p Value,
}

impl ToolEntry {
    pub(super) fn deed(&self, page: &mut Page<'_>, input: &Value) -> deed::Deed {
        self.check_effect(page);
        let delay_ms = self.delay.as_ref().map(|at| page.duration_ms(at, 1, DELAY_MS_MAX));
        if let Some(at) = self.touches.get(TOUCHES_MAX) {
            page.error("touches", at.place, "it touches more than can be claimed")
                .help(format!("at most {TOUCHES_MAX}"));
        }
        let mut reading = Reading { page, input };
        let touches = self.touches.iter().map(|at| reading.text(at, &["args"])).collect();
        deed::Deed {
            delay_ms,
            expect: self.expect.as_ref().map(|expect| reading.expect(expect, &["args", "deed"])),
            becomes: self.preview.as_ref().and_then(|read| reading.becomes(read)),
            preview: self.preview.as_ref().map(|read| reading.preview(read)),
            probe: self.probe.as_ref().map(|probe| reading.expect(probe, &["args"])),
            touches,
            undo: self.undo.as_ref().and_then(|undo| reading.undo(undo)),
            version: self.version.as_ref().map(|version| reading.version(version)),
        }
    }

    fn has_undo(&self) -> bool {
        matches!(&self.undo, Some(At { value: Undo::By(_), .. }))
    }

    /// What it says of taking back agrees with what it says it does.
    fn check_effect(&self, page: &mut Page<'_>) {
        let place = |at: Option<Place>, key: &'static str| at.map(|place| (place, key));
        let first = place(self.undo.as_ref().map(|at| at.place), "undo")
            .or(place(self.expect.as_ref().map(|it| it.tool.place), "expect"))
            .or(place(self.probe.as_ref().map(|it| it.tool.place), "probe"))
            .or(place(self.preview.as_ref().map(|it| it.tool.place), "preview"))
            .or(place(self.version.as_ref().map(|it| it.tool.place), "version"))
            .or(place(self.touches.first().map(|at| at.place), "touches"))
            .or(place(self.delay.as_ref().map(|at| at.place), "delay"));
        match (self.effect, first) {
            (Effect::Read, Some((place, key))) => {
                page.error("deed", place, format!("`{key}` belongs to a tool that writes"))
                    .help("take it away: a read changes nothing, and nothing of it is taken back");
            }
            (Effect::Irreversible, _) if self.has_undo() => {
                let place = self.undo.as_ref().map(|at| at.place).unwrap_or_default();
                page.error("undo", place, "a tool that cannot be taken back has no undo")
                    .help("write `effect: reversible`, or `undo: none`");
            }
            (Effect::Reversible, _) if self.has_undo() => {
                if let Some(at) = &self.delay {
                    page.error("delay", at.place, "only what cannot be taken back waits").help(
                        "take `delay` away: a step that has an undo goes at once, and is taken back if need be",
                    );
                }
            }
            _ => {}
        }
    }

    /// What is said to be reversible and names no way back is taken for irreversible; that may be a surprise.
    pub(super) fn check_way_back(&self, page: &mut Page<'_>, tool: &str, place: Place) {
        if self.effect == Effect::Reversible && self.undo.is_none() {
            page.warning("undo", place, format!("`{tool}` is `reversible` and names no `undo`")).help(
                "in a plan it counts as irreversible: name the tool that takes it back, or say `undo: none`",
            );
        }
    }

    /// The tools that its deed names, to be looked at once all contracts are read.
    pub(super) fn partners(&self, of: &str) -> Vec<Partner> {
        let mut all = Vec::new();
        let mut add = |key, tool: &At<String>, args: &At<Map<String, Value>>, does| {
            let (of, place, tool) = (of.to_owned(), tool.place, tool.value.clone());
            all.push(Partner { key, place, of, tool, args: args.clone(), does });
        };
        let reads = [("expect", &self.expect), ("probe", &self.probe)];
        for (key, read) in reads.into_iter().filter_map(|(key, read)| Some((key, read.as_ref()?))) {
            add(key, &read.tool, &read.args, Does::Read);
        }
        if let Some(read) = &self.preview {
            add("preview", &read.tool, &read.args, Does::Read);
        }
        if let Some(read) = &self.version {
            add("version", &read.tool, &read.args, Does::Read);
        }
        if let Some(At { value: Undo::By(by), .. }) = &self.undo {
            if let Some(tool) = &by.tool {
                let none = At { value: Map::new(), place: tool.place };
                add("undo", tool, by.args.as_ref().unwrap_or(&none), Does::Write);
            }
            if let Some(Restore { read, write }) = &by.restore {
                add("restore", &read.tool, &read.args, Does::Read);
                add("restore", &write.tool, &write.args, Does::Write);
            }
        }
        all
    }
}

impl Reading<'_, '_> {
    fn companion(&mut self, read: &Companion, roots: &[&str]) -> deed::Companion {
        deed::Companion { args: self.args(&read.args, read.tool.place, roots), tool: read.tool.value.clone() }
    }

    fn preview(&mut self, read: &Preview) -> deed::Companion {
        deed::Companion {
            args: self.args(&read.args, read.tool.place, &["args"]),
            tool: read.tool.value.clone(),
        }
    }

    fn becomes(&mut self, read: &Preview) -> Option<Value> {
        read.becomes.as_ref().map(|becomes| self.args(becomes, read.tool.place, &["args"]))
    }

    fn expect(&mut self, expect: &Expect, roots: &[&str]) -> deed::Expect {
        let args = self.args(&expect.args, expect.tool.place, roots);
        self.condition(&expect.that, roots);
        deed::Expect { args, that: expect.that.value.clone(), tool: expect.tool.value.clone() }
    }

    fn condition(&mut self, that: &At<String>, roots: &[&str]) {
        if let Err(wrong) = Condition::parse(&that.value) {
            self.page.error("condition", that.place, format!("this is no condition: {wrong}")).help(
                "comparisons with `and` between them, such as `result.status == \"paid\" and result.cents >= \
                 args.cents`",
            );
            return;
        }
        let known: Vec<&str> = roots.iter().copied().chain(["result"]).collect();
        for path in paths_compared(&that.value) {
            self.path(&path, that.place, &known);
        }
    }

    fn version(&mut self, version: &Version) -> deed::VersionRead {
        let args = self.args(&version.args, version.tool.place, &["args", "deed"]);
        let path: Vec<String> = version.value.value.split('.').skip(1).map(str::to_owned).collect();
        if !version.value.value.starts_with("result.") || path.iter().any(String::is_empty) {
            let words = format!("`{}` names nothing of the result", version.value.value);
            self.page
                .error("version", version.value.place, words)
                .help("`result.` and the names on the way with dots between them, such as `result.etag`");
        }
        deed::VersionRead { args, tool: version.tool.value.clone(), value: path }
    }

    fn undo(&mut self, at: &At<Undo>) -> Option<deed::Undo> {
        let Undo::By(by) = &at.value else { return None };
        let UndoBy { tool, args, restore, within, retries } = by.as_ref();
        let within_ms = within.as_ref().map(|at| self.page.duration_ms(at, 1_000, WITHIN_MS_MAX));
        let retries = retries.as_ref().map_or(RETRIES, |at| {
            if at.value > RETRIES_MAX {
                self.page
                    .error("number", at.place, format!("`{}` tries are too many", at.value))
                    .help(format!("at most {RETRIES_MAX}; then a person looks at it"));
            }
            u32::try_from(at.value.min(RETRIES_MAX)).unwrap_or(RETRIES)
        });
        match (tool, restore) {
            (Some(tool), None) => {
                let roots = ["args", "result"];
                let args = args
                    .as_ref()
                    .map_or_else(|| Value::Object(Map::new()), |args| self.args(args, tool.place, &roots));
                Some(deed::Undo::Tool { args, retries, tool: tool.value.clone(), within_ms })
            }
            (None, Some(Restore { read, write })) if args.is_none() => {
                let read = self.companion(read, &["args"]);
                let write = self.companion(write, &["args", "result", "before"]);
                Some(deed::Undo::Restore { read, retries, within_ms, write })
            }
            _ => {
                self.page
                    .error("undo", at.place, "`undo` is not exactly one way back")
                    .help("`none`, `{ tool: …, args: … }`, or `{ restore: { read: …, write: … } }`");
                None
            }
        }
    }

    fn args(&mut self, args: &At<Map<String, Value>>, tool: Place, roots: &[&str]) -> Value {
        let place = if args.place == Place::default() { tool } else { args.place };
        let args = Value::Object(args.value.clone());
        self.template(&args, place, roots);
        args
    }

    fn text(&mut self, at: &At<String>, roots: &[&str]) -> String {
        self.template(&Value::String(at.value.clone()), at.place, roots);
        at.value.clone()
    }

    /// A misspelt template would be sent to the tool as it stands.
    fn template(&mut self, value: &Value, place: Place, roots: &[&str]) {
        let before = self.page.problems.len();
        for piece in pieces(value) {
            if is_path(&piece) {
                self.path(&piece, place, roots);
            } else if ROOTS.iter().any(|root| piece.trim_start().starts_with(root)) {
                let piece = piece.trim_end();
                let place = self.page.find(place, piece);
                self.page
                    .error("template", place, format!("`{{{piece}` is no template"))
                    .help("one path in braces, such as `{args.charge_id}`: names, dots, and nothing else");
            }
        }
        if let Err(wrong) = template::check(value, roots)
            && self.page.problems.len() == before
        {
            self.page.error("template", place, wrong).help("a path in braces, such as `{args.charge_id}`");
        }
    }

    /// A path begins with what is known by then, and names what the tool takes.
    fn path(&mut self, path: &str, place: Place, roots: &[&str]) {
        let mut parts = path.split('.');
        let root = parts.next().unwrap_or_default();
        let rest: Vec<String> = parts.map(str::to_owned).collect();
        let place = self.page.find(place, path);
        if !roots.contains(&root) {
            let known: Vec<String> = roots.iter().map(|root| format!("`{root}.`")).collect();
            self.page
                .error("template", place, format!("`{path}` is not known here"))
                .help(format!("what it names begins with {}", known.join(" or ")));
        } else if root == "args"
            && let Some((name, help)) = missing_value(&rest, self.input)
        {
            self.page.error("template", place, format!("`input` has no property `{name}`")).help(help);
        }
    }
}

impl Partner {
    /// It exists, does what it is named for, and takes what it is given.
    pub(in crate::config) fn check(
        &self,
        page: &mut Page<'_>,
        tools: &BTreeMap<String, Contract>,
        all_read: bool,
    ) {
        let (key, name) = (self.key, &self.tool);
        let Some(tool) = tools.get(name) else {
            if all_read {
                let help = nearest(name, tools.keys().map(String::as_str)).map_or_else(
                    || "the full name of a tool that has a contract, such as `crm.get`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                page.error("unknown-tool", self.place, format!("unknown tool `{name}`")).help(help);
            }
            return;
        };
        match (self.does, tool.effect.writes()) {
            (Does::Read, true) => {
                page.error(key, self.place, format!("`{name}` writes, and `{key}` only looks"))
                    .help("name a tool whose effect is `read`");
            }
            (Does::Write, false) => {
                page.error(key, self.place, format!("`{name}` only reads, and takes nothing back"))
                    .help(format!("name the tool that makes up for `{}`", self.of));
            }
            _ => self.check_args(page, tool),
        }
    }

    fn check_args(&self, page: &mut Page<'_>, tool: &Contract) {
        let place = if self.args.place == Place::default() { self.place } else { self.args.place };
        for name in self.args.value.keys() {
            if let Some((name, help)) = missing(std::slice::from_ref(name), &tool.input) {
                let place = page.find(place, &name);
                let words = format!("`{}` takes no argument `{name}`", tool.name);
                page.error("argument", place, words).help(help);
            }
        }
        let required = tool.input.get("required").and_then(Value::as_array).into_iter().flatten();
        let absent = required.filter_map(Value::as_str).find(|name| !self.args.value.contains_key(*name));
        if let Some(name) = absent {
            let words = format!("`{}` needs the argument `{name}`", tool.name);
            page.error("argument", place, words)
                .help(format!("add it to `args`, such as `{name}: \"{{args.{name}}}\"`"));
        }
    }
}

/// What stands after each opening brace of any text, up to where it is closed.
fn pieces(value: &Value) -> Vec<String> {
    let piece = |text: &str| text.split('}').next().unwrap_or_default().to_owned();
    match value {
        // What is never closed is kept whole with what follows it, so that it is no path.
        Value::String(text) => text
            .split('{')
            .skip(1)
            .map(|rest| if rest.contains('}') { piece(rest) } else { format!("{rest} ") })
            .collect(),
        Value::Array(items) => items.iter().flat_map(pieces).collect(),
        Value::Object(members) => members.values().flat_map(pieces).collect(),
        _ => Vec::new(),
    }
}

fn is_path(piece: &str) -> bool {
    let named = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    piece.contains('.') && piece.chars().all(named)
}

/// The paths of a condition that can be read: what is no literal and no operator.
fn paths_compared(condition: &str) -> Vec<String> {
    let bare: String = condition.split(['"', '\'']).step_by(2).collect();
    let is_named = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_alphabetic());
    bare.split(|c: char| c.is_whitespace() || "=!<>".contains(c))
        .filter(is_named)
        .map(str::to_owned)
        .collect()
}
