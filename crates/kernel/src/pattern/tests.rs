//! What is found and what is not; what comes back from a blot holds none; no text is slow.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Written in halves, so that no scanner takes this file for a leak.
fn joined(halves: &str) -> String {
    halves.replace('~', "")
}

const SECRETS: &[&str] = &[
    "AKIA~IOSFODNN7EXAMPLE",
    "key ASIA~IOSFODNN7EXAMPLE.",
    "aws_secret_access_key = wJalrXUtnFEMI/~K7MDENG/bPxRfiCYEXAMPLEKEY",
    "\"secretAccessKey\": \"wJalrXUtnFEMI/~K7MDENG/bPxRfiCYEXAMPLEKEY\"",
    "ghp_~0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_~11AAAAAAA0123456789_abcdefghijkl",
    "glpat-~0123456789abcdefghij",
    "xoxb-~1234567890-abcdefghijk",
    "https://hooks.slack.com/services/~T00000000/B00000000/XXXXXXXX",
    "sk_live_~0123456789abcdefABCDEF",
    "rk_live_~0123456789abcdefABCDEF",
    "sk-~0123456789abcdefghijABCDEFGHIJ0123456789abcdefgh",
    "sk-proj-~0123456789_abcdefghij-ABCDEFGHIJ",
    "sk-ant-api03-~0123456789abcdefghij_-ABC",
    "AIza~SyA0123456789abcdefghijklmnopqrstuv",
    "eyJ~hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA ~PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN ~PRIVATE KEY-----\nMIIB cut off",
    "postgres://app:hunter2@~db.example/x",
    "Authorization: Bearer ~0123456789abcdef01234567",
    "rk_01hxyzab_~0123456789abcdefghijABCDEFG",
];

const NOT_SECRETS: &[&str] = &[
    "AKIA is how such keys begin",
    "XAKIAIOSFODNN7EXAMPLE1",
    "sk-fading-circle-animation-wrapper",
    "task-0123456789abcdefghijABCDEFGHIJ0123456789",
    "rk_live is a prefix",
    "ghp_short",
    "eyJhbGciOiJIUzI1NiJ9",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "https://docs.example/a:b/c",
    "http://127.0.0.1:7480/x",
    "ssh://git@github.com/a/b",
    "the bearer of this letter",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "550e8400-e29b-41d4-a716-446655440000",
];

const ROWS: &[(Pattern, &[&str], &[&str])] = &[
    (Pattern::Secrets, SECRETS, NOT_SECRETS),
    (
        Pattern::Email,
        &[
            "ann@example.com",
            "<ann.b+c@mail.example.co>",
            "müller@firma.example",
            "ann@müller.example",
            "a%40b.example",
        ],
        &["ann@localhost", "@ann", "react@18.2.0", "icon@2x.png", "a @ b.example", "ann(at)example.com"],
    ),
    (
        Pattern::CreditCard,
        &[
            "4111111111111111",
            "card 4111 1111 1111 1111.",
            "4111-1111-1111-1111",
            "2024 4111 1111 1111 1111",
            "378282246310005",
            "3782 822463 10005",
            "5555555555554444",
            "2223003122003222",
            "6011111111111117",
            "30569309025904",
        ],
        &[
            "4111111111111112",
            "411111111111111",
            "1234567890123452",
            "x4111111111111111",
            "41111111111111111111",
            "4111 1111-1111 1111",
            "1795262400000",
            "0000000000000000",
        ],
    ),
    (
        Pattern::Iban,
        &[
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00 and",
            "gb29nwbk60161331926819",
            "NO9386011117947",
        ],
        &[
            "DE89370400440532013001",
            "DE8937040044053201300",
            "XX89370400440532013000",
            "ADE89370400440532013000",
            "AB12",
        ],
    ),
    (
        Pattern::Phone,
        &[
            "+14155552671",
            "+49 (0)30 1234567",
            "(415) 555-2671",
            "1-800-555-0199",
            "415.555.2671",
            "030 1234567",
            "0171/1234567",
            "020 7946 0958",
        ],
        &[
            "2026-11-21",
            "192.168.100.200",
            "1.22.333.4444",
            "4155552671",
            "+12345",
            "1+14155552671",
            "+1234567890123456",
            "123-4567890-1234567",
            "12:30:00",
        ],
    ),
];

#[test]
fn each_pattern_finds_its_own_and_no_more() {
    for (pattern, held, not_held) in ROWS {
        for text in held.iter().map(|text| joined(text)) {
            assert!(pattern.holds(&text), "{pattern:?}: {text}");
            let around = format!("before {text} after");
            assert!(pattern.holds(&around), "{pattern:?}: {around}");
        }
        for text in *not_held {
            assert!(!pattern.holds(text), "{pattern:?}: {text} → {}", pattern.blot(text));
        }
    }
}

#[test]
fn a_blot_leaves_what_stands_around() {
    let rows = [
        (Pattern::Email, "to ann@example.com, please", "to [email], please"),
        (Pattern::CreditCard, "card 4111 1111 1111 1111, 12/27", "card [credit card], 12/27"),
        (Pattern::Iban, "DE89 3704 0044 0532 0130 00 and more", "[iban] and more"),
        (Pattern::Phone, "call +49 30 1234567.", "call [phone]."),
        (Pattern::Secrets, "postgres://app:hunter2@db.example/x", "postgres://[secret]@db.example/x"),
        (Pattern::Secrets, "nothing here", "nothing here"),
    ];
    for (pattern, text, clean) in rows {
        assert_eq!(pattern.blot(text), clean);
    }
}

#[test]
fn a_key_without_a_form_is_told_by_the_name_of_its_member() {
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    assert!(Pattern::Secrets.holds_under("aws_secret_access_key", key));
    assert!(Pattern::Secrets.holds_under("secret-key", key));
    assert!(!Pattern::Secrets.holds_under("commit", key) && !Pattern::Secrets.holds(key));
    assert!(!Pattern::Email.holds_under("secret_key", key));
}

/// Texts on which a search that goes back would take minutes.
#[test]
fn no_text_is_slow() {
    let words = [
        "0123 ",
        "0123-",
        "+1",
        "+12 ",
        "4111 ",
        "4111-",
        "DE89 ",
        "de89",
        "a@",
        "a@b.cc.",
        "://a:",
        "://a:b@",
        "eyJ",
        "eyJaaaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "secret key ",
        "bearer ",
        "xoxb-",
        "sk-",
        "AKIA",
        "1",
        "1 ",
        "(",
    ];
    for pattern in Pattern::ALL {
        for word in words {
            let text = word.repeat(60_000 / word.len());
            let started = Instant::now();
            let clean = pattern.blot(&text);
            assert!(!pattern.holds(&clean), "{pattern:?} {word}");
            let took = started.elapsed();
            assert!(took < Duration::from_secs(20), "{pattern:?} took {took:?} for `{word}` over and over");
        }
    }
}

/// Bits of what is looked for, so that they meet in ways that nobody wrote.
fn texts() -> impl Strategy<Value = String> {
    let known: Vec<String> = ROWS
        .iter()
        .flat_map(|(_, held, not_held)| held.iter().chain(*not_held))
        .map(|text| joined(text))
        .collect();
    let bit = prop_oneof![
        3 => proptest::sample::select(known),
        1 => "[ -~]{0,8}",
        1 => "\\PC{0,4}",
        1 => proptest::sample::select(vec![" ", "-", "+", "0", ".", "@", "://", ":", "\n"]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(bit, 0..6).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn what_was_blotted_holds_none(text in texts()) {
        for pattern in Pattern::ALL {
            let clean = pattern.blot(&text);
            prop_assert!(!pattern.holds(&clean), "{:?}: {} → {}", pattern, text, clean);
            prop_assert_eq!(pattern.holds(&text), clean != text);
        }
    }
}
