//! What a contract's `via` may say, strictly: `{"http": {"url": "https://host/base", "path": "/tool"}}`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::http::{HeaderName, Uri};
use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;

const URL_LENGTH_MAX: usize = 2048;
const HOST_LENGTH_MAX: usize = 253;

/// Headers that are ours or the transport's: an idempotency key may not stand in their place.
const HEADERS_RESERVED: [&str; 13] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where an HTTP tool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpVia {
    /// The whole address: `url` and `path` put together.
    pub target: Uri,
    pub host: Host,
}

/// How the operator wrote the host. It decides which addresses may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address in its usual spelling: the operator means that machine, private or not.
    Address(IpAddr),
    /// `localhost`: this machine's loopback and nothing else.
    Localhost,
    /// Any other name: only public addresses.
    Name(String),
}

impl HttpVia {
    /// Whether a secret may travel there: encrypted, or on a network that the operator named by its address.
    pub fn carries_secrets(&self) -> bool {
        let named_private = match &self.host {
            Host::Address(address) => !crate::resolve::is_public(address.to_canonical()),
            Host::Localhost => true,
            Host::Name(_) => false,
        };
        named_private || self.target.scheme_str() == Some("https")
    }
}

/// Reads the `via` of an HTTP tool. For the configuration too: mistakes are found before the first call.
pub fn parse_via(via: &Value) -> Result<HttpVia, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Via {
        http: Place,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Place {
        url: String,
        path: String,
    }
    let Via { http: Place { url, path } } =
        Via::deserialize(via).map_err(|error| Error::Via { why: error.to_string() })?;
    check_url(&url)?;
    check_path(&path)?;
    read_target(format!("{}{path}", url.trim_end_matches('/')))
}

/// Reads one whole address, by the same rules.
pub(crate) fn parse_address(url: &str) -> Result<HttpVia, Error> {
    check_url(url)?;
    read_target(url.to_owned())
}

fn read_target(target: String) -> Result<HttpVia, Error> {
    if target.len() > URL_LENGTH_MAX {
        return unusable(format!("the address is longer than {URL_LENGTH_MAX} bytes"));
    }
    let target: Uri = target.parse().map_err(|error| Error::Via { why: format!("the url: {error}") })?;
    let host = read_host(&target)?;
    Ok(HttpVia { target, host })
}

/// The header that carries the idempotency key, if it is one that we do not need for ourselves.
pub fn parse_idempotency_header(name: &str) -> Result<HeaderName, Error> {
    let refuse = |why| Error::Header { name: name.to_owned(), why };
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("it is not a header's name"))?;
    let ours = header.as_str();
    if HEADERS_RESERVED.contains(&ours) || ours.starts_with("content-") || ours.starts_with("remit-") {
        return Err(refuse("the header has another meaning"));
    }
    Ok(header)
}

fn unusable<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Via { why: why.into() })
}

fn check_url(url: &str) -> Result<(), Error> {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return unusable("the url begins with neither `https://` nor `http://`");
    };
    // `http::Uri` drops a fragment in silence, and clients disagree about the other three.
    check_text("url", url)?;
    if rest.contains('@') {
        return unusable("the url holds a name or a password: use `credential`");
    }
    let base = rest.split_once('/').map_or("", |(_, base)| base);
    check_segments("url", base)
}

fn check_path(path: &str) -> Result<(), Error> {
    if !path.starts_with('/') {
        return unusable("the path does not begin with `/`");
    }
    check_text("path", path)?;
    check_segments("path", path)
}

/// Refused, never repaired: whatever two clients could read differently.
fn check_text(what: &str, text: &str) -> Result<(), Error> {
    let strange = |byte: u8| !byte.is_ascii_graphic() || b"\\?#\"<>^`{|}".contains(&byte);
    match text.bytes().find(|byte| strange(*byte)) {
        Some(byte) => unusable(format!("the {what} holds `{}`", byte.escape_ascii())),
        None => Ok(()),
    }
}

fn check_segments(what: &str, path: &str) -> Result<(), Error> {
    let lower = path.to_ascii_lowercase().replace("%2e", ".");
    if lower.split('/').any(|segment| segment == "." || segment == "..") {
        return unusable(format!("the {what} holds a segment `.` or `..`"));
    }
    if lower.contains("//") || lower.contains("%2f") || lower.contains("%5c") {
        return unusable(format!("the {what} holds an empty or a hidden segment"));
    }
    Ok(())
}

fn read_host(target: &Uri) -> Result<Host, Error> {
    let Some(authority) = target.authority() else { return unusable("the url names no host") };
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).unwrap_or_default();
    if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return unusable(format!("`{port}` is not a port"));
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Host::Address(IpAddr::V6(address))),
            Err(_) => unusable(format!("`{host}` is not an address")),
        };
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let name = host.to_ascii_lowercase();
    check_name(&name)?;
    Ok(if name == "localhost" { Host::Localhost } else { Host::Name(name) })
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > HOST_LENGTH_MAX {
        return unusable("the url's host is empty or too long");
    }
    if let Some(letter) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_')) {
        return unusable(format!("the host holds `{}`", letter.escape_default()));
    }
    // A resolver reads `2130706433`, `0177.1` and `0x7f.1` as addresses: so they are nobody's name.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if last.is_empty() || hexadecimal || last.bytes().all(|b| b.is_ascii_digit()) {
        return unusable(format!("the host `{name}` is an address in an unusual spelling"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
