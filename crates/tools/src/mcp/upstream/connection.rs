//! One connection to a server: how it came about, what was agreed, and what is asked over it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::port::Cancel;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::mcp::era::{Reply, Version};
use crate::mcp::headers::Mirrored;
use crate::mcp::upstream::Watcher;
use crate::mcp::upstream::ask::{Accepted, Asking, Ended, Stop, Trouble, client_info};
use crate::mcp::upstream::http::{HttpLink, cancelled};
use crate::mcp::upstream::lists::{Kind, Lists};
use crate::mcp::upstream::news::Stale;
use crate::mcp::upstream::stdio::StdioLink;
use crate::mcp::upstream::watched::Watched;
use crate::mcp::wire::{self, Id, Members, Message, RpcError};

const HELLO_BYTES_MAX: usize = 1024 * 1024;
/// How long a server may think about a question that older ones do not know. Then it is taken for an older one.
const PROBE_WAIT: Duration = Duration::from_secs(5);
/// What Remit asks for itself.
const OWN_WAIT: Duration = Duration::from_secs(30);

pub(super) enum Link {
    Http(Arc<HttpLink>),
    Stdio(StdioLink),
}

pub struct Connection {
    pub(super) name: Arc<str>,
    pub version: Version,
    pub capabilities: Members,
    /// Its own words about itself: its name, its version, how it wants to be used.
    pub about: Value,
    pub(super) link: Link,
    pub(super) lists: Lists,
    pub(super) stale: Arc<Stale>,
    pub(super) watcher: Arc<dyn Watcher>,
    house: watch::Receiver<bool>,
    watched: Arc<Watched>,
    /// The request that listens now, where it is one among others.
    listening: Mutex<Option<Id>>,
}

/// What both ways of beginning agree on.
pub(super) struct Hello {
    version: Version,
    capabilities: Members,
    about: Value,
}

pub(super) struct Around {
    pub(super) name: Arc<str>,
    pub(super) stale: Arc<Stale>,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) house: watch::Receiver<bool>,
    pub(super) watched: Arc<Watched>,
}

impl Connection {
    pub(super) fn new(link: Link, hello: Hello, around: Around) -> Arc<Connection> {
        let Hello { version, capabilities, about } = hello;
        let Around { name, stale, watcher, house, watched } = around;
        let connection = Arc::new(Connection {
            name,
            version,
            capabilities,
            about,
            link,
            lists: Lists::default(),
            stale,
            watcher,
            house,
            watched,
            listening: Mutex::default(),
        });
        connection.listen();
        connection.watch_again();
        connection
    }

    pub(super) fn is_alive(&self) -> bool {
        match &self.link {
            Link::Http(_) => true,
            Link::Stdio(link) => link.is_alive(),
        }
    }

    pub(super) async fn ask(&self, asking: &Asking<'_>, mirrored: &[Mirrored], stop: &mut Stop) -> Ended {
        match asking.method {
            "resources/subscribe" => self.watch(true, asking, stop).await,
            "resources/unsubscribe" => self.watch(false, asking, stop).await,
            _ => self.send(asking, mirrored, stop).await,
        }
    }

    async fn send(&self, asking: &Asking<'_>, mirrored: &[Mirrored], stop: &mut Stop) -> Ended {
        let version = Some(self.version);
        match &self.link {
            Link::Http(link) => link.ask(version, asking, mirrored, stop).await,
            Link::Stdio(link) => link.ask(version, asking, stop).await,
        }
    }

    /// Calls a tool, if the server still lists it as it was accepted.
    pub(super) async fn call(self: &Arc<Self>, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
        let Some(Accepted { name, pin }) = asking.tool else { return self.ask(asking, &[], stop).await };
        let list = match self.list(Kind::Tools, stop).await {
            Ok(list) => list,
            Err(trouble) if trouble.code == "session_lost" => return Ended::SessionLost,
            Err(trouble) => return Ended::Unsent(trouble),
        };
        let Some(known) = list.tools.get(name) else {
            return Ended::Unsent(Trouble::saying("tool_missing", "the server does not list this tool"));
        };
        if pin.is_some_and(|pin| pin != known.definition && pin != known.input) {
            return Ended::Unsent(Trouble::saying(
                "tool_changed",
                "the server describes this tool otherwise than it was accepted",
            ));
        }
        self.ask(asking, &known.mirrored, stop).await
    }

    pub(super) fn own_stop(&self) -> Stop {
        Stop::new(Cancel::new(self.house.clone(), None), Instant::now() + OWN_WAIT)
    }

    pub(super) async fn close(&self) {
        match &self.link {
            Link::Http(link) => link.close(self.version).await,
            Link::Stdio(link) => link.close().await,
        }
    }

    /// Hears what the server says of itself: on its own stream, or on the one that there is.
    fn listen(&self) {
        match (&self.link, self.version.is_stateless()) {
            (Link::Http(link), false) => link.listen(self.version, Members::new()),
            (Link::Http(link), true) => link.listen(self.version, self.filter()),
            (Link::Stdio(_), false) => {}
            (Link::Stdio(link), true) => {
                let now = link.listen(self.version, "subscriptions/listen", self.filter());
                let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = listening.replace(now) {
                    link.tell(cancelled(&before, "listens for more"));
                }
            }
        }
    }

    fn filter(&self) -> Members {
        let mut filter = Members::new();
        for (capability, wanted) in [
            ("tools", "toolsListChanged"),
            ("prompts", "promptsListChanged"),
            ("resources", "resourcesListChanged"),
        ] {
            if self.capabilities.contains_key(capability) {
                filter.insert(wanted.to_owned(), true.into());
            }
        }
        let uris = self.watched.uris();
        if !uris.is_empty() {
            filter.insert("resourceSubscriptions".to_owned(), uris.into());
        }
        let mut params = Members::new();
        params.insert("notifications".to_owned(), filter.into());
        params
    }

    /// Since 2026-07-28 there is no request to watch a resource: what is listened for says it.
    async fn watch(&self, on: bool, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
        let nothing = Ended::Answered(Reply::Result(Members::new()));
        let Some(uri) = asking.params.get("uri").and_then(Value::as_str) else {
            return Ended::Answered(Reply::Error(RpcError::new(wire::INVALID_PARAMS, "`uri` is missing")));
        };
        let Some(is_news) = self.watched.note(on, uri) else { return Ended::Refused(Trouble::new("busy")) };
        if self.version.is_stateless() {
            if is_news {
                self.listen();
            }
            return nothing;
        }
        if !on && !is_news {
            return nothing;
        }
        let ended = self.send(asking, &[], stop).await;
        if on && !matches!(ended, Ended::Answered(Reply::Result(_))) {
            self.watched.note(false, uri);
        }
        ended
    }

    /// What was watched over the connection before this one.
    fn watch_again(self: &Arc<Self>) {
        let uris = self.watched.uris();
        if self.version.is_stateless() || uris.is_empty() {
            return;
        }
        let connection = self.clone();
        tokio::spawn(async move {
            for uri in uris {
                let params = Members::from_iter([("uri".to_owned(), Value::from(uri))]);
                let asking = Asking::new("resources/subscribe", params, HELLO_BYTES_MAX);
                connection.send(&asking, &[], &mut connection.own_stop()).await;
            }
        });
    }
}

/// How a question of the negotiation came out.
pub(super) enum Probed {
    Agreed(Hello),
    /// Not of this era; the other may do.
    OtherEra,
    /// The child ended over the question: a new one must be asked otherwise.
    Died,
    Failed(Trouble),
}

impl Link {
    async fn hear(&self, version: Option<Version>, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
        match self {
            Link::Http(link) => link.ask(version, asking, &[], stop).await,
            Link::Stdio(link) => link.ask(version, asking, stop).await,
        }
    }

    /// Asks as the newest era does.
    pub(super) async fn discover(&self, stop: &mut Stop) -> Probed {
        let asking = Asking::new("server/discover", Members::new(), HELLO_BYTES_MAX);
        let mut probe = Stop::new(stop.cancel.clone(), stop.deadline.min(Instant::now() + PROBE_WAIT));
        match self.hear(Some(Version::LATEST), &asking, &mut probe).await {
            Ended::Answered(Reply::Result(result)) => discovered(result),
            Ended::Answered(Reply::Error(error)) if error.code == wire::UNSUPPORTED_VERSION => {
                match versions(error.data.as_ref().and_then(|data| data.get("supported"))) {
                    Some(supported) if !supported.iter().any(|version| is_initialized(version)) => {
                        Probed::Failed(no_common(&supported))
                    }
                    _ => Probed::OtherEra,
                }
            }
            // Whoever answers at all can be asked otherwise; who wants a credential wants it in either era.
            Ended::Refused(trouble) if matches!(&*trouble.code, "status_401" | "status_403" | "redirect") => {
                Probed::Failed(trouble)
            }
            Ended::Broken(trouble) if trouble.code == "connection_lost" && matches!(self, Link::Stdio(_)) => {
                Probed::Died
            }
            Ended::Unsent(trouble) => Probed::Failed(trouble),
            _ => Probed::OtherEra,
        }
    }

    /// Begins as the eras before did, saying what the server may ask of us.
    pub(super) async fn initialize(&self, capabilities: Members, stop: &mut Stop) -> Probed {
        let params = json!({
            "protocolVersion": Version::LATEST_INITIALIZED.text(),
            "capabilities": capabilities,
            "clientInfo": client_info(),
        });
        let Value::Object(params) = params else { return Probed::OtherEra };
        let asking = Asking::new("initialize", params, HELLO_BYTES_MAX);
        let hello = match self.hear(None, &asking, stop).await {
            Ended::Answered(Reply::Result(result)) => match initialized(result) {
                Ok(hello) => hello,
                Err(trouble) => return Probed::Failed(trouble),
            },
            Ended::Answered(Reply::Error(error)) if error.code == wire::UNSUPPORTED_VERSION => {
                return Probed::OtherEra;
            }
            Ended::Answered(Reply::Error(error)) => {
                return Probed::Failed(Trouble::saying("initialize_refused", &error.message));
            }
            Ended::Unsent(trouble) | Ended::Refused(trouble) | Ended::Broken(trouble) => {
                return Probed::Failed(trouble);
            }
            Ended::SessionLost => return Probed::Failed(Trouble::new("session_lost")),
        };
        let initialized =
            Message::Notification { method: "notifications/initialized".to_owned(), params: Members::new() };
        match self {
            Link::Http(link) => link.tell(Some(hello.version), initialized).await,
            Link::Stdio(link) => link.tell(initialized),
        }
        Probed::Agreed(hello)
    }
}

fn discovered(mut result: Members) -> Probed {
    let supported = versions(result.get("supportedVersions")).unwrap_or_default();
    let Some(Value::Object(capabilities)) = result.remove("capabilities") else { return Probed::OtherEra };
    if !supported.iter().any(|version| version == Version::LATEST.text()) {
        return Probed::OtherEra;
    }
    let info = result.get("_meta").and_then(|meta| meta.get(crate::mcp::era::META_SERVER_INFO)).cloned();
    let about = json!({ "server": info, "instructions": result.remove("instructions") });
    Probed::Agreed(Hello { version: Version::LATEST, capabilities, about })
}

fn initialized(mut result: Members) -> Result<Hello, Trouble> {
    let said = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    // What of it Remit uses is the same in 2024-11-05 as in the revision after it.
    let said = if said == "2024-11-05" { Version::V2025_03_26.text() } else { said };
    let version = Version::parse(said).filter(|version| !version.is_stateless());
    let version = version.ok_or_else(|| no_common(&[said.to_owned()]))?;
    let capabilities = match result.remove("capabilities") {
        Some(Value::Object(capabilities)) => capabilities,
        _ => Members::new(),
    };
    let about =
        json!({ "server": result.remove("serverInfo"), "instructions": result.remove("instructions") });
    Ok(Hello { version, capabilities, about })
}

fn versions(value: Option<&Value>) -> Option<Vec<String>> {
    Some(value?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn is_initialized(version: &str) -> bool {
    version == "2024-11-05" || Version::parse(version).is_some_and(|version| !version.is_stateless())
}

fn no_common(supported: &[String]) -> Trouble {
    Trouble::saying("no_common_version", &format!("the server speaks {}", supported.join(", ")))
}
