//! What may be written, and what is refused before any call.

use serde_json::json;

use super::*;

#[test]
fn an_address_or_a_command_is_read() {
    let via =
        parse(&json!({ "mcp": { "server": "stripe", "url": "https://mcp.stripe.example/v1/mcp" } })).unwrap();
    let Place::Http(http) = via.place else { panic!("an address") };
    assert_eq!(http.target.to_string(), "https://mcp.stripe.example/v1/mcp");
    let via = json!({ "mcp": {
        "server": "mail", "command": "mail-mcp", "args": ["--stdio"], "env": { "KEY": "env:MAIL_KEY" }, "cwd": null,
        "method": "resources/read",
    }});
    let via = parse(&via).unwrap();
    let Place::Stdio(command) = via.place else { panic!("a command") };
    assert_eq!(
        (command.command.as_str(), command.args.as_slice()),
        ("mail-mcp", ["--stdio".to_owned()].as_slice())
    );
    assert_eq!(via.method.as_deref(), Some("resources/read"));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for mcp in [
        json!({ "server": "a" }),
        json!({ "server": "a", "url": "https://a.example", "command": "b" }),
        json!({ "server": "a", "url": "https://a.example", "args": ["x"] }),
        json!({ "server": "a", "url": "https://user@a.example/mcp" }),
        json!({ "server": "a", "url": "file:///etc/passwd" }),
        json!({ "server": "a", "url": "http://2130706433/mcp" }),
        json!({ "server": "a", "command": "" }),
        json!({ "server": "a", "command": "b\u{0}c" }),
        json!({ "server": "a", "command": "b", "env": { "A=B": "c" } }),
        json!({ "server": "a", "command": "b", "args": vec!["x"; ARGS_MAX + 1] }),
        json!({ "server": "a", "command": "b", "shell": true }),
        json!({ "server": "a", "command": "b", "method": "initialize" }),
    ] {
        assert!(parse(&json!({ "mcp": mcp })).is_err(), "{mcp}");
    }
}
