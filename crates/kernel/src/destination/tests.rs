//! What reads as a destination, and what is refused because two readers would differ.

use proptest::prelude::*;
use serde_json::json;

use super::place::read;
use super::*;

const ROWS: &[(DestinationKind, &str, Option<&str>)] = &[
    (DestinationKind::Email, "Ann@Customers.Example", Some("ann@customers.example")),
    (DestinationKind::Email, "a@b.example, c@evil.example", None),
    (DestinationKind::Email, "a@evil.example@customers.example", None),
    (DestinationKind::Email, "a%evil.example@customers.example", None),
    (DestinationKind::Email, "Ann <a@b.example>", None),
    (DestinationKind::Email, "a@b.example\r\nBcc: c@evil.example", None),
    (DestinationKind::Email, "@b.example", None),
    (DestinationKind::Email, "a@[127.0.0.1]", None),
    (DestinationKind::Url, "https://Docs.Example:443/x?y#z", Some("docs.example")),
    (DestinationKind::Url, "HTTPS://docs.example", Some("docs.example")),
    (DestinationKind::Url, "https://docs.example@evil.example/", None),
    (DestinationKind::Url, "https://docs.example\\@evil.example/", None),
    (DestinationKind::Url, "https://docs.example/\r\nHost: evil.example", None),
    (DestinationKind::Url, "file:///etc/passwd", None),
    (DestinationKind::Url, "https:///docs.example/", None),
    (DestinationKind::Url, "https://docs%2eexample/", None),
    (DestinationKind::Url, "https://[::1]/", None),
    (DestinationKind::Host, "hooks.example", Some("hooks.example")),
    (DestinationKind::Host, "hooks.example.", None),
    (DestinationKind::Host, "höoks.example", None),
    (DestinationKind::Host, "hооks.example", None),
    (DestinationKind::Host, "127.0.0.1", Some("127.0.0.1")),
    (DestinationKind::Host, "127.1", None),
    (DestinationKind::Host, "0177.0.0.1", None),
    (DestinationKind::Host, "0x7f.0.0.1", None),
    (DestinationKind::Host, "2130706433", None),
    (DestinationKind::Host, "0x7f000001", None),
    (DestinationKind::Channel, "#General", Some("#general")),
    (DestinationKind::Channel, "general", Some("#general")),
    (DestinationKind::Channel, "C024BE91L", Some("C024BE91L")),
    (DestinationKind::Channel, "-1001234567890", Some("-1001234567890")),
    (DestinationKind::Channel, "@ann", Some("@ann")),
    (DestinationKind::Channel, "19:abc_DEF@thread.tacv2", Some("19:abc_DEF@thread.tacv2")),
    (DestinationKind::Channel, "#gеneral", None),
    (DestinationKind::Channel, "##general", None),
    (DestinationKind::Channel, "#general, #random", None),
    (DestinationKind::Channel, "", None),
    (DestinationKind::Repository, "Acme/Site", Some("github.com/acme/site")),
    (DestinationKind::Repository, "https://GitHub.com/Acme/Site.git", Some("github.com/acme/site")),
    (DestinationKind::Repository, "https://github.com/acme/site/", Some("github.com/acme/site")),
    (DestinationKind::Repository, "git@github.com:acme/site.git", Some("github.com/acme/site")),
    (DestinationKind::Repository, "ssh://git@github.com:22/acme/site", Some("github.com/acme/site")),
    (DestinationKind::Repository, "git://github.com/acme/site", Some("github.com/acme/site")),
    (DestinationKind::Repository, "github.com/acme/site", Some("github.com/acme/site")),
    (DestinationKind::Repository, "gitlab.example/a/b/c", Some("gitlab.example/a/b/c")),
    (DestinationKind::Repository, "https://github.com/acme/site/tree/main", None),
    (DestinationKind::Repository, "https://ann:pw@github.com/acme/site", None),
    (DestinationKind::Repository, "acme/../evil", None),
    (DestinationKind::Repository, "acme", None),
    (DestinationKind::Repository, "acme/site?x=evil/y", None),
    (DestinationKind::Repository, "-oProxyCommand=x/y", None),
    (DestinationKind::Path, "/srv/data/a b.txt", Some("/srv/data/a b.txt")),
    (DestinationKind::Path, "/srv//data/./x/", Some("/srv/data/x")),
    (DestinationKind::Path, "/srv/Verträge/x", Some("/srv/Verträge/x")),
    (DestinationKind::Path, "/", Some("/")),
    (DestinationKind::Path, "/srv/data/../../etc/passwd", None),
    (DestinationKind::Path, "/srv/data/%2e%2e/etc", None),
    (DestinationKind::Path, "/srv/data%2f..", None),
    (DestinationKind::Path, "/srv/data\\..\\x", None),
    (DestinationKind::Path, "/srv/data/.. /x", None),
    (DestinationKind::Path, "/srv/data/．．/x", None),
    (DestinationKind::Path, "/srv/Vertra\u{308}ge/x", None),
    (DestinationKind::Path, "/srv/data\0.txt", None),
    (DestinationKind::Path, "srv/data", None),
    (DestinationKind::Path, "//server/share", None),
    (DestinationKind::Path, "C:\\data", None),
    (DestinationKind::Path, "/C:/data", None),
    (DestinationKind::Path, "/srv/x.txt::$DATA", None),
    (DestinationKind::Path, "~/x", None),
    (DestinationKind::Path, "file:///srv/x", None),
    (DestinationKind::Webhook, "https://Hooks.example/T1/aB", Some("hooks.example/T1/aB")),
    (DestinationKind::Webhook, "https://hooks.example:443/T1/?x=y#z", Some("hooks.example/T1")),
    (DestinationKind::Webhook, "https://hooks.example:8443/T1", Some("hooks.example:8443/T1")),
    (DestinationKind::Webhook, "https://hooks.example", Some("hooks.example")),
    (DestinationKind::Webhook, "https://hooks.example/T1/../T2", None),
    (DestinationKind::Webhook, "https://hooks.example/T1%2fx", None),
    (DestinationKind::Webhook, "https://hooks.example//T1", None),
    (DestinationKind::Webhook, "https://hooks.example/T1;x/y", None),
];

#[test]
fn one_reading_or_none() {
    for (kind, text, want) in ROWS {
        assert_eq!(read(*kind, None, text).as_deref(), *want, "{kind:?} {text}");
    }
    let own = |text| read(DestinationKind::Repository, Some("gitlab.example"), text);
    assert_eq!(own("acme/site"), Some("gitlab.example/acme/site".to_owned()));
    assert_eq!(own("acme/web/site"), Some("gitlab.example/acme/web/site".to_owned()));
}

#[test]
fn every_place_in_a_text_is_found() {
    let rows: &[(&str, Option<&[&str]>)] = &[
        ("Thanks, all done. See src/main.rs and/or v1.2/notes.", Some(&[])),
        ("see https://Docs.example/x, or ann@Mail.example.", Some(&["ann@mail.example", "docs.example"])),
        ("![x](https://evil.example/?q=secret)", Some(&["evil.example"])),
        ("[https://a.example](https://b.example)", Some(&["a.example", "b.example"])),
        ("![x](//evil.example/p.png)", Some(&["evil.example"])),
        ("<img src='//evil.example/p.png'>", Some(&["evil.example"])),
        ("[x]: //evil.example/p.png", Some(&["evil.example"])),
        ("![x](https&#58;//evil.example/p)", Some(&["evil.example"])),
        ("![x](https&colon;&sol;&sol;evil&#x2e;example/p)", Some(&["evil.example"])),
        ("![x](https\\://evil.example/p)", Some(&["evil.example"])),
        ("<a href=\"https:/\\evil.example/p\">", Some(&["evil.example"])),
        ("<a href=\"https:evil.example/p\">", Some(&["evil.example"])),
        ("https://a.example\\.b.example/", Some(&["a.example", "a.example.b.example"])),
        ("WWW.evil.example", Some(&["www.evil.example"])),
        ("open evil.example/p?q=1", Some(&["evil.example"])),
        ("mailto:eve@evil.example?cc=mal@evil.example", Some(&["eve@evil.example", "mal@evil.example"])),
        ("ftp://files.example and slack://open", Some(&["files.example", "open"])),
        ("**https://a.example**, (https://b.example).", Some(&["a.example", "b.example"])),
        ("https://a.example:8443/x", Some(&["a.example"])),
        ("https://a.example@evil.example/", None),
        ("https://a.example,x@evil.example/", None),
        ("https://a.example&#64;evil.example/", None),
        ("https://évil.example/", None),
        ("https://evil。example/", None),
        ("https://evil%2eexample/", None),
        ("https://[::1]/", None),
        ("https://2130706433/", None),
        ("<img src=\"https://a.example\n.evil.example/x\">", None),
        ("see https://a.example\nThanks", Some(&["a.example"])),
        ("https://", Some(&[])),
        ("install react@18.2.0, icon@2x.png", Some(&[])),
    ];
    for (text, want) in rows {
        let found = text::places(text);
        assert_eq!(
            found.as_deref(),
            want.map(|want| want.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()).as_deref(),
            "{text}"
        );
    }
}

fn contract(to: &[&str], destinations: serde_json::Value) -> Contract {
    let bare = json!({
        "about": "", "credential": null, "cost_usd_nanos": 0, "destinations": destinations, "effect": "read",
        "env": "prod", "idempotency_header": null, "input": {}, "labels": [], "name": "a.b", "operation": "read",
        "pin": null, "result_bytes_max": 1, "server": "a", "timeout_ms": 1, "to": to, "tool": "b", "via": {}
    });
    serde_json::from_value(bare).unwrap()
}

#[test]
fn a_path_is_followed_into_lists_and_never_past_what_it_cannot_read() {
    let contract = contract(
        &[],
        json!([{ "kind": "email", "path": ["to", "address"] }, { "kind": "text", "path": ["body"] }]),
    );
    let read = |args| destinations(&contract, &args).map_err(|reason| (reason.code, reason.at.unwrap()));
    assert_eq!(read(json!({ "to": [{ "address": "a@b.example" }, {}] })), Ok(vec!["a@b.example".to_owned()]));
    assert_eq!(read(json!({ "to": null })), Ok(vec![]));
    assert_eq!(read(json!({ "to": "eve@evil.example" })), Err((Code::DestinationInvalid, "/to".to_owned())));
    assert_eq!(
        read(json!({ "to": { "address": 7 } })),
        Err((Code::DestinationInvalid, "/to/address".to_owned()))
    );
    let blocks = json!({ "body": [{ "type": "section", "text": { "text": "https://c.example/" } }, 7] });
    assert_eq!(read(blocks), Ok(vec!["c.example".to_owned()]));
}

#[test]
fn what_a_contract_does_not_let_a_tool_reach_no_call_reaches() {
    let contract = contract(
        &["*@a.example", "a.example"],
        json!([{ "kind": "email", "path": ["to"] }, { "kind": "text", "path": ["body"] }]),
    );
    let read = |args| destinations(&contract, &args).map_err(|reason| (reason.code, reason.at.unwrap()));
    let forbidden = |at: &str| Err((Code::DestinationForbidden, at.to_owned()));
    assert!(read(json!({ "to": "x@a.example", "body": "https://a.example/" })).is_ok());
    assert_eq!(read(json!({ "to": ["x@a.example", "x@b.example"] })), forbidden("/to/1"));
    assert_eq!(read(json!({ "to": "x@a.example", "body": "https://b.example/" })), forbidden("/body"));
    assert_eq!(read(json!({ "body": "no place at all" })), forbidden(""));
}

#[test]
fn a_repository_may_stand_in_two_arguments() {
    let contract = contract(&[], json!([{ "kind": "repository", "path": ["owner"], "name": ["repo"] }]));
    let read = |args| destinations(&contract, &args).map_err(|reason| (reason.code, reason.at.unwrap()));
    let place = || Ok(vec!["github.com/acme/site".to_owned()]);
    let unreadable = || Err((Code::DestinationInvalid, "/repo".to_owned()));
    assert_eq!(read(json!({ "owner": "Acme", "repo": "site" })), place());
    assert_eq!(read(json!({ "owner": "acme", "repo": "site.git" })), place());
    assert_eq!(read(json!({})), Ok(vec![]));
    assert_eq!(read(json!({ "owner": "acme" })), unreadable());
    assert_eq!(read(json!({ "owner": "github.com/acme", "repo": "site" })), unreadable());
    assert_eq!(read(json!({ "owner": "acme", "repo": "../evil/site" })), unreadable());
    assert_eq!(read(json!({ "owner": "acme", "repo": ["site"] })), unreadable());
}

#[test]
fn too_many_places_are_refused() {
    let contract = contract(&[], json!([{ "kind": "host", "path": ["to"] }]));
    let hosts =
        |count: usize| json!({ "to": (0..count).map(|it| format!("h{it}.example")).collect::<Vec<_>>() });
    assert_eq!(destinations(&contract, &hosts(COUNT_MAX)).unwrap().len(), COUNT_MAX);
    assert_eq!(destinations(&contract, &hosts(COUNT_MAX + 1)).unwrap_err().code, Code::DestinationInvalid);
}

#[test]
fn no_text_is_slow() {
    let words = [
        "https://",
        "https://a.example ",
        "//",
        "(//",
        "a@",
        "a@b.example ",
        "&#58;",
        "\\:",
        "www.",
        "a.b/",
        "=\"//a",
        "[",
        "a.",
    ];
    for word in words {
        let started = std::time::Instant::now();
        let _ = text::places(&word.repeat(60_000 / word.len()));
        assert!(started.elapsed() < std::time::Duration::from_secs(3), "{word}: {:?}", started.elapsed());
    }
}

/// The ways in which one place is written otherwise, each with what a client would make of it.
fn spelt(kind: DestinationKind, plain: &str, way: usize) -> String {
    let upper = plain.to_ascii_uppercase();
    let host_end = |text: &str| {
        text.find("://").map_or(0, |at| at + 3)
            + plain.split("://").last().map_or(0, |rest| rest.find('/').unwrap_or(rest.len()))
    };
    let insert = |at: usize, what: &str| format!("{}{what}{}", &plain[..at], &plain[at..]);
    match (kind, way) {
        (DestinationKind::Path, 0) => plain.replace('/', "//"),
        (DestinationKind::Path, 1) => plain.replacen('/', "/./", 1),
        (DestinationKind::Path, 2) => format!("{plain}/"),
        (DestinationKind::Path, 3) => format!("{plain}/x/.."),
        (DestinationKind::Path, 4) => plain.replacen('a', "%61", 1),
        (DestinationKind::Path, 5) => plain.replacen('a', "\u{ff41}", 1),
        (DestinationKind::Path, _) => format!("{plain}."),
        (DestinationKind::Webhook | DestinationKind::Url, 0) => insert(host_end(plain), "."),
        (DestinationKind::Webhook | DestinationKind::Url, 1) => insert(host_end(plain), ":443"),
        (DestinationKind::Webhook | DestinationKind::Url, 2) => plain.replacen("://", "://ann@", 1),
        (DestinationKind::Webhook | DestinationKind::Url, 3) => plain.replacen('e', "%65", 1),
        (DestinationKind::Webhook | DestinationKind::Url, 4) => plain.replacen("://", ":\\\\", 1),
        (DestinationKind::Webhook | DestinationKind::Url, 5) => format!("{plain}#x"),
        (DestinationKind::Webhook | DestinationKind::Url, _) => plain.replacen("https", "HTTPS", 1),
        (DestinationKind::Repository, 0) => format!("https://github.com/{plain}.git"),
        (DestinationKind::Repository, 1) => format!("git@github.com:{upper}"),
        (DestinationKind::Repository, 2) => format!("{plain}/"),
        (DestinationKind::Repository, 3) => format!("GITHUB.com/{plain}"),
        (DestinationKind::Repository, 4) => format!("https://github.com./{plain}"),
        (DestinationKind::Repository, 5) => format!("https://github.com//{plain}"),
        (DestinationKind::Repository, _) => format!("https://x@github.com/{plain}"),
        (DestinationKind::Channel, 0) => plain.trim_start_matches('#').to_owned(),
        (DestinationKind::Text, 0) => plain.replacen("://", "&#58;//", 1),
        (DestinationKind::Text, 1) => plain.replacen("://", ":\\/\\/", 1),
        (DestinationKind::Text, 2) => insert(host_end(plain), "."),
        (_, 3) => plain.replacen('e', "%65", 1),
        (_, 4) => plain.replacen('e', "е", 1),
        (_, 5) => format!("{plain}."),
        _ => upper,
    }
}

fn plain() -> impl Strategy<Value = (DestinationKind, String)> {
    let name = "[a-z]{2,8}";
    prop_oneof![
        name.prop_map(|it| (DestinationKind::Channel, format!("#e{it}"))),
        (name, name).prop_map(|(a, b)| (DestinationKind::Email, format!("{a}@{b}.example"))),
        name.prop_map(|it| (DestinationKind::Host, format!("{it}.example"))),
        (name, name).prop_map(|(a, b)| (DestinationKind::Path, format!("/{a}/a{b}"))),
        (name, name).prop_map(|(a, b)| (DestinationKind::Repository, format!("{a}/{b}"))),
        name.prop_map(|it| (DestinationKind::Text, format!("https://{it}.example/x"))),
        (name, name).prop_map(|(a, b)| (DestinationKind::Url, format!("https://{a}.example/{b}"))),
        (name, name).prop_map(|(a, b)| (DestinationKind::Webhook, format!("https://{a}.example/{b}"))),
    ]
}

proptest! {
    #[test]
    fn one_place_is_one_destination_or_refused((kind, plain) in plain(), way in 0..7usize) {
        let of = |text: &str| match kind {
            DestinationKind::Text => text::places(text),
            kind => read(kind, None, text).map(|place| vec![place]),
        };
        let once = of(&plain);
        prop_assert!(once.as_ref().is_some_and(|places| !places.is_empty()), "{:?} {}", kind, plain);
        let again = spelt(kind, &plain, way);
        // A text in another spelling may name more places than one reader sees, and never fewer.
        let same = match (of(&again), once) {
            (Some(again), Some(once)) => once.iter().all(|place| again.contains(place)),
            (again, _) => again.is_none(),
        };
        prop_assert!(same, "{:?} {} and {}", kind, plain, again);
    }
}
