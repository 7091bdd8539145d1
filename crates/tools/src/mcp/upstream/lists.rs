//! What a server offers: asked for once, kept until the server or its time to live says otherwise.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;
use tokio::time::Instant;

use crate::mcp::definition_digest;
use crate::mcp::era::Reply;
use crate::mcp::headers::{self, Mirrored};
use crate::mcp::upstream::ask::{Asking, Ended, Stop, Trouble};
use crate::mcp::upstream::connection::Connection;
use crate::mcp::upstream::news::Stale;
use crate::mcp::wire::Members;

const PAGES_MAX: usize = 100;
const ITEMS_MAX: usize = 10_000;
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
const CURSOR_BYTES_MAX: usize = 8 * 1024;
const NAME_LENGTH_MAX: usize = 256;
/// How long a list is kept: what the server says, within these; and if it says nothing.
const KEPT_MIN: Duration = Duration::from_secs(5);
const KEPT_MAX: Duration = Duration::from_secs(3_600);
const KEPT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl Kind {
    fn method(self) -> &'static str {
        match self {
            Kind::Tools => "tools/list",
            Kind::Resources => "resources/list",
            Kind::Templates => "resources/templates/list",
            Kind::Prompts => "prompts/list",
        }
    }

    fn member(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Resources => "resources",
            Kind::Templates => "resourceTemplates",
            Kind::Prompts => "prompts",
        }
    }

    /// What a server that has this says of itself.
    fn capability(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Resources | Kind::Templates => "resources",
            Kind::Prompts => "prompts",
        }
    }

    fn stale(self, stale: &Stale) -> &AtomicBool {
        match self {
            Kind::Tools => &stale.tools,
            Kind::Resources | Kind::Templates => &stale.resources,
            Kind::Prompts => &stale.prompts,
        }
    }
}

/// What a server listed, as it listed it.
#[derive(Debug, Default)]
pub struct List {
    pub items: Vec<Value>,
    /// Of tools: what each is now, by its name.
    pub tools: HashMap<String, Known>,
}

#[derive(Debug)]
pub struct Known {
    /// Of all that is pinned.
    pub definition: Digest,
    /// Of the input schema alone.
    pub input: Digest,
    pub(super) mirrored: Vec<Mirrored>,
    item: usize,
}

impl List {
    /// A tool's definition as the server gave it.
    pub fn tool(&self, name: &str) -> Option<&Value> {
        self.items.get(self.tools.get(name)?.item)
    }
}

#[derive(Default)]
pub(super) struct Lists {
    tools: Listed,
    resources: Listed,
    templates: Listed,
    prompts: Listed,
}

#[derive(Default)]
struct Listed {
    kept: Mutex<Option<Kept>>,
    /// One asks at a time; the others wait for what it hears.
    asking: tokio::sync::Mutex<()>,
}

struct Kept {
    list: Arc<List>,
    until: Instant,
}

impl Connection {
    /// What the server offers; asked for if nothing is kept, or what is kept is no longer true.
    pub(super) async fn list(self: &Arc<Self>, kind: Kind, stop: &mut Stop) -> Result<Arc<List>, Trouble> {
        let stale = kind.stale(&self.stale);
        if !stale.load(Ordering::Acquire)
            && let Some((list, is_fresh)) = self.listed(kind).kept()
        {
            if !is_fresh {
                self.refresh_soon(kind);
            }
            return Ok(list);
        }
        let listed = self.listed(kind);
        let _turn = tokio::select! {
            trouble = stop.wanted() => return Err(trouble),
            turn = listed.asking.lock() => turn,
        };
        if !stale.load(Ordering::Acquire)
            && let Some((list, true)) = listed.kept()
        {
            return Ok(list);
        }
        self.refreshed(kind, stop).await
    }

    /// Asks again without making anybody wait, unless somebody does already.
    pub(super) fn refresh_soon(self: &Arc<Self>, kind: Kind) {
        let connection = self.clone();
        tokio::spawn(async move {
            let Ok(_turn) = connection.listed(kind).asking.try_lock() else { return };
            let mut stop = connection.own_stop();
            if let Err(trouble) = connection.refreshed(kind, &mut stop).await {
                tracing::warn!(server = &*connection.name, ?trouble, "a list cannot be renewed");
            }
        });
    }

    async fn refreshed(self: &Arc<Self>, kind: Kind, stop: &mut Stop) -> Result<Arc<List>, Trouble> {
        // Put back before it is asked: a change while it is being told counts.
        kind.stale(&self.stale).store(false, Ordering::Release);
        let asked = self.ask_list(kind, stop).await;
        let (items, kept_for) = match asked {
            Ok(asked) => asked,
            Err(trouble) => {
                kind.stale(&self.stale).store(true, Ordering::Release);
                return Err(trouble);
            }
        };
        let list = Arc::new(match kind {
            Kind::Tools => tools(items),
            Kind::Resources | Kind::Templates | Kind::Prompts => List { items, tools: HashMap::new() },
        });
        if kind == Kind::Tools {
            self.watcher.seen(&self.name, list.clone()).await;
        }
        self.listed(kind).keep(Kept { list: list.clone(), until: Instant::now() + kept_for });
        Ok(list)
    }

    async fn ask_list(&self, kind: Kind, stop: &mut Stop) -> Result<(Vec<Value>, Duration), Trouble> {
        let mut items = Vec::new();
        let mut kept_for = KEPT;
        if self.capabilities.get(kind.capability()).is_none_or(Value::is_null) {
            return Ok((items, kept_for));
        }
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut params = Members::new();
            if let Some(cursor) = &cursor {
                params.insert("cursor".to_owned(), cursor.as_str().into());
            }
            let asking = Asking::new(kind.method(), params, PAGE_BYTES_MAX);
            let mut page = match self.ask(&asking, &[], stop).await {
                Ended::Answered(Reply::Result(page)) => page,
                Ended::Answered(Reply::Error(error)) => {
                    return Err(Trouble::saying("list_refused", &error.message));
                }
                Ended::Unsent(trouble) | Ended::Refused(trouble) | Ended::Broken(trouble) => {
                    return Err(trouble);
                }
                Ended::SessionLost => return Err(Trouble::new("session_lost")),
            };
            if let Some(ms) = page.get("ttlMs").and_then(Value::as_u64) {
                kept_for = Duration::from_millis(ms).clamp(KEPT_MIN, KEPT_MAX);
            }
            let Some(Value::Array(more)) = page.remove(kind.member()) else {
                return Err(Trouble::saying("malformed_list", "the list has no items"));
            };
            items.extend(more);
            if items.len() > ITEMS_MAX {
                return Err(Trouble::new("list_too_long"));
            }
            match page.remove("nextCursor") {
                Some(Value::String(next)) if next.len() <= CURSOR_BYTES_MAX => {
                    if cursor.as_ref() == Some(&next) {
                        return Err(Trouble::saying("malformed_list", "a page leads to itself"));
                    }
                    cursor = Some(next);
                }
                None | Some(Value::Null) => return Ok((items, kept_for)),
                Some(_) => return Err(Trouble::saying("malformed_list", "the cursor is not a text")),
            }
        }
        Err(Trouble::new("list_too_long"))
    }

    fn listed(&self, kind: Kind) -> &Listed {
        match kind {
            Kind::Tools => &self.lists.tools,
            Kind::Resources => &self.lists.resources,
            Kind::Templates => &self.lists.templates,
            Kind::Prompts => &self.lists.prompts,
        }
    }
}

impl Listed {
    fn kept(&self) -> Option<(Arc<List>, bool)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|kept| (kept.list.clone(), Instant::now() < kept.until))
    }

    fn keep(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

/// Tools by their names. One without a usable name or schema, or listed twice, is not there.
fn tools(items: Vec<Value>) -> List {
    let mut list = List { items, tools: HashMap::new() };
    let mut twice = Vec::new();
    for (item, tool) in list.items.iter().enumerate() {
        let Some(name) = tool.get("name").and_then(Value::as_str).filter(|name| is_name(name)) else {
            continue;
        };
        let Some(schema) = tool.get("inputSchema").filter(|schema| schema.is_object()) else { continue };
        let known = Known {
            definition: definition_digest(tool),
            input: Digest::of(&canonical(schema)),
            mirrored: headers::mirrored(schema).unwrap_or_default(),
            item,
        };
        if list.tools.insert(name.to_owned(), known).is_some() {
            twice.push(name.to_owned());
        }
    }
    for name in twice {
        list.tools.remove(&name);
    }
    list
}

fn is_name(name: &str) -> bool {
    let ours = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.bytes().all(ours)
}
