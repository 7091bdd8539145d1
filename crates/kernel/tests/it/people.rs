//! People at the console: the bytes of their events, and who is signed in.

use expect_test::expect;
use kernel::event::{Event, IncidentSent, SignedIn, SignedOut, Stamp};
use kernel::id::RunId;
use kernel::session::SESSIONS_MAX;
use kernel::snapshot::{read, write};
use kernel::state::Control;
use kernel::time::Time;
use stdx::digest::Digest;
use stdx::json::canonical;

fn cookie(number: usize) -> Digest {
    Digest::of(&number.to_be_bytes())
}

fn signed_in(number: usize, expires: u64) -> Event {
    Event::SignedIn(SignedIn {
        by: "ann".into(),
        csrf: Digest::of(b"csrf"),
        expires: Time(expires),
        hash: cookie(number),
        roles: vec!["approver:finance".into(), "viewer".into()],
    })
}

fn signed_out(number: usize) -> Event {
    Event::SignedOut(SignedOut { by: "ann".into(), hash: cookie(number) })
}

/// Each at its own millisecond.
fn folded(events: &[Event]) -> Control {
    let mut control = Control::default();
    for (event, lane_seq) in events.iter().zip(1..) {
        let stamp = Stamp { at: Time(lane_seq), lane: 0, lane_seq, tenant: "default".into() };
        control.apply(&stamp, event);
    }
    control
}

#[test]
fn the_bytes_are_canonical_and_the_same_for_ever() {
    let sent = IncidentSent {
        by: "ann".into(),
        digest: Digest::of(b"csrf"),
        end: Some("arrived".into()),
        run: RunId(2),
        to: "tracker".into(),
    };
    let before = IncidentSent { end: None, ..sent.clone() };
    let events = [signed_in(1, 9), signed_out(1), Event::IncidentSent(before), Event::IncidentSent(sent)];
    let mut text = String::new();
    for (event, lane_seq) in events.iter().zip(1..) {
        let stamp = Stamp { at: Time(5), lane: 0, lane_seq, tenant: "default".into() };
        let bytes = event.encode(&stamp);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(canonical(&value), bytes);
        assert_eq!(Event::decode(&bytes).unwrap(), (stamp, event.clone()));
        text += &String::from_utf8(bytes).unwrap().replace(&Digest::of(b"csrf").to_string(), "DIGEST");
        text.push('\n');
    }
    let text = text.replace(&cookie(1).to_string(), "COOKIE");
    expect![[r#"
        {"at":5,"body":{"by":"ann","csrf":"DIGEST","expires":9,"hash":"COOKIE","roles":["approver:finance","viewer"]},"kind":"signed_in","lane":0,"lane_seq":1,"tenant":"default","v":1}
        {"at":5,"body":{"by":"ann","hash":"COOKIE"},"kind":"signed_out","lane":0,"lane_seq":2,"tenant":"default","v":1}
        {"at":5,"body":{"by":"ann","digest":"DIGEST","run":"run_00000000000000000000000002","to":"tracker"},"kind":"incident_sent","lane":0,"lane_seq":3,"tenant":"default","v":1}
        {"at":5,"body":{"by":"ann","digest":"DIGEST","end":"arrived","run":"run_00000000000000000000000002","to":"tracker"},"kind":"incident_sent","lane":0,"lane_seq":4,"tenant":"default","v":1}
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_session_lasts_until_its_time_or_until_it_is_ended() {
    let control = folded(&[signed_in(1, 1_000), signed_in(2, 1_000), signed_out(2)]);
    let known = |number: usize, now: u64| control.session(&cookie(number), Time(now)).is_some();
    assert!(known(1, 999) && !known(1, 1_000), "it ends at its time");
    assert!(!known(2, 5), "it was ended");
    assert!(!known(3, 5), "nobody began it");
    assert_eq!(control.session(&cookie(1), Time(5)).unwrap().by, "ann");
}

#[test]
fn sessions_are_bounded_and_the_one_that_ends_first_gives_way() {
    let events: Vec<Event> =
        (0..=SESSIONS_MAX).map(|number| signed_in(number, 100_000 + number as u64)).collect();
    let control = folded(&events);
    assert_eq!(control.sessions.len(), SESSIONS_MAX);
    assert!(control.session(&cookie(0), Time(5)).is_none());
    assert!(control.session(&cookie(1), Time(5)).is_some());
    let later = folded(&[signed_in(1, 2), signed_in(2, 1_000), signed_in(3, 1_000)]);
    assert_eq!(later.sessions.len(), 2, "what is over is forgotten when another begins");
}

#[test]
fn a_snapshot_keeps_who_is_signed_in() {
    let control = folded(&[signed_in(1, 1_000), signed_in(2, 2_000)]);
    let again: Control = read("c", &write("c", &control)).unwrap();
    assert_eq!(again.sessions, control.sessions);
}
