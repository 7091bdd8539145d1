//! The places named inside of content: every URL and e-mail address that a reader would make a link of or fetch.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::place::{email, host};
use crate::pattern::{constant, emails};

/// Hosts and addresses; none if one of them cannot be read in just one way.
pub(super) fn places(text: &str) -> Option<Vec<String>> {
    let text = decoded(text);
    let mut found = BTreeSet::new();
    search(&text, &mut found)?;
    // Markdown takes a backslash before a sign away, a browser takes it for a slash: both readings count.
    if let Some(plain) = unescaped(&text) {
        search(&plain, &mut found)?;
    }
    Some(found.into_iter().collect())
}

/// What ends a host for every reader: no browser takes these for a part of it.
const ENDS: [char; 12] = ['/', '\\', '?', '#', '"', '<', '>', '`', '[', ']', '^', '|'];

static LINKS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        // `https:/host` and `https:host` are links to a browser.
        constant(r"(?i-u:\b(?:https?|wss?|ftp)):[/\\]*"),
        constant(r"(?i-u:[a-z][a-z0-9+.\-]*)://"),
        // With the scheme left out, where markup holds an address.
        constant(r#"(?:["'(=<,]|\]:)\s*[/\\]{2,}"#),
        constant(r"(?i-u:\b)(?i-u:www)\."),
    ]
});

/// A host without a scheme, and then a path: mail and chat make links of these too.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(?:^|[^A-Za-z0-9_./\\@:%\-])(?<it>(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2,24}(?::[0-9]{1,5})?)[/?]")
});

/// A browser drops line breaks within an attribute, so that the host goes on after them.
static BROKEN: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"=\s*["']\s*(?:[A-Za-z]+:)?[/\\]{2,}[^"'<>/\\?#]*[\t\r\n]"#));

fn search(text: &str, found: &mut BTreeSet<String>) -> Option<()> {
    if BROKEN.is_match(text) {
        return None;
    }
    let [known, any, relative, www] = &*LINKS;
    for link in known.find_iter(text) {
        let is_whole = link.as_str().ends_with("//");
        found.extend(after(text, link.end(), |host| is_whole || host.contains('.'))?);
    }
    for link in any.find_iter(text) {
        // `file:///etc` names no host.
        found.extend(after(text, link.end(), |_| true)?);
    }
    for link in relative.find_iter(text) {
        found.extend(after(text, link.end(), |host| host.contains('.'))?);
    }
    for link in www.find_iter(text) {
        found.extend(after(text, link.start(), |host| host.matches('.').count() > 1)?);
    }
    for bare in BARE.captures_iter(text).filter_map(|found| found.name("it")) {
        found.extend(after(text, bare.start(), |_| true)?);
    }
    for address in emails(text) {
        let address = text.get(address)?.replace("%40", "@");
        found.insert(email(address.trim_start_matches(['.', '\'', '-', '+']))?);
    }
    Some(())
}

/// The host that stands here, if one does: `Some(None)` where no link begins, `None` where readers would differ.
fn after(text: &str, start: usize, counts: impl Fn(&str) -> bool) -> Option<Option<String>> {
    let rest = text.get(start..)?;
    let end = rest.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.is_empty() && rest.starts_with('[') && counts("[.]") {
        return None;
    }
    // Signs at the end belong to the sentence.
    let authority = authority.trim_end_matches(|c: char| c.is_ascii_punctuation());
    if authority.is_empty() || !counts(authority) {
        return Some(None);
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    port.bytes().all(|c| c.is_ascii_digit()).then(|| host(name).map(Some))?
}

/// HTML and Markdown both read these, in addresses too.
fn decoded(text: &str) -> String {
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
        constant(r"&(?:#(?<code>[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});?|(?<name>[A-Za-z]{2,8});)")
    });
    let plain = |found: &Captures<'_>| {
        let whole = found.get(0).map_or("", |found| found.as_str());
        let name = found.name("name").map_or("", |name| name.as_str());
        let code = found.name("code").and_then(|code| match code.as_str().strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => code.as_str().parse().ok(),
        });
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, sign)| *sign);
        code.and_then(char::from_u32).or(named).map_or(whole.to_owned(), String::from)
    };
    ENTITY.replace_all(text, plain).into_owned()
}

const NAMED: [(&str, char); 13] = [
    ("amp", '&'),
    ("apos", '\''),
    ("bsol", '\\'),
    ("colon", ':'),
    ("commat", '@'),
    ("gt", '>'),
    ("lt", '<'),
    ("nbsp", ' '),
    ("num", '#'),
    ("period", '.'),
    ("quest", '?'),
    ("quot", '"'),
    ("sol", '/'),
];

fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        let escapes = sign == '\\' && signs.peek().is_some_and(char::is_ascii_punctuation);
        plain.push(if escapes { signs.next().unwrap_or(sign) } else { sign });
    }
    (plain != text).then_some(plain)
}
