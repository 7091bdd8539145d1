//! The reference of the configuration: one JSON Schema, and the same as a page for people, both from the shapes.

use std::fmt::Write;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::contract::ToolFile;
use super::house::RemitFile;
use super::manifest::AgentFile;

/// A file is one of three kinds, told apart by its required keys, so that one schema serves all.
/// Draft 7 is the one that every editor reads.
pub(crate) fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let files = [
        generator.subschema_for::<RemitFile>(),
        generator.subschema_for::<AgentFile>(),
        generator.subschema_for::<ToolFile>(),
    ];
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of Remit",
        "description": "remit.yaml, agents/*.yaml and tools/*.yaml",
        "anyOf": files.map(|file| file.to_value()),
        "definitions": generator.take_definitions(true),
    });
    tidy(&mut schema);
    schema
}

/// An absent key and `null` are not the same thing to a reader: a key is written or it is left out.
/// And the machine's number formats say nothing to an editor.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(map) => {
            tidy_object(map);
            map.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn tidy_object(map: &mut Map<String, Value>) {
    if map.get("format").and_then(Value::as_str) == Some("uint64") {
        map.remove("format");
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            map.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = map.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").and_then(Value::as_str) != Some("null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        map.remove("anyOf");
        for (key, value) in only {
            map.entry(key).or_insert(value);
        }
    }
}

const HEAD: &str = "\
# Configuration

<!-- Generated from the shapes in crates/remit/src/config; write it anew with
UPDATE_EXPECT=1 cargo test -p remit config -->

A configuration is one folder: `remit.yaml`, `agents/*.yaml`, `tools/*.yaml` and `policies/*.cedar`.
Whatever is wrong in it is refused at start, and by `remit check`, with file, line, column, the offending text
and what would be right. Unknown keys are refused too. `config.schema.json` beside this page is the same
for editors; name it in the first line of a file:

```yaml
# yaml-language-server: $schema=…/docs/reference/config.schema.json
```

Secrets stand nowhere in it: only `env:NAME` and `file:PATH`. Durations are one whole number and one unit
of `ms s m h d`. Dollars are decimal digits, at most nine after the point, and are read exactly. Anchors and
aliases may be used; merge keys (`<<`) may not.
";

const TAIL: &str = "
## Not built yet

These keys have their meaning in the design and are refused until something stands behind them:
in `remit.yaml` `memory`, `models`, `store.postgres`; in a manifest `delegate`; in a contract `via.openapi`,
`http.headers`, `cache`, `limits.per_hour` and `limits.per_day`.
";

/// The same as a page.
pub(crate) fn reference_markdown() -> String {
    let schema = json_schema();
    let mut out = HEAD.to_owned();
    for (name, title) in
        [("RemitFile", "remit.yaml"), ("AgentFile", "agents/*.yaml"), ("ToolFile", "tools/*.yaml")]
    {
        let Some(file) = schema.pointer(&format!("/definitions/{name}")) else { continue };
        let about = file.get("description").and_then(Value::as_str).unwrap_or("");
        let about =
            about.strip_prefix(&format!("`{title}`")).unwrap_or(about).trim_start_matches(['.', ':', ' ']);
        let _ = write!(out, "\n## `{title}`\n\n{}\n\n", sentence(about));
        out.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        rows(&mut out, "", file);
    }
    out.push_str(TAIL);
    out
}

fn rows(out: &mut String, prefix: &str, schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required = schema.get("required").and_then(Value::as_array);
    for (key, value) in properties {
        let path = format!("{prefix}{key}");
        let needed = required.is_some_and(|names| names.iter().any(|name| name == key));
        let default = match value.get("default") {
            Some(Value::Array(list)) if list.is_empty() => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(default) => {
                format!("`{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned))
            }
            None if needed => "required".to_owned(),
            None => String::new(),
        };
        let about = value.get("description").and_then(Value::as_str).unwrap_or("").replace('\n', " ");
        let about = about.replace('|', "\\|");
        let _ = writeln!(out, "| `{path}` | {} | {default} | {about} |", kind(value));
        rows(out, &format!("{path}."), value);
        for choice in value.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            rows(out, &format!("{path}."), choice);
        }
        if let Some(items) = value.get("items") {
            rows(out, &format!("{path}[]."), items);
        }
        if let Some(values) = value.get("additionalProperties") {
            rows(out, &format!("{path}.<name>."), values);
        }
    }
}

fn kind(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        let words = words.iter().map(|word| format!("`{word}`"));
        let choices = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        let mapping =
            choices.filter(|choice| choice.get("properties").is_some()).map(|_| "mapping".to_owned());
        return words.chain(mapping).collect::<Vec<_>>().join(", ");
    }
    if schema.get("pattern").is_some() && schema.get("minimum").is_some() {
        return "dollars".to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", schema.get("items").map_or_else(|| "text".to_owned(), kind)),
        Some("object") => "mapping".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("string") => "text".to_owned(),
        _ => "any".to_owned(),
    }
}

/// The words that an enumeration accepts, in whichever of its forms.
fn words(schema: &Value) -> Vec<&str> {
    let direct = schema
        .get("const")
        .into_iter()
        .chain(schema.get("enum").and_then(Value::as_array).into_iter().flatten());
    let nested =
        ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key).and_then(Value::as_array)).flatten();
    direct.filter_map(Value::as_str).chain(nested.flat_map(words)).collect()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
