//! `listen`: where agents and people come in, and where what they are told leads to.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::yaml::{At, Page};

const AGENTS_LISTEN: &str = "127.0.0.1:7470";
const PEOPLE_LISTEN: &str = "127.0.0.1:7471";
const MESSAGE_MB: u64 = 1;
const MESSAGE_MB_MAX: u64 = 16;
/// Stands for the id in the address of a trace.
const TRACE: &str = "{trace}";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Listen {
    /// Address and port of the doors that agents call.
    #[schemars(extend("default" = AGENTS_LISTEN))]
    agents: Option<At<String>>,
    /// The largest message in MiB that an agent's MCP client may send, or `remit wrap` reads; at most 16.
    #[schemars(extend("default" = MESSAGE_MB))]
    message_mb: Option<At<u64>>,
    /// Where people's browsers find the console, such as `https://remit.example.com`: links in notifications and in
    /// what agents are told begin with it. Its host is served without being listed under `hosts`.
    #[schemars(extend("default" = "the people's address"))]
    console: Option<At<String>>,
    /// Where people look up a trace, such as `https://tracing.example.com/trace/{trace}`: a run's page links there.
    /// `{trace}` stands for the id that tool servers are told in `traceparent`.
    traces: Option<At<String>>,
    /// Address and port of the API and console that people use; loopback only, until Remit speaks TLS.
    #[schemars(extend("default" = PEOPLE_LISTEN))]
    people: Option<At<String>>,
}

/// The same, as it is meant.
pub(super) struct Doors {
    pub(super) agents: SocketAddr,
    pub(super) people: SocketAddr,
    pub(super) message_bytes_max: usize,
    /// An address without a path, and the host in it.
    pub(super) console: Option<(String, String)>,
    pub(super) traces: Option<String>,
}

pub(super) fn read(page: &mut Page<'_>, listen: Option<&Listen>) -> Doors {
    let agents = listen.and_then(|listen| listen.agents.as_ref());
    let people = listen.and_then(|listen| listen.people.as_ref());
    let (agents_listen, people_listen) =
        (address(page, agents, AGENTS_LISTEN), address(page, people, PEOPLE_LISTEN));
    if let Some(at) = agents.filter(|_| !agents_listen.ip().is_loopback()) {
        page.warning("listen", at.place, format!("`{}` is not loopback, and there is no TLS yet", at.value))
            .help("agents' keys would cross the network in clear text: put a proxy that speaks TLS in front");
    }
    if let Some(at) = people.filter(|_| !people_listen.ip().is_loopback()) {
        let message = format!("`{}` is not loopback, and there is no TLS yet", at.value);
        page.error("listen", at.place, message).help(format!(
            "sessions would cross the network in clear text: use `{PEOPLE_LISTEN}`, and a proxy or a tunnel"
        ));
    }
    if let Some(at) =
        people.or(agents).filter(|_| agents_listen == people_listen && agents_listen.port() != 0)
    {
        page.error("listen", at.place, format!("`{}` is the other listener's address too", at.value))
            .help("agents and people never share a door: give each a port of its own");
    }
    Doors {
        agents: agents_listen,
        people: people_listen,
        message_bytes_max: message_bytes(page, listen.and_then(|listen| listen.message_mb.as_ref())),
        console: listen.and_then(|listen| listen.console.as_ref()).and_then(|at| console(page, at)),
        traces: listen.and_then(|listen| listen.traces.as_ref()).and_then(|at| traces(page, at)),
    }
}

fn message_bytes(page: &mut Page<'_>, written: Option<&At<u64>>) -> usize {
    let mb = written.map_or(MESSAGE_MB, |at| page.at_least_one(at));
    if let Some(at) = written.filter(|_| mb > MESSAGE_MB_MAX) {
        page.error("listen", at.place, format!("a message of {mb} MiB is more than Remit takes"))
            .help(format!("at most {MESSAGE_MB_MAX}; put large content where tools can fetch it"));
    }
    usize::try_from(mb.min(MESSAGE_MB_MAX) << 20).unwrap_or(usize::MAX)
}

fn address(page: &mut Page<'_>, written: Option<&At<String>>, default: &str) -> SocketAddr {
    let fallback = default.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let Some(at) = written else { return fallback };
    at.value.parse().unwrap_or_else(|_| {
        page.error("listen", at.place, format!("`{}` is not an address and a port", at.value))
            .help(format!("numbers, such as `{default}` or `[::1]:7470`; names are not looked up"));
        fallback
    })
}

/// An address without a path, and the host in it.
fn console(page: &mut Page<'_>, at: &At<String>) -> Option<(String, String)> {
    let rest = at.value.strip_prefix("https://").or_else(|| at.value.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    match rest.filter(|host| !host.is_empty() && host.bytes().all(plain)) {
        Some(host) => Some((at.value.clone(), host.to_ascii_lowercase())),
        None => {
            page.error("console", at.place, format!("`{}` is not where a console is", at.value)).help(
                "a scheme and a host, without a path and without `/` at its end: `https://remit.example.com`",
            );
            None
        }
    }
}

/// An address with the trace in its path, its query or behind its `#`.
fn traces(page: &mut Page<'_>, at: &At<String>) -> Option<String> {
    let rest = at.value.strip_prefix("https://").or_else(|| at.value.strip_prefix("http://"));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>`\\".contains(&byte));
    let path = rest.and_then(|rest| rest.split_once('/')).filter(|(host, _)| !host.is_empty());
    if path.is_some_and(|(host, path)| plain(host) && plain(path) && path.contains(TRACE)) {
        return Some(at.value.clone());
    }
    page.error("traces", at.place, format!("`{}` does not lead to a trace", at.value)).help(
        "a scheme, a host and a path with `{trace}` where the id belongs: `https://tracing.example.com/trace/{trace}`",
    );
    None
}
