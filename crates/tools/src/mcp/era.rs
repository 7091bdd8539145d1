//! The revisions of MCP, and how one era's answers are told to the other.
//!
//! Until 2025-11-25 a connection begins with `initialize` and may have a session; since 2026-07-28 each request stands
//! alone. An answer is translated to what the revision it is sent in can say; what it cannot say is never made up.

use serde_json::{Map, Value, json};

use crate::mcp::wire::{self, Members, RpcError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

/// Members of a request's `_meta` since 2026-07-28.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub const META_CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Members of a result's and a notification's `_meta` since 2026-07-28.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Members of a request that is made again with what the server wanted, since 2026-07-28.
pub const INPUT_RESPONSES: &str = "inputResponses";
pub const REQUEST_STATE: &str = "requestState";
/// In a request's `_meta` in every revision: progress is told under this token.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// The extension by which a call may become a task, since 2026-07-28.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Ours, in the `_meta` of what goes to a server: so that what it does can be found again.
pub const META_RUN: &str = "dev.remit/run";
pub const META_CALL: &str = "dev.remit/call";

impl Version {
    pub const ALL: [Version; 4] =
        [Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25, Version::V2026_07_28];
    pub const LATEST: Version = Version::V2026_07_28;
    /// The newest revision that `initialize` can agree on.
    pub const LATEST_INITIALIZED: Version = Version::V2025_11_25;

    pub fn text(self) -> &'static str {
        match self {
            Version::V2025_03_26 => "2025-03-26",
            Version::V2025_06_18 => "2025-06-18",
            Version::V2025_11_25 => "2025-11-25",
            Version::V2026_07_28 => "2026-07-28",
        }
    }

    pub fn parse(text: &str) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.text() == text)
    }

    /// Whether each request stands alone: no `initialize`, no session, no request from server to client.
    pub fn is_stateless(self) -> bool {
        self >= Version::V2026_07_28
    }

    /// Whether one HTTP body may hold an array of messages.
    pub fn has_batches(self) -> bool {
        self == Version::V2025_03_26
    }

    /// Whether requests after `initialize` say the revision in a header.
    pub fn has_version_header(self) -> bool {
        self >= Version::V2025_06_18
    }

    /// Whether a stream begins with an event of an id and no words, from which on a client can take it up again.
    pub fn has_primers(self) -> bool {
        self == Version::V2025_11_25
    }
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Result(Members),
    Error(RpcError),
}

/// What a server wants to know before it goes on (2026-07-28: `resultType: "input_required"`).
#[derive(Clone, Debug, PartialEq)]
pub struct InputRequired {
    /// Requests such as `elicitation/create`, each under a name that its answer is given under.
    pub requests: Members,
    /// The server's own, to be given back as it came.
    pub state: Option<String>,
}

/// The reply to `method` as the revision `to` says it.
pub fn reply_for(to: Version, method: &str, reply: Reply) -> Reply {
    match reply {
        Reply::Result(result) if to.is_stateless() => Reply::Result(complete(method, result)),
        Reply::Result(result) => match input_required(&result) {
            Some(wanted) => Reply::Error(unanswerable(to, &wanted)),
            None => Reply::Result(legacy(to, method, result)),
        },
        Reply::Error(error) if to.is_stateless() => match wanted_by(&error) {
            Some(wanted) if may_want(method) => Reply::Result(wanted),
            _ => Reply::Error(stateless_error(error)),
        },
        Reply::Error(error) => Reply::Error(legacy_error(to, method, error)),
    }
}

/// The notification as the revision `to` says it, if it has it.
pub fn notification_for(to: Version, method: &str, mut params: Members) -> Option<Members> {
    let only_stateless = method == "notifications/subscriptions/acknowledged";
    let only_sessions =
        matches!(method, "notifications/elicitation/complete" | "notifications/roots/list_changed");
    if (only_stateless && !to.is_stateless()) || (only_sessions && to.is_stateless()) {
        return None;
    }
    if !to.is_stateless() {
        drop_meta(&mut params, META_SUBSCRIPTION);
    }
    Some(params)
}

pub fn input_required(result: &Members) -> Option<InputRequired> {
    if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
        return None;
    }
    let requests = result.get("inputRequests").and_then(Value::as_object).cloned().unwrap_or_default();
    let state = result.get("requestState").and_then(Value::as_str).map(str::to_owned);
    Some(InputRequired { requests, state })
}

/// Requests whose result may say that input is required.
pub fn may_want(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Requests whose result says how long and by whom it may be kept.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// What 2026-07-28 requires of each result, put in where an older or a forgetful server left it out.
fn complete(method: &str, mut result: Members) -> Members {
    let wants = input_required(&result).is_some();
    if !result.get("resultType").is_some_and(Value::is_string) {
        result.insert("resultType".to_owned(), "complete".into());
    }
    if is_cacheable(method) && !wants {
        if !result.get("ttlMs").is_some_and(Value::is_u64) {
            result.insert("ttlMs".to_owned(), 0.into());
        }
        if !matches!(result.get("cacheScope").and_then(Value::as_str), Some("private" | "public")) {
            result.insert("cacheScope".to_owned(), "private".into());
        }
    }
    result
}

fn legacy(to: Version, method: &str, mut result: Members) -> Members {
    for name in ["resultType", "ttlMs", "cacheScope"] {
        result.remove(name);
    }
    drop_meta(&mut result, META_SERVER_INFO);
    match method {
        "tools/call" if !result.get("task").is_some_and(Value::is_object) => {
            legacy_tool_result(to, &mut result)
        }
        "tools/list" => legacy_tools(to, &mut result),
        _ => {}
    }
    result
}

/// Until 2025-11-25 structured content is an object, and 2025-03-26 has none: then it is told as text.
fn legacy_tool_result(to: Version, result: &mut Members) {
    let has_structured = to >= Version::V2025_06_18;
    let keep = has_structured && result.get("structuredContent").is_some_and(Value::is_object);
    let dropped = if keep { None } else { result.remove("structuredContent") };
    let content = result.entry("content").or_insert_with(|| json!([]));
    let Value::Array(content) = content else { return };
    if let Some(structured) = dropped
        && content.is_empty()
    {
        content.push(json!({ "type": "text", "text": structured.to_string() }));
    }
    if !has_structured {
        for block in content {
            if block.get("type").and_then(Value::as_str) == Some("resource_link") {
                let uri = block.get("uri").and_then(Value::as_str).unwrap_or_default();
                *block = json!({ "type": "text", "text": uri });
            }
        }
    }
}

fn legacy_tools(to: Version, result: &mut Members) {
    let Some(Value::Array(tools)) = result.get_mut("tools") else { return };
    for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
        let is_object =
            tool.get("outputSchema").and_then(|schema| schema.get("type")) == Some(&json!("object"));
        if to < Version::V2025_06_18 || !is_object {
            tool.remove("outputSchema");
        }
    }
}

/// An older client cannot be asked inside a result. 2025-11-25 can be sent to an address, and then asks again.
fn unanswerable(to: Version, wanted: &InputRequired) -> RpcError {
    let elicitation = |(name, request): (&String, &Value)| {
        let params = request.get("params")?;
        let url = params.get("url").filter(|_| params.get("mode") == Some(&json!("url")))?;
        let message = params.get("message").cloned().unwrap_or_else(|| "".into());
        Some(json!({ "mode": "url", "elicitationId": name, "url": url, "message": message }))
    };
    let addresses: Option<Vec<Value>> = wanted.requests.iter().map(elicitation).collect();
    match addresses {
        Some(addresses) if to == Version::V2025_11_25 && !addresses.is_empty() => RpcError {
            code: wire::URL_ELICITATION_REQUIRED,
            message: "a person must visit an address before this can go on".to_owned(),
            data: Some(json!({ "elicitations": addresses })),
        },
        _ => RpcError::new(
            wire::INVALID_REQUEST,
            format!("the server asks for input, which MCP {} cannot carry; use 2026-07-28", to.text()),
        ),
    }
}

/// The result that says in 2026-07-28 what `URL_ELICITATION_REQUIRED` says in 2025-11-25.
fn wanted_by(error: &RpcError) -> Option<Members> {
    if error.code != wire::URL_ELICITATION_REQUIRED {
        return None;
    }
    let mut requests = Map::new();
    for elicitation in error.data.as_ref()?.get("elicitations")?.as_array()? {
        let name = elicitation.get("elicitationId")?.as_str()?;
        let params = json!({
            "mode": "url", "url": elicitation.get("url")?, "message": elicitation.get("message")?,
        });
        requests.insert(name.to_owned(), json!({ "method": "elicitation/create", "params": params }));
    }
    let mut result = Map::new();
    result.insert("resultType".to_owned(), "input_required".into());
    result.insert("inputRequests".to_owned(), requests.into());
    Some(result)
}

fn stateless_error(mut error: RpcError) -> RpcError {
    if matches!(error.code, wire::RESOURCE_NOT_FOUND | wire::URL_ELICITATION_REQUIRED) {
        error.code = wire::INVALID_PARAMS;
    }
    error
}

fn legacy_error(to: Version, method: &str, mut error: RpcError) -> RpcError {
    error.code = match error.code {
        wire::INVALID_PARAMS if method == "resources/read" => wire::RESOURCE_NOT_FOUND,
        wire::URL_ELICITATION_REQUIRED if to < Version::V2025_11_25 => wire::INVALID_REQUEST,
        wire::HEADER_MISMATCH | wire::MISSING_CLIENT_CAPABILITY | wire::UNSUPPORTED_VERSION => {
            wire::INVALID_REQUEST
        }
        code => code,
    };
    error
}

fn drop_meta(members: &mut Members, name: &str) {
    if let Some(Value::Object(meta)) = members.get_mut("_meta") {
        meta.remove(name);
        if meta.is_empty() {
            members.remove("_meta");
        }
    }
}

#[cfg(test)]
mod tests;
