//! Host, Origin and the query, one line a case.

use super::*;

fn options() -> Options {
    let (_, stop) = tokio::sync::watch::channel(false);
    Options { hosts: vec!["remit.example".into(), "other.example:8443".into()], ..Options::new("k", stop) }
}

fn asked(host: &[&str], origin: Option<&str>, uri: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    for host in host {
        headers.append(header::HOST, host.parse().unwrap());
    }
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, origin.parse().unwrap());
    }
    check(&options(), &uri.parse().unwrap(), &headers).err().map(|refusal| refusal.0.code)
}

#[test]
fn only_our_own_hosts_are_served() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:7470",
        "localhost:1",
        "LOCALHOST",
        "[::1]:7470",
        "remit.example:1",
        "other.example:8443",
    ] {
        assert_eq!(asked(&[host], None, "/"), None, "{host}");
    }
    for host in
        ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "a@127.0.0.1", "other.example", "127.1", ""]
    {
        assert_eq!(asked(&[host], None, "/").as_deref(), Some("forbidden_host"), "{host}");
    }
    assert_eq!(asked(&[], None, "/").as_deref(), Some("forbidden_host"));
    assert_eq!(asked(&["127.0.0.1", "127.0.0.1"], None, "/").as_deref(), Some("forbidden_host"));
    assert_eq!(asked(&["127.0.0.1"], None, "http://evil.example/").as_deref(), Some("forbidden_host"));
}

#[test]
fn a_foreign_page_may_not_ask() {
    assert_eq!(asked(&["localhost:7471"], Some("http://localhost:7471"), "/"), None);
    for origin in
        ["http://localhost:3000", "null", "https://evil.example", "file://", "http://localhost:7471.evil"]
    {
        assert_eq!(
            asked(&["localhost:7471"], Some(origin), "/").as_deref(),
            Some("forbidden_origin"),
            "{origin}"
        );
    }
}

#[test]
fn a_secret_in_the_url_is_refused() {
    for query in ["token=x", "a=1&access_token=x", "TOKEN=x", "key=rk_abc", "token"] {
        let uri = format!("/v1/runs?{query}");
        assert_eq!(asked(&["localhost"], None, &uri).as_deref(), Some("token_in_url"), "{query}");
    }
    assert_eq!(asked(&["localhost"], None, "/v1/runs?agent=token&tokens=1&tool=work_order.read"), None);
}
