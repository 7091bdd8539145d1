//! One place in its one spelling. User names, brackets, escapes and backslashes are refused, not repaired: two readers
//! would take them differently.

use unicode_normalization::is_nfkc;

use crate::contract::DestinationKind;

/// What `owner/name` alone means, unless the contract says otherwise.
const HOST: &str = "github.com";

pub(super) fn read(kind: DestinationKind, own: Option<&str>, text: &str) -> Option<String> {
    match kind {
        DestinationKind::Channel => channel(text),
        DestinationKind::Email => email(text),
        DestinationKind::Host => host(text),
        DestinationKind::Path => path(text),
        DestinationKind::Repository => repository(text, own),
        // Content is searched for places; it is not one.
        DestinationKind::Text => None,
        DestinationKind::Url => Some(url(text)?.host),
        DestinationKind::Webhook => webhook(text),
    }
}

/// ASCII letters, digits, dots and dashes, in lower case. What ends in a number is an IPv4 address in its usual form.
pub(super) fn host(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let host = text.to_ascii_lowercase();
    let last = host.rsplit('.').next()?;
    let number = last.bytes().all(|c| c.is_ascii_digit()) || last.starts_with("0x");
    let plain = host.len() <= 253 && host.split('.').all(label);
    (plain && (!number || is_ipv4(&host))).then_some(host)
}

/// Four numbers as they are usually written: no other base, no leading zero, none left out.
fn is_ipv4(host: &str) -> bool {
    let part = |part: &str| part.parse::<u8>().is_ok_and(|number| number.to_string() == part);
    host.split('.').count() == 4 && host.split('.').all(part)
}

/// `%` and `!` in the first half are old ways to name a further hop, and a slash would look like a path.
pub(super) fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"#$&'*+-=?^_`{}~".contains(&c);
    let atoms = local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(plain));
    atoms.then(|| host(domain)).flatten().map(|domain| format!("{}@{domain}", local.to_ascii_lowercase()))
}

// ---- URLs --------------------------------------------------------------------------------------------------------

struct Url<'a> {
    host: String,
    /// Unless it is the scheme's own.
    port: Option<u16>,
    /// From the first slash on, without query and fragment.
    path: &'a str,
}

fn url(text: &str) -> Option<Url<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let own = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    if rest.bytes().any(|c| c.is_ascii_control() || b" \\".contains(&c)) {
        return None;
    }
    let whole = rest.split(['?', '#']).next()?;
    let (authority, path) = whole.split_at(whole.find('/').unwrap_or(whole.len()));
    let (name, port) = authority_of(authority)?;
    Some(Url { host: host(name)?, port: port.filter(|port| *port != own), path })
}

fn authority_of(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((name, "")) => Some((name, None)),
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => {
            Some((name, Some(port.parse().ok()?)))
        }
        Some(_) => None,
        None => Some((authority, None)),
    }
}

/// Host, port and path, since each path is somebody's inbox; the query is not part of the place.
fn webhook(text: &str) -> Option<String> {
    let url = url(text)?;
    let path = url.path.strip_suffix('/').unwrap_or(url.path);
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~@:+=".contains(&c);
    let segment = |it: &str| !it.is_empty() && !it.bytes().all(|c| c == b'.') && it.bytes().all(plain);
    let whole = path.is_empty() || path.split('/').skip(1).all(segment);
    let port = url.port.map(|port| format!(":{port}")).unwrap_or_default();
    whole.then(|| format!("{}{port}{path}", url.host))
}

// ---- Repositories ------------------------------------------------------------------------------------------------

/// `host/owner/name`, in lower case and without `.git`, from every form that clients take.
fn repository(text: &str, own: Option<&str>) -> Option<String> {
    let (name, path) = if let Some(rest) = text.strip_prefix("ssh://") {
        remote(rest.strip_prefix("git@").unwrap_or(rest))?
    } else if let Some(rest) = text.strip_prefix("git://") {
        remote(rest)?
    } else if text.contains("://") {
        if text.contains(['?', '#']) {
            return None;
        }
        let url = url(text)?;
        (url.host, url.path.strip_prefix('/')?)
    } else if let Some((name, path)) = text.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
        (host(name)?, path)
    } else {
        // A first part with a dot, and two more, is a host.
        match text.split_once('/').filter(|(name, path)| name.contains('.') && path.contains('/')) {
            Some((name, path)) => (host(name)?, path),
            None => (host(own.unwrap_or(HOST))?, text),
        }
    };
    repository_at(&name, path)
}

/// The same from an owner and a name that stand apart.
pub(super) fn repository_of(own: Option<&str>, owner: &str, name: &str) -> Option<String> {
    let whole = (!name.contains('/')).then(|| format!("{owner}/{name}"))?;
    repository_at(&host(own.unwrap_or(HOST))?, &whole)
}

fn repository_at(name: &str, path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_suffix(".git").unwrap_or(path).to_ascii_lowercase();
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let part = |it: &str| !it.is_empty() && !it.starts_with(['.', '-']) && it.bytes().all(plain);
    let count = path.split('/').count();
    // Only some hosts have groups within groups; elsewhere a third part is a place within the repository.
    let fits = count == 2 || (count > 2 && name != HOST);
    let whole = fits && path.split('/').all(part) && !path.ends_with(".git");
    whole.then(|| format!("{name}/{path}"))
}

fn remote(rest: &str) -> Option<(String, &str)> {
    let (authority, path) = rest.split_once('/')?;
    Some((host(authority_of(authority)?.0)?, path))
}

// ---- Channels ----------------------------------------------------------------------------------------------------

/// `#name` in lower case, `@name` for a person, or an id as its service writes it.
fn channel(text: &str) -> Option<String> {
    let name = |name: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_".contains(&c);
        (1..=80).contains(&name.len()) && name.bytes().all(plain)
    };
    if let Some(rest) = text.strip_prefix(['#', '@']) {
        return name(rest).then(|| text.to_ascii_lowercase());
    }
    // Slack's: capitals and digits. Discord's and Telegram's: a number. Teams': `19:…@thread.tacv2`.
    let capitals = text.len() >= 9
        && text.starts_with(['C', 'D', 'G', 'U', 'W'])
        && text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or(text);
    let number = (1..=20).contains(&number.len())
        && !number.starts_with('0')
        && number.bytes().all(|c| c.is_ascii_digit());
    let thread = text.len() <= 128
        && text.starts_with("19:")
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b":@._-".contains(&c));
    if capitals || number || thread {
        return Some(text.to_owned());
    }
    name(text).then(|| format!("#{}", text.to_ascii_lowercase()))
}

// ---- Paths -------------------------------------------------------------------------------------------------------

/// Absolute, with one slash between names. Letters of every script in their one normal form; no name that some system
/// would cut, decode or read as a drive, a stream or a way up.
fn path(text: &str) -> Option<String> {
    let rest = text.strip_prefix('/')?;
    let odd = |c: char| c == '\\' || (!c.is_alphanumeric() && !c.is_ascii_graphic() && c != ' ');
    if rest.starts_with('/') || text.chars().any(odd) || is_escaped(text) || !is_nfkc(text) {
        return None;
    }
    let mut path = String::with_capacity(text.len());
    for name in rest.split('/').filter(|name| !matches!(*name, "" | ".")) {
        let drive = path.is_empty() && name.contains(':');
        if drive || name.contains("::") || name.ends_with(['.', ' ']) || name.starts_with([' ', '~']) {
            return None;
        }
        path.push('/');
        path.push_str(name);
    }
    Some(if path.is_empty() { "/".to_owned() } else { path })
}

/// `%2e`, `%2F`, `%25`: some reader would decode it.
fn is_escaped(text: &str) -> bool {
    let hex = |c: Option<&u8>| c.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, c)| *c == b'%' && hex(bytes.get(at + 1)) && hex(bytes.get(at + 2)))
}
