//! Ids and times: they round-trip, they sort, and they read as people expect.

use kernel::halt::Scope;
use kernel::id::{CallId, KeyId, RunId};
use kernel::time::Time;
use proptest::prelude::*;

proptest! {
    #[test]
    fn ids_round_trip(id in any::<u128>()) {
        prop_assert_eq!(CallId(id).to_string().parse(), Ok(CallId(id)));
        prop_assert_eq!(serde_json::from_str::<RunId>(&serde_json::to_string(&RunId(id)).unwrap()).unwrap(), RunId(id));
        prop_assert!(RunId(id).to_string().parse::<KeyId>().is_err());
    }

    #[test]
    fn ids_sort_by_time(a in 0u64..1 << 48, b in 0u64..1 << 48, x in any::<[u8; 10]>(), y in any::<[u8; 10]>()) {
        let (first, second) = (CallId::new(Time(a), x), CallId::new(Time(b), y));
        prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        if a != b {
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        }
    }

    #[test]
    fn odd_text_is_not_an_id(text in "call_[0-9a-zA-Z_é]{20,30}") {
        if let Ok(id) = text.parse::<CallId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn an_id_over_128_bits_is_refused() {
    assert_eq!("call_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse(), Ok(CallId(u128::MAX)));
    assert!("call_80000000000000000000000000".parse::<CallId>().is_err());
}

#[test]
fn times_read_as_known_dates() {
    let rows = [
        (0, "1970-01-01T00:00:00.000Z", 4),
        (951_782_399_999, "2000-02-28T23:59:59.999Z", 1),
        (951_782_400_000, "2000-02-29T00:00:00.000Z", 2),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z", 4),
        (1_795_262_400_000, "2026-11-21T12:00:00.000Z", 6),
        (1_798_761_599_001, "2026-12-31T23:59:59.001Z", 4),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z", 1),
    ];
    for (ms, text, weekday) in rows {
        assert_eq!(Time(ms).to_string(), text);
        assert_eq!(Time(ms).weekday(), weekday, "{text}");
    }
    assert_eq!(Time(1_795_262_400_000).hour(), 12);
    // The far end of time is still a time.
    assert!(!Time(u64::MAX).to_string().is_empty());
}

#[test]
fn a_scope_without_a_name_is_refused_with_what_was_typed_and_the_forms() {
    for typed in [
        "",
        "agent:",
        "tool:",
        "run:",
        "agents:desk",
        "everything",
        "agent",
        "all in ",
        "all in a b",
        "x in dev",
    ] {
        let why = typed.parse::<Scope>().unwrap_err().to_string();
        assert!(why.starts_with(&format!("`{typed}` is no scope")), "{why}");
        assert!(why.contains("all, writes, irreversible, tenant:NAME, agent:NAME"), "{why}");
    }
    assert!("x".repeat(9_000).parse::<Scope>().unwrap_err().to_string().len() < 300);
    for typed in [
        "all",
        "writes",
        "irreversible",
        "tenant:acme",
        "agent:desk",
        "server:crm",
        "tool:crm.pay",
        "run:run_1",
        "writes in prod",
        "agent:desk in dev",
    ] {
        assert_eq!(typed.parse::<Scope>().unwrap().to_string(), typed);
    }
}

#[test]
fn a_time_is_read_as_it_is_written() {
    for ms in [0, 1, 951_782_400_000, 1_795_262_400_123, 4_102_444_799_999] {
        assert_eq!(Time(ms).to_string().parse(), Ok(Time(ms)));
    }
    assert_eq!("2026-11-21T12:00:00Z".parse(), Ok(Time(1_795_262_400_000)));
    assert_eq!("2026-11-21T12:00Z".parse(), Ok(Time(1_795_262_400_000)));
    let wrong = [
        "",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-11-21T12:00:00+01:00",
        "2026-02-29T00:00Z",
        "2026-13-01T00:00Z",
        "2026-00-10T00:00Z",
        "2026-11-21T24:00Z",
        "2026-11-21T12:60Z",
        "2026-11-21T12:00:00.1Z",
        "+026-11-21T12:00Z",
        "1969-12-31T00:00Z",
        "2026-11-00T00:00Z",
        "9999999-11-21T12:00Z",
    ];
    for text in wrong {
        assert!(text.parse::<Time>().is_err(), "{text}");
    }
}
