//! What a code is good for, for how long, and what the ledger is told of a session.

use super::*;

const NOON: Time = Time(1_800_000_000_000);

fn sessions() -> Sessions {
    Sessions::new(Digest::of(b"a key"))
}

#[test]
fn a_code_signs_in_once_and_within_five_minutes() {
    let sessions = sessions();
    let code = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    assert_eq!(sessions.redeem(&code, NOON), Some(Whose::KeyHolder));
    assert_eq!(sessions.redeem(&code, NOON), None);
    let late = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    assert_eq!(sessions.redeem(&late, NOON.plus_ms(CODE_TTL_MS)), None);
    let early = sessions.code(Whose::Named("ada".to_owned()), NOON).unwrap().secret;
    assert!(sessions.redeem(&early, NOON.plus_ms(CODE_TTL_MS - 1)).is_some());
}

#[test]
fn the_ledger_is_told_digests_that_only_this_operators_key_makes() {
    let (sessions, other) = (sessions(), Sessions::new(Digest::of(b"another key")));
    let (begun, signed) = sessions.begin(&Whose::Named("ada".to_owned()), Vec::new(), NOON).unwrap();
    assert_eq!(signed.hash, sessions.digest(&begun.cookie.secret));
    assert_ne!(signed.hash, other.digest(&begun.cookie.secret));
    assert_ne!(begun.cookie.secret, begun.csrf);
    let told = serde_json::to_string(&signed).unwrap();
    assert!(!told.contains(&begun.cookie.secret) && !told.contains(&begun.csrf));
    let session = Session { whose: Whose::KeyHolder, expires: NOON, csrf: signed.csrf };
    assert!(sessions.has_csrf(&session, &begun.csrf));
    assert!(!sessions.has_csrf(&session, &begun.cookie.secret) && !sessions.has_csrf(&session, ""));
}

#[test]
fn codes_are_bounded_and_the_oldest_gives_way() {
    let sessions = sessions();
    let first = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    for _ in 0..CODES_MAX + 5 {
        sessions.code(Whose::KeyHolder, NOON.plus_ms(1)).unwrap();
    }
    assert_eq!(sessions.codes().len(), CODES_MAX);
    assert_eq!(sessions.redeem(&first, NOON.plus_ms(2)), None);
}
