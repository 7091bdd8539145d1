//! Tools of MCP servers: their own definitions, as a person has accepted them, are a part of the configuration.

use std::collections::BTreeMap;

use kernel::contract::{Contract, Effect, Operation};
use serde_json::{Map, Value, json};
use stdx::json::canonical;
use tools::mcp::via;

use super::shape::{Offer, Stdio, ToolEntry};
use super::{Env, RESULT_BYTES_MAX, Reached, TIMEOUT_MS, ToolFile};
use crate::config::yaml::{Page, Place};

/// `tools/NAME.pins.json`: the accepted definitions of one server's tools. Written by `remit tool accept`, read by
/// people in review.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pins(pub(crate) BTreeMap<String, Value>);

impl Pins {
    /// The file of pins beside a file of contracts.
    pub(crate) fn file_beside(contracts: &str) -> String {
        let stem = contracts.strip_suffix(".yaml").or_else(|| contracts.strip_suffix(".yml"));
        format!("{}.pins.json", stem.unwrap_or(contracts))
    }

    pub(crate) fn read(text: &str) -> Result<Pins, String> {
        let value = stdx::json::parse(text.as_bytes()).map_err(|refused| refused.to_string())?;
        let Value::Object(tools) = value else { return Err("it is not an object of definitions".to_owned()) };
        Ok(Pins(tools.into_iter().collect()))
    }

    /// In lines, so that a change reads well in review.
    pub(crate) fn text(&self) -> String {
        let sorted: Value = serde_json::from_slice(&canonical(&self.0)).unwrap_or_default();
        format!("{sorted:#}\n")
    }
}

impl Stdio {
    pub(super) fn place(&self) -> Value {
        let mut place = json!({ "command": self.command.value, "args": self.args, "env": self.env });
        if let (Some(cwd), Some(place)) = (&self.cwd, place.as_object_mut()) {
            place.insert("cwd".to_owned(), json!(cwd));
        }
        place
    }
}

impl ToolFile {
    pub(super) fn mcp(&self, page: &mut Page<'_>, mut place: Value, at: Place) -> Reached {
        if let Some(place) = place.as_object_mut() {
            place.insert("server".to_owned(), json!(self.server.value));
        }
        if let Err(error) = via::parse(&json!({ "mcp": place })) {
            page.error("via", at, error.to_string())
                .help("`mcp: { url: \"https://…/mcp\" }`, or `stdio: { command: …, args: […] }`");
        }
        Reached::Mcp(place.as_object().cloned().unwrap_or_default())
    }

    /// A contract that says how the server is reached, and stands for no tool; none, if it is no MCP server.
    pub(in crate::config) fn bare(&self, page: &mut Page<'_>) -> Option<Contract> {
        let Reached::Mcp(place) = self.reached(page) else { return None };
        let credential = self.credential.as_ref().map(|credential| credential.bearer.value.clone());
        let stand_in =
            Offered { tool: "", method: "resources/read", about: "", input: json!({ "type": "object" }) };
        Some(stand_in.contract(self, &place, credential))
    }

    /// What a server offers beside tools becomes tools, so that rules and budgets speak of it in one way.
    pub(super) fn offered(
        &self,
        page: &mut Page<'_>,
        reached: &Reached,
        credential: Option<&str>,
    ) -> Vec<Contract> {
        let Reached::Mcp(place) = reached else {
            if !self.offers.is_empty() {
                page.error(
                    "offers",
                    self.via.place,
                    "only an MCP server offers resources, prompts or completions, or asks for input",
                )
                .help("take `offers` away, or reach the server by `mcp` or `stdio`");
            }
            return Vec::new();
        };
        let kinds = self.offers.iter().flat_map(|offer| offer.tools());
        let contracts = kinds.map(|offered| offered.contract(self, place, credential.map(str::to_owned)));
        let contracts: Vec<Contract> = contracts.collect();
        for contract in &contracts {
            if self.tools.contains_key(&contract.tool) {
                let message = format!("`{}` is what `offers` calls one of its own", contract.tool);
                page.error("offers", self.server.place, message)
                    .help("do without this offer, or without this tool");
            }
        }
        contracts
    }
}

/// A tool that stands for one method of the protocol.
struct Offered {
    tool: &'static str,
    method: &'static str,
    about: &'static str,
    input: Value,
}

impl Offer {
    fn tools(self) -> Vec<Offered> {
        let uri = json!({ "type": "object", "properties": { "uri": { "type": "string" } }, "required": ["uri"],
            "additionalProperties": false });
        let offered = |tool, method, about, input| Offered { tool, method, about, input };
        match self {
            Offer::Resources => vec![
                offered("read_resource", "resources/read", "Reads one resource of the server.", uri.clone()),
                offered(
                    "subscribe_resource",
                    "resources/subscribe",
                    "Asks for word of its changes.",
                    uri.clone(),
                ),
                offered("unsubscribe_resource", "resources/unsubscribe", "Ends that.", uri),
            ],
            Offer::Prompts => vec![offered(
                "get_prompt",
                "prompts/get",
                "Gets one prompt of the server.",
                json!({ "type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                    "name": { "type": "string" },
                    "arguments": { "type": "object", "additionalProperties": { "type": "string" } } } }),
            )],
            Offer::Elicitation => vec![offered(
                "elicit",
                "elicitation/create",
                "Answers what the server asks for while a call is under way.",
                json!({ "type": "object" }),
            )],
            Offer::Sampling => vec![offered(
                "sample",
                "sampling/createMessage",
                "Gives the server an answer of the client's model.",
                json!({ "type": "object" }),
            )],
            Offer::Roots => vec![offered(
                "list_roots",
                "roots/list",
                "Tells the server the client's folders.",
                json!({ "type": "object" }),
            )],
            Offer::Completions => vec![offered(
                "complete",
                "completion/complete",
                "Completes an argument of a prompt or a resource template.",
                json!({ "type": "object", "required": ["ref", "argument"], "additionalProperties": false,
                    "properties": { "ref": { "type": "object" }, "argument": { "type": "object" },
                        "context": { "type": "object" } } }),
            )],
        }
    }
}

impl Offered {
    fn contract(self, file: &ToolFile, place: &Map<String, Value>, credential: Option<String>) -> Contract {
        let mut place = place.clone();
        place.insert("method".to_owned(), json!(self.method));
        Contract {
            deed: Default::default(),
            about: self.about.to_owned(),
            care: Default::default(),
            credential,
            cost_usd_nanos: 0,
            cost_tokens: 0,
            degrade: Default::default(),
            meter: Default::default(),
            counts: Vec::new(),
            definition: None,
            destinations: Vec::new(),
            effect: Effect::Read,
            env: file.env.unwrap_or(Env::Prod).name().to_owned(),
            idempotency_header: None,
            idempotency_field: None,
            input: self.input,
            labels: Vec::new(),
            name: format!("{}.{}", file.server.value, self.tool),
            operation: Operation::Read,
            pin: None,
            redact: Default::default(),
            rate: Default::default(),
            result_bytes_max: RESULT_BYTES_MAX,
            server: file.server.value.clone(),
            stamp: None,
            to: Vec::new(),
            timeout_ms: TIMEOUT_MS,
            tool: self.tool.to_owned(),
            via: json!({ "mcp": place }),
        }
    }
}

impl ToolEntry {
    /// The tool's definition, if its server gives one, and the schema of its arguments. After a problem any arguments
    /// will do, so that whoever names the tool is not told that it does not exist.
    pub(super) fn input(
        &self,
        page: &mut Page<'_>,
        file: &ToolFile,
        tool: &str,
        place: Place,
        reached: &Reached,
        pins: &Pins,
    ) -> (Option<Value>, Value) {
        let at = self.input.as_ref().map_or(place, |input| input.place);
        let (definition, input) = match (reached, &self.input) {
            (Reached::Http(_), Some(input)) => (None, input.value.clone()),
            (Reached::Http(_), None) => {
                page.error("missing-key", at, format!("`{tool}` has no `input`"))
                    .help("add the JSON Schema of its arguments: `input: { type: object, properties: {…} }`");
                (None, json!({ "type": "object" }))
            }
            (Reached::Mcp(_), Some(_)) => {
                page.error("input", at, "the arguments of this tool are in its server's own definition")
                    .help("take `input` away; `remit tool accept` writes the definition down");
                (None, json!({ "type": "object" }))
            }
            (Reached::Mcp(_), None) => accepted(page, &file.server.value, tool, at, pins),
        };
        if input.get("type").and_then(Value::as_str) != Some("object") {
            page.error("input", at, "the arguments of a tool are an object")
                .help("begin with `type: object`, then `properties` and `required`");
        }
        (definition, input)
    }

    /// What a person wrote, or else what the server says of itself.
    pub(super) fn about(&self, definition: Option<&Value>) -> String {
        let told = definition.and_then(|definition| definition.get("description")).and_then(Value::as_str);
        if self.about.is_empty() { told.unwrap_or_default().to_owned() } else { self.about.clone() }
    }
}

fn accepted(page: &mut Page<'_>, server: &str, tool: &str, at: Place, pins: &Pins) -> (Option<Value>, Value) {
    let Some(definition) = pins.0.get(tool) else {
        let message = format!("`{server}.{tool}` was never accepted, so its arguments are not known");
        page.error("not-accepted", at, message).help(format!(
            "run `remit tool accept {server}.{tool}`, read what it shows, and keep the file it writes"
        ));
        return (None, json!({ "type": "object" }));
    };
    (Some(definition.clone()), definition.get("inputSchema").cloned().unwrap_or_default())
}
