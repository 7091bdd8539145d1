//! What a contract says of taking back: what a call touches, what it is measured by, and how it is undone.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::config::yaml::At;

/// A read, and what it is asked: texts may hold `{args.NAME}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Companion {
    /// Its full name.
    pub(in crate::config) tool: At<String>,
    /// Its arguments. A text that is one template, such as `"{args.charge_id}"`, becomes the value itself.
    #[serde(default = "no_args")]
    #[schemars(with = "Map<String, Value>", extend("default" = {}))]
    pub(in crate::config) args: At<Map<String, Value>>,
}

/// A read of what is there before a call, and what that becomes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Preview {
    /// The full name of a tool whose effect is `read`.
    pub(in crate::config) tool: At<String>,
    /// Its arguments. A text that is one template, such as `"{args.charge_id}"`, becomes the value itself.
    #[serde(default = "no_args")]
    #[schemars(with = "Map<String, Value>", extend("default" = {}))]
    pub(in crate::config) args: At<Map<String, Value>>,
    /// What the read would answer afterwards, such as `{ content: "{args.content}" }`: whoever looks sees what differs.
    /// Without it the arguments are compared, where they share names with what was read.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(in crate::config) becomes: Option<At<Map<String, Value>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Version {
    /// The full name of a tool whose effect is `read`.
    pub(in crate::config) tool: At<String>,
    /// Its arguments: texts may hold `{args.NAME}`, and `{deed.NAME}` of what the call answered.
    #[serde(default = "no_args")]
    #[schemars(with = "Map<String, Value>", extend("default" = {}))]
    pub(in crate::config) args: At<Map<String, Value>>,
    /// What of its result is the version, such as `result.etag`.
    pub(in crate::config) value: At<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Expect {
    /// The full name of a tool whose effect is `read`.
    pub(in crate::config) tool: At<String>,
    /// Its arguments: texts may hold `{args.NAME}`, and `{deed.NAME}` of what the call answered.
    #[serde(default = "no_args")]
    #[schemars(with = "Map<String, Value>", extend("default" = {}))]
    pub(in crate::config) args: At<Map<String, Value>>,
    /// What must hold, such as `result.refunded_cents >= args.amount_cents`: comparisons with `and` between them, of
    /// whole numbers, texts and truths. `result` is what this read answered, `deed` what the call itself did.
    pub(in crate::config) that: At<String>,
}

/// A call that takes another back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct Restore {
    /// Reads what is there before the call, by its arguments.
    pub(in crate::config) read: Companion,
    /// Writes that back: its arguments may hold `{before.NAME}` beside `{args.NAME}` and `{result.NAME}`. Its tool is
    /// one that writes.
    pub(in crate::config) write: Companion,
}

/// How it is taken back: by a tool, by what was there before, or `none`.
#[derive(Debug)]
pub(in crate::config) enum Undo {
    None,
    By(Box<UndoBy>),
}

/// Either `tool` and `args`, or `restore`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::config) struct UndoBy {
    /// The full name of the tool that takes it back.
    pub(in crate::config) tool: Option<At<String>>,
    /// Its arguments: texts may hold `{args.NAME}` and `{result.NAME}`, of the call that is taken back.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(in crate::config) args: Option<At<Map<String, Value>>>,
    /// For tools that set something: what was there is read before, and written back.
    pub(in crate::config) restore: Option<Restore>,
    /// How long after the call it may still be taken back, such as `24h`. Without it: for as long as the run is known.
    pub(in crate::config) within: Option<At<String>>,
    /// Tries after the first, before a person must look.
    #[schemars(extend("default" = RETRIES))]
    pub(in crate::config) retries: Option<At<u64>>,
}

pub(super) const RETRIES: u32 = 3;

fn no_args() -> At<Map<String, Value>> {
    At { value: Map::new(), place: Default::default() }
}

impl<'de> Deserialize<'de> for Undo {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Undo, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Undo;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`none`, or a mapping such as `{ tool: …, args: … }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Undo, E> {
                if word == "none" { Ok(Undo::None) } else { Err(E::unknown_variant(word, &["none"])) }
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Undo, M::Error> {
                UndoBy::deserialize(MapAccessDeserializer::new(map)).map(|by| Undo::By(Box::new(by)))
            }
        }
        input.deserialize_any(Reading)
    }
}

impl JsonSchema for Undo {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Undo".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by = UndoBy::json_schema(generator).to_value();
        json_schema!({ "anyOf": [{ "const": "none" }, by] })
    }
}
