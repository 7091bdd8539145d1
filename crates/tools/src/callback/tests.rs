//! Where an agent may have itself told, and what is said there.

use kernel::call::Outcome;
use kernel::time::Time;
use kernel::verdict::Ruling;

use super::*;

fn places() -> Vec<Place> {
    let place = |agents: &[&str], origins: &[&str], secret: &str| Place {
        agents: agents.iter().map(|&name| name.to_owned()).collect(),
        origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        secret: secret.to_owned(),
    };
    vec![
        place(&["desk-*"], &["https://desk.example", "http://127.0.0.1:9000"], "env:DESK"),
        place(&["*"], &["https://all.example:8443"], "env:ALL"),
    ]
}

#[test]
fn an_agent_is_told_only_where_its_own_list_says() {
    let secret = |agent: &str, url: &str| secret_of(&places(), agent, url).ok();
    let desk = |url: &str| secret("desk-1", url);
    assert_eq!(desk("https://desk.example/a?b=c").as_deref(), Some("env:DESK"));
    assert_eq!(desk("https://DESK.example:443/").as_deref(), Some("env:DESK"), "one origin in two spellings");
    assert_eq!(desk("http://127.0.0.1:9000/in").as_deref(), Some("env:DESK"));
    assert_eq!(desk("https://all.example:8443/").as_deref(), Some("env:ALL"));
    for refused in [
        "http://desk.example/",
        "https://desk.example:444/",
        "https://desk.example.evil.example/",
        "https://evil.example/https://desk.example",
        "https://evil.example#@desk.example/",
        "https://desk.example@evil.example/",
        "https://user:word@desk.example/",
        "http://127.0.0.1:9001/",
        "http://localhost:9000/",
        "http://169.254.169.254/latest",
        "https://all.example/",
        "ftp://desk.example/",
        "desk.example",
        "//desk.example/",
        "",
    ] {
        assert_eq!(desk(refused), None, "{refused}");
    }
    assert_eq!(secret("other", "https://desk.example/a"), None, "another agent's place");
    assert_eq!(secret_of(&[], "desk-1", "https://desk.example/").ok(), None, "nobody, unless it is said");
    let long = format!("https://desk.example/{}", "a".repeat(URL_BYTES_MAX));
    assert_eq!(desk(&long), None);
}

#[test]
fn the_same_news_is_the_same_for_ever_and_tells_no_more_than_how_it_stands() {
    let wanted = Wanted {
        agent: "desk-1".to_owned(),
        run: RunId(1),
        url: "https://desk.example/secret-path".to_owned(),
        approved: false,
    };
    let told = |news| Told::new(CallId(2), &wanted, news, Time(1_700_000_000_000));
    let done = TicketNews::Ended { ruling: Ruling::Allow, outcome: Some(Outcome::Succeeded) };
    let (first, again) = (told(done), told(done));
    assert_eq!((&first.id, &first.body), (&again.id, &again.body));
    assert_ne!(first.id, told(TicketNews::Approved).id);
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    let ticket = CallId(2).to_string();
    assert_eq!(
        body,
        json!({ "type": "ticket.ended", "timestamp": "2023-11-14T22:13:20.000Z", "data": {
            "ticket": ticket, "run": RunId(1).to_string(), "state": "ended", "ruling": "allow",
            "outcome": "succeeded", "poll": format!("/v1/tickets/{ticket}"),
        }})
    );
    let denied = TicketNews::Ended { ruling: Ruling::Deny, outcome: None };
    let body: Value = serde_json::from_slice(&told(denied).body).unwrap();
    assert_eq!((&body["data"]["ruling"], &body["data"]["outcome"]), (&json!("deny"), &Value::Null));
}

#[test]
fn what_is_owed_is_found_again_and_half_a_file_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place_of = folder.path().join("callbacks");
    assert!(read(&place_of).is_empty(), "no folder yet");
    let wanted =
        Wanted { agent: "desk".into(), run: RunId(1), url: "https://d.example/".into(), approved: true };
    keep(&place_of, CallId(7), &wanted).unwrap();
    std::fs::write(place_of.join("half.tmp"), "{").unwrap();
    std::fs::write(place(&place_of, CallId(8)), "{").unwrap();
    assert_eq!(read(&place_of), BTreeMap::from([(CallId(7), wanted)]));
}

/// The end of a plan or of a set is an event of its run, and so is the last yes to an executor's call.
#[test]
fn what_may_end_a_ticket_is_looked_at() {
    let event = |kind: &str| json!({ "kind": kind, "body": { "run": RunId(3).to_string() } });
    for kind in ["answered", "call_decided", "call_finished", "commit_ended", "run_closed"] {
        assert_eq!(run_of(&event(kind)), Some(RunId(3)), "{kind}");
    }
    assert_eq!(run_of(&event("run_opened")), None);
}
