//! What a code, a session and its token are good for, and for how long.

use super::*;

const NOON: Time = Time(1_800_000_000_000);

#[test]
fn a_code_signs_in_once() {
    let sessions = Sessions::default();
    let code = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    let signed_in = sessions.begin(&code, NOON).unwrap();
    assert!(sessions.begin(&code, NOON).is_none());
    assert!(sessions.of(&signed_in.cookie.secret, NOON).is_some());
    assert!(sessions.of(&signed_in.csrf, NOON).is_none(), "the one is not the other");
}

#[test]
fn a_code_lives_five_minutes_and_a_session_twelve_hours() {
    let sessions = Sessions::default();
    let late = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    assert!(sessions.begin(&late, NOON.plus_ms(CODE_TTL_MS)).is_none());
    let code = sessions.code(Whose::KeyHolder, NOON).unwrap().secret;
    let cookie = sessions.begin(&code, NOON.plus_ms(CODE_TTL_MS - 1)).unwrap().cookie;
    let until = NOON.plus_ms(CODE_TTL_MS - 1 + SESSION_TTL_MS);
    assert!(sessions.of(&cookie.secret, Time(until.0 - 1)).is_some());
    assert!(sessions.of(&cookie.secret, until).is_none());
}

#[test]
fn only_its_own_token_goes_with_a_session_and_ending_it_ends_it() {
    let sessions = Sessions::default();
    let begin = |name: &str| {
        let code = sessions.code(Whose::Named(name.to_owned()), NOON).unwrap().secret;
        sessions.begin(&code, NOON).unwrap()
    };
    let (ada, lee) = (begin("ada"), begin("lee"));
    let session = sessions.of(&ada.cookie.secret, NOON).unwrap();
    assert_eq!(session.whose, Whose::Named("ada".to_owned()));
    assert!(session.has_csrf(&ada.csrf) && !session.has_csrf(&lee.csrf) && !session.has_csrf(""));
    sessions.end(&ada.cookie.secret);
    assert!(sessions.of(&ada.cookie.secret, NOON).is_none());
    assert!(sessions.of(&lee.cookie.secret, NOON).is_some());
}

#[test]
fn codes_and_sessions_are_bounded_and_the_oldest_gives_way() {
    let sessions = Sessions::default();
    let mut cookies = Vec::new();
    for number in 0..SESSIONS_MAX + 1 {
        let now = NOON.plus_ms(u64::try_from(number).unwrap());
        let code = sessions.code(Whose::KeyHolder, now).unwrap().secret;
        cookies.push(sessions.begin(&code, now).unwrap().cookie.secret);
    }
    let later = NOON.plus_ms(10_000);
    assert!(sessions.of(&cookies[0], later).is_none());
    assert!(sessions.of(&cookies[1], later).is_some());
    assert!(sessions.of(&cookies[SESSIONS_MAX], later).is_some());
    for _ in 0..CODES_MAX + 5 {
        sessions.code(Whose::KeyHolder, NOON).unwrap();
    }
    assert_eq!(sessions.kept().codes.len(), CODES_MAX);
}
