//! Sessions by themselves: how long they live, and how many there may be.

use std::time::Duration;

use kernel::id::KeyId;

use crate::door::Scope;
use crate::door::session::{Session, Sessions};
use crate::mcp::era::Version;
use crate::mcp::wire::Id;

const KEY: KeyId = KeyId(1);
const OTHER: KeyId = KeyId(2);

fn open(sessions: &Sessions, key: KeyId) -> Option<std::sync::Arc<Session>> {
    sessions.open(key, Scope(None), Version::V2025_11_25, None, Default::default())
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_uses_is_forgotten_and_one_that_is_used_is_not() {
    let sessions = Sessions::default();
    let (idle, used) = (open(&sessions, KEY).unwrap(), open(&sessions, KEY).unwrap());
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(10 * 60)).await;
        assert!(sessions.find(&used.id, KEY, &Scope(None)).is_some());
    }
    assert!(sessions.find(&idle.id, KEY, &Scope(None)).is_none());
    let busy = open(&sessions, KEY).unwrap();
    let under_way = busy.begin(&Id::Number(1)).unwrap();
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    assert!(sessions.find(&busy.id, KEY, &Scope(None)).is_some(), "a call is under way");
    drop(under_way);
    let listening = busy.listen().unwrap();
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    assert!(sessions.find(&busy.id, KEY, &Scope(None)).is_some(), "somebody listens");
    drop(listening);
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    assert!(sessions.find(&busy.id, KEY, &Scope(None)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_with_too_many_sessions_loses_its_idlest_and_no_other_keys() {
    let sessions = Sessions::default();
    let others = open(&sessions, OTHER).unwrap();
    let mut own = Vec::new();
    for _ in 0..64 {
        tokio::time::advance(Duration::from_millis(1)).await;
        own.push(open(&sessions, KEY).unwrap());
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    let busy = own[0].begin(&Id::Number(1)).unwrap();
    let newest = open(&sessions, KEY).unwrap();
    let is_there = |session: &Session| sessions.find(&session.id, KEY, &Scope(None)).is_some();
    assert!(is_there(&own[0]), "it is busy");
    assert!(!is_there(&own[1]), "it was idle longest");
    assert!(is_there(&own[2]) && is_there(&newest));
    assert!(sessions.find(&others.id, OTHER, &Scope(None)).is_some());
    drop(busy);
}

#[tokio::test]
async fn a_key_whose_sessions_are_all_busy_gets_no_more() {
    let sessions = Sessions::default();
    let own: Vec<_> = (0..64).map(|_| open(&sessions, KEY).unwrap()).collect();
    let busy: Vec<_> = own.iter().map(|session| session.begin(&Id::Number(1)).unwrap()).collect();
    assert!(open(&sessions, KEY).is_none());
    assert!(open(&sessions, OTHER).is_some());
    drop(busy);
    assert!(open(&sessions, KEY).is_some());
}

#[tokio::test]
async fn a_session_has_bounded_requests_under_way() {
    let sessions = Sessions::default();
    let session = open(&sessions, KEY).unwrap();
    let under_way: Vec<_> = (0..128).map(|n| session.begin(&Id::Number(n)).unwrap()).collect();
    assert!(session.begin(&Id::Number(1000)).is_none());
    drop(under_way);
    assert!(session.begin(&Id::Number(1000)).is_some());
}
