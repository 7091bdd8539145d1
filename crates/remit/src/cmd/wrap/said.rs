//! What a client said: its bytes stay as they are, and what HTTP wants repeated in headers is read from them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use kernel::book::Book;
use serde_json::Value;
use tools::mcp::era;
use tools::mcp::headers::{self, Mirrored};
use tools::mcp::wire::{self, Id, Members, Message};

use crate::config;

/// One line of a client.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) bytes: Bytes,
    pub(super) kind: Kind,
    /// Of a message that stands alone (2026-07-28): names and values. None: it belongs to a session.
    pub(super) headers: Option<Vec<(String, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Request {
        id: Id,
        method: String,
    },
    Notification {
        method: String,
        cancels: Option<Id>,
    },
    /// To something that the server asked.
    Answer,
    /// An array of messages, or what is no message: the door says which.
    Unread,
}

impl Said {
    pub(super) fn read(bytes: Bytes, marks: &Marks) -> Said {
        let (kind, headers) = match wire::read(&bytes) {
            Ok(Message::Request { id, method, params }) => {
                let headers = alone(Some(&method), &params, marks);
                (Kind::Request { id, method }, headers)
            }
            Ok(Message::Notification { method, params }) => {
                let is_cancel = method == "notifications/cancelled";
                let cancels = params.get("requestId").filter(|_| is_cancel).and_then(Id::read);
                (Kind::Notification { method, cancels }, alone(None, &params, marks))
            }
            Ok(Message::Result { .. } | Message::Error { .. }) => (Kind::Answer, None),
            Err(_) => (Kind::Unread, None),
        };
        Said { bytes, kind, headers }
    }

    /// The id that an answer must carry.
    pub(super) fn id(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            _ => None,
        }
    }

    pub(super) fn is_request(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Request { method, .. } if method == name)
    }
}

/// The headers of a message that says itself which revision it is of.
fn alone(method: Option<&str>, params: &Members, marks: &Marks) -> Option<Vec<(String, String)>> {
    let version = params.get("_meta")?.get(era::META_VERSION)?;
    let mut sent = Vec::new();
    let mut with = |name: &str, value: String| sent.push((name.to_owned(), value));
    if let Some(version) = version.as_str() {
        with(headers::VERSION, headers::encode(version));
    }
    let Some(method) = method else { return Some(sent) };
    with(headers::METHOD, headers::encode(method));
    let named = headers::name_param(method).and_then(|param| params.get(param)).and_then(Value::as_str);
    if let Some(name) = named {
        with(headers::NAME, headers::encode(name));
    }
    if let (Some(name), "tools/call", Some(Value::Object(arguments))) =
        (named, method, params.get("arguments"))
    {
        for one in marks.of(name) {
            if let Some(value) = headers::mirror(&one, arguments) {
                with(&one.header, value);
            }
        }
    }
    Some(sent)
}

// ---- Marks ------------------------------------------------------------------------------------------------

type Marked = BTreeMap<String, Vec<Mirrored>>;

/// The arguments that tools' accepted schemas want mirrored into headers, by the name that the door shows.
pub(super) struct Marks {
    config: PathBuf,
    server: Option<String>,
    marked: Mutex<Arc<Marked>>,
}

impl Marks {
    pub(super) fn new(config: PathBuf, server: Option<String>, book: &Book) -> Marks {
        let marked = Mutex::new(Arc::new(marked(server.as_deref(), book)));
        Marks { config, server, marked }
    }

    /// Reads them once more: the configuration may have changed. Whether they are others now.
    pub(super) fn refresh(&self) -> bool {
        let Ok(loaded) = config::load(&self.config) else { return false };
        let fresh = Arc::new(marked(self.server.as_deref(), &loaded.book));
        let mut known = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, fresh.clone()) != fresh
    }

    fn of(&self, tool: &str) -> Vec<Mirrored> {
        let known = self.marked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.get(tool).cloned().unwrap_or_default()
    }
}

fn marked(server: Option<&str>, book: &Book) -> Marked {
    let shown = book.tools.values().filter(|tool| server.is_none_or(|server| tool.server == server));
    let marked = shown.filter_map(|tool| {
        let mirrored = headers::mirrored(&tool.input).filter(|mirrored| !mirrored.is_empty())?;
        let name = if server.is_some() { &tool.tool } else { &tool.name };
        Some((name.clone(), mirrored))
    });
    marked.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marks() -> Marks {
        let mirrored = vec![Mirrored { path: vec!["to".to_owned()], header: "mcp-param-to".to_owned() }];
        let marked = Marked::from_iter([("send".to_owned(), mirrored)]);
        Marks { config: PathBuf::new(), server: None, marked: Mutex::new(Arc::new(marked)) }
    }

    fn said(message: &Value) -> Said {
        Said::read(message.to_string().into_bytes().into(), &marks())
    }

    #[test]
    fn a_request_that_stands_alone_is_repeated_in_headers() {
        let meta = json!({ era::META_VERSION: "2026-07-28" });
        let params = json!({ "name": "send", "arguments": { "to": "Zoë" }, "_meta": meta });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let headers = said(&call).headers.unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", "send"),
                ("mcp-param-to", "=?base64?Wm/Dqw==?="),
            ]
        );
    }

    #[test]
    fn a_request_of_a_session_has_no_headers_of_its_own_and_a_cancel_names_what_it_cancels() {
        let list = said(&json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list" }));
        assert_eq!(
            (list.headers, list.kind.clone()),
            (None, Kind::Request { id: Id::Text("a".to_owned()), method: "tools/list".to_owned() })
        );
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": 7 } });
        assert!(matches!(said(&cancel).kind, Kind::Notification { cancels: Some(Id::Number(7)), .. }));
        assert_eq!(Said::read(Bytes::from_static(b"[{}]"), &marks()).kind, Kind::Unread);
        let twice = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#);
        assert_eq!(Said::read(twice, &marks()).kind, Kind::Unread);
    }
}
