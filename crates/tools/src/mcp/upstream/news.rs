//! What servers tell of themselves without being asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gate::port::Feed;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::mcp::era;
use crate::mcp::wire::Members;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub server: Arc<str>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    ToolsChanged,
    PromptsChanged,
    ResourcesChanged,
    ResourceUpdated { uri: String },
}

/// Where a connection's notifications go.
#[derive(Clone)]
pub(super) struct Inbox {
    pub(super) server: Arc<str>,
    pub(super) news: broadcast::Sender<News>,
    pub(super) stale: Arc<Stale>,
}

/// Lists that the server says have changed since they were asked for.
#[derive(Default)]
pub(super) struct Stale {
    pub(super) tools: AtomicBool,
    pub(super) prompts: AtomicBool,
    pub(super) resources: AtomicBool,
}

impl Inbox {
    /// Takes in what concerns the whole connection; gives back what belongs to one request, if anything.
    pub(super) fn take(&self, method: &str, params: Members) -> Option<Word> {
        let what = match method {
            "notifications/tools/list_changed" => {
                self.stale.tools.store(true, Ordering::Release);
                What::ToolsChanged
            }
            "notifications/prompts/list_changed" => {
                self.stale.prompts.store(true, Ordering::Release);
                What::PromptsChanged
            }
            "notifications/resources/list_changed" => {
                self.stale.resources.store(true, Ordering::Release);
                What::ResourcesChanged
            }
            "notifications/resources/updated" => {
                let uri = params.get("uri").and_then(Value::as_str)?.to_owned();
                What::ResourceUpdated { uri }
            }
            "notifications/progress" | "notifications/message" => {
                let token = params.get(era::PROGRESS_TOKEN).and_then(Value::as_i64);
                return Some(Word { token, word: json!({ "method": method, "params": params }) });
            }
            _ => return None,
        };
        self.tell(what);
        None
    }

    /// Notifications may have been missed: whatever is kept must be asked for again.
    pub(super) fn missed(&self) {
        for (stale, what) in [
            (&self.stale.tools, What::ToolsChanged),
            (&self.stale.prompts, What::PromptsChanged),
            (&self.stale.resources, What::ResourcesChanged),
        ] {
            stale.store(true, Ordering::Release);
            self.tell(what);
        }
    }

    fn tell(&self, what: What) {
        // Nobody listening is no trouble.
        let _ = self.news.send(News { server: self.server.clone(), what });
    }
}

/// Progress or a log line of one request.
pub(super) struct Word {
    /// The id of the request that it names; log lines name none.
    pub(super) token: Option<i64>,
    word: Value,
}

impl Word {
    pub(super) fn tell(self, feed: &Feed) {
        feed.send(self.word);
    }
}
