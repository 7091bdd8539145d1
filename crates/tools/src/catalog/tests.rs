//! Which addresses of tools are read, and which are refused because two readers would differ.

use serde_json::json;

use super::*;

fn parse(url: &str, path: &str) -> Result<HttpVia, Error> {
    parse_via(&json!({ "http": { "url": url, "path": path } }))
}

#[test]
fn url_and_path_are_put_together() {
    for (url, path, target) in [
        ("http://127.0.0.1:7480", "/refund", "http://127.0.0.1:7480/refund"),
        ("http://127.0.0.1:7480/", "/refund", "http://127.0.0.1:7480/refund"),
        ("https://api.example.com/v1/", "/a/b", "https://api.example.com/v1/a/b"),
    ] {
        assert_eq!(parse(url, path).unwrap().target.to_string(), target);
    }
}

#[test]
fn the_host_is_told_apart() {
    let host = |url: &str| parse(url, "/x").unwrap().host;
    assert_eq!(host("http://127.0.0.1:1"), Host::Address("127.0.0.1".parse().unwrap()));
    assert_eq!(host("http://[::1]:1"), Host::Address("::1".parse().unwrap()));
    assert_eq!(host("http://LOCALHOST:1"), Host::Localhost);
    assert_eq!(host("http://localhost.:1"), Host::Name("localhost.".to_owned()));
    assert_eq!(host("https://Api.Example.com"), Host::Name("api.example.com".to_owned()));
}

#[test]
fn strange_urls_are_refused() {
    for url in [
        "",
        "ftp://example.com",
        "http://",
        "http:///x",
        "http://user:pass@example.com",
        "http://example.com#@127.0.0.1",
        "http://example.com\\@127.0.0.1",
        "http://example.com?x=1",
        "http://exa mple.com",
        "http://example.com\r\nHost: other",
        "http://example.com:0",
        "http://example.com:99999",
        "http://example.com:",
        "http://2130706433",
        "http://0x7f.1",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://127.1",
        "http://127.0.0.1.",
        "http://[::1%25lo]",
        "http://[fe80::1",
        "http://ex%61mple.com",
        "http://exämple.com",
        "http://example.com/a/../b",
    ] {
        assert!(parse(url, "/x").is_err(), "{url:?}");
    }
}

#[test]
fn strange_paths_are_refused() {
    for path in
        ["", "x", "//x", "/a/../b", "/a/%2E%2e/b", "/a%2fb", "/a?b", "/a#b", "/a b", "/a\r\nX: y", "/ä"]
    {
        assert!(parse("http://127.0.0.1:1", path).is_err(), "{path:?}");
    }
}

#[test]
fn unknown_members_are_refused() {
    for via in [
        json!(null),
        json!({}),
        json!({ "mcp": {} }),
        json!({ "http": { "url": "http://127.0.0.1" } }),
        json!({ "http": { "url": "http://127.0.0.1", "path": "/x", "proxy": "http://other" } }),
        json!({ "http": { "url": "http://127.0.0.1", "path": "/x" }, "mcp": {} }),
    ] {
        assert_eq!(parse_via(&via).unwrap_err().code(), "via_unusable");
    }
}

#[test]
fn secrets_travel_encrypted_or_on_a_named_network() {
    for (url, carries) in [
        ("http://127.0.0.1:1", true),
        ("http://10.1.2.3", true),
        ("http://localhost:1", true),
        ("https://api.example.com", true),
        ("http://api.example.com", false),
        ("http://8.8.8.8", false),
        ("http://[::ffff:8.8.8.8]", false),
    ] {
        assert_eq!(parse(url, "/x").unwrap().carries_secrets(), carries, "{url}");
    }
}

#[test]
fn an_idempotency_header_takes_nobodys_place() {
    assert_eq!(parse_idempotency_header("Idempotency-Key").unwrap().as_str(), "idempotency-key");
    for name in
        ["", "Authorization", "HOST", "Content-Length", "Remit-Run", "X: y", "X\r\nY", "Transfer-Encoding"]
    {
        let error = parse_idempotency_header(name).unwrap_err();
        assert_eq!(error.code(), "idempotency_header_unusable", "{name:?}");
    }
}
