//! JSON-RPC 2.0 as MCP speaks it: one strict reader, one writer, and the error codes of all revisions.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub const PARSE_ERROR: i64 = -32700;
pub const INVALID_REQUEST: i64 = -32600;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INVALID_PARAMS: i64 = -32602;
pub const INTERNAL_ERROR: i64 = -32603;
/// Until 2025-11-25: a resource that does not exist. 2026-07-28 says `INVALID_PARAMS`.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// Only 2025-11-25: a person must visit an address before the request can be carried out.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
/// Since 2026-07-28.
pub const HEADER_MISMATCH: i64 = -32020;
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// Messages in one array. Larger arrays are refused: each of them would be a request of its own.
pub const BATCH_MAX: usize = 64;

pub type Members = Map<String, Value>;

/// A request's id, given back as it came: the number 1 and the text "1" are two ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    Number(i64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Request { id: Id, method: String, params: Members },
    Notification { method: String, params: Members },
    Result { id: Id, result: Members },
    Error { id: Option<Id>, error: RpcError },
}

#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl RpcError {
    pub fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    pub fn method_not_found(method: &str) -> RpcError {
        RpcError::new(METHOD_NOT_FOUND, format!("method `{method}` is not available"))
    }

    /// `{"code", "message", "data"?}`
    pub fn value(self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), self.code.into());
        error.insert("message".to_owned(), self.message.into());
        if let Some(data) = self.data {
            error.insert("data".to_owned(), data);
        }
        Value::Object(error)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Number(number) => out.serialize_i64(*number),
            Id::Text(text) => out.serialize_str(text),
        }
    }
}

impl Id {
    pub fn value(&self) -> Value {
        match self {
            Id::Number(number) => (*number).into(),
            Id::Text(text) => text.as_str().into(),
        }
    }

    pub fn read(value: &Value) -> Option<Id> {
        match value {
            Value::Number(number) => number.as_i64().map(Id::Number),
            Value::String(text) => Some(Id::Text(text.clone())),
            _ => None,
        }
    }
}

impl Message {
    /// The message as it goes out.
    pub fn bytes(self) -> Vec<u8> {
        let held = match &self {
            Message::Request { params, .. } | Message::Notification { params, .. } => members_len(params),
            Message::Result { result, .. } => members_len(result),
            Message::Error { .. } => 256,
        };
        let mut out = Vec::with_capacity(held + 128);
        let mut message = Writing::begin(&mut out);
        message.raw("jsonrpc", b"\"2.0\"");
        match self {
            Message::Request { id, method, params } => {
                message.member("id", &id);
                message.member("method", &method);
                message.member("params", &params);
            }
            Message::Notification { method, params } => {
                message.member("method", &method);
                if !params.is_empty() {
                    message.member("params", &params);
                }
            }
            Message::Result { id, result } => {
                message.member("id", &id);
                message.member("result", &result);
            }
            Message::Error { id, error } => {
                message.member("id", &id);
                message.member("error", &error.value());
            }
        }
        message.end();
        out
    }
}

/// How long members are when they are written, as near as can be told without writing them: what is large is then
/// written into its place at once.
fn members_len(members: &Members) -> usize {
    members.iter().map(|(name, value)| name.len() + 4 + value_len(value)).sum::<usize>() + 2
}

fn value_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 16,
        // A few bytes of it may be written as two.
        Value::String(text) => text.len() + text.len() / 32 + 8,
        Value::Array(items) => items.iter().map(value_len).sum::<usize>() + items.len() + 2,
        Value::Object(members) => members_len(members),
    }
}

/// An object that is written member by member. Whoever writes it writes no name twice.
pub(in crate::mcp) struct Writing<'o> {
    out: &'o mut Vec<u8>,
    before: &'static [u8],
}

impl<'o> Writing<'o> {
    pub(in crate::mcp) fn begin(out: &'o mut Vec<u8>) -> Writing<'o> {
        Writing { out, before: b"{" }
    }

    pub(in crate::mcp) fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        self.write(value);
    }

    /// A value that is JSON already.
    pub(in crate::mcp) fn raw(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(json);
    }

    /// A member that is an object; nothing else is written here before its end.
    pub(in crate::mcp) fn object(&mut self, name: &str) -> Writing<'_> {
        self.name(name);
        Writing::begin(self.out)
    }

    pub(in crate::mcp) fn end(self) {
        if self.before == b"{" {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(std::mem::replace(&mut self.before, b","));
        self.write(name);
        self.out.push(b':');
    }

    fn write(&mut self, value: &(impl Serialize + ?Sized)) {
        // INVARIANT: JSON values are always written, and a vector takes all.
        let _ = serde_json::to_writer(&mut *self.out, value);
    }
}

/// Reads one message. What two parsers could read differently is refused.
pub fn read(bytes: &[u8]) -> Result<Message, RpcError> {
    message(parse(bytes)?)
}

/// Reads one message or an array of them, as 2025-03-26 allows it and no other revision does.
pub fn read_batch(bytes: &[u8]) -> Result<Vec<Message>, RpcError> {
    match parse(bytes)? {
        Value::Array(items) if items.is_empty() => Err(invalid("an empty array holds no message")),
        Value::Array(items) if items.len() > BATCH_MAX => {
            Err(invalid(format!("more than {BATCH_MAX} messages in one array")))
        }
        Value::Array(items) => items.into_iter().map(message).collect(),
        one => message(one).map(|message| vec![message]),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, RpcError> {
    stdx::json::parse(bytes).map_err(|refused| RpcError::new(PARSE_ERROR, refused.to_string()))
}

/// Reads one message from a document that was parsed strictly.
pub fn message(value: Value) -> Result<Message, RpcError> {
    let Value::Object(mut message) = value else {
        return Err(invalid("a message is a JSON object"));
    };
    if message.remove("jsonrpc").as_ref().and_then(Value::as_str) != Some("2.0") {
        return Err(invalid("`jsonrpc` is not \"2.0\""));
    }
    let id = match message.remove("id") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(value) => match Id::read(&value) {
            Some(id) => Some(Some(id)),
            None => return Err(invalid("`id` is neither a whole number nor a text")),
        },
    };
    let method = message.remove("method");
    let answer = (message.remove("result"), message.remove("error"));
    match (method, answer, id) {
        (Some(Value::String(method)), (None, None), None) => {
            Ok(Message::Notification { method, params: params(message)? })
        }
        (Some(Value::String(method)), (None, None), Some(Some(id))) => {
            Ok(Message::Request { id, method, params: params(message)? })
        }
        (None, (Some(Value::Object(result)), None), Some(Some(id))) => Ok(Message::Result { id, result }),
        (None, (None, Some(Value::Object(error))), id) => {
            Ok(Message::Error { id: id.flatten(), error: rpc_error(error)? })
        }
        _ => Err(invalid("the message is neither a request nor a notification, a result or an error")),
    }
}

fn params(mut message: Members) -> Result<Members, RpcError> {
    match message.remove("params") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(params)) => Ok(params),
        Some(_) => Err(invalid("`params` is not an object")),
    }
}

fn rpc_error(mut error: Members) -> Result<RpcError, RpcError> {
    let code = error.get("code").and_then(Value::as_i64);
    match (code, error.remove("message")) {
        (Some(code), Some(Value::String(message))) => {
            Ok(RpcError { code, message, data: error.remove("data") })
        }
        _ => Err(invalid("`error` needs a whole number `code` and a text `message`")),
    }
}

fn invalid(why: impl Into<String>) -> RpcError {
    RpcError::new(INVALID_REQUEST, why)
}

#[cfg(test)]
mod tests;
