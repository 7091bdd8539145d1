//! What was signed reads back; what was touched does not.

use super::*;

fn seal() -> Seal {
    Seal::from_secret(&[7; 32]).expect("a seal")
}

#[test]
fn a_run_token_reads_back_and_no_changed_one_does() {
    let claims = RunClaims { agent: "desk".into(), exp: Time(9), run: RunId(5) };
    let token = seal().run_token(&claims);
    assert_eq!(seal().read_run_token(&token), Some(claims));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(seal().read_run_token(&changed), None, "byte {at}");
    }
    let other = Seal::from_secret(&[8; 32]).expect("a seal");
    assert_eq!(other.read_run_token(&token), None);
}

#[test]
fn a_key_names_itself_and_proves_itself_by_its_digest() {
    let (id, secret) = (KeyId(77), [3; 32]);
    let (read, digest) = read_key(&write_key(id, &secret)).expect("a key");
    assert_eq!((read, digest), (id, Digest::of(&secret)));
    for text in ["", "rk_", "rk_x", "rk_x_y", "key_0_0"] {
        assert_eq!(read_key(text), None, "{text}");
    }
}

#[test]
fn marks_tell_apart_runs_uses_and_bytes() {
    let seal = seal();
    let mark = seal.mark(RunId(1), "args", b"x");
    assert_eq!(mark, seal.mark(RunId(1), "args", b"x"));
    assert_ne!(mark, seal.mark(RunId(2), "args", b"x"));
    assert_ne!(mark, seal.mark(RunId(1), "key", b"x"));
    assert_ne!(mark, seal.mark(RunId(1), "args", b"y"));
}

#[test]
fn a_permit_token_verifies_with_the_published_key() {
    let seal = seal();
    let digest = Digest::of(b"x");
    let claims = PermitClaims {
        agent: "a",
        call: CallId(1),
        tool: "s.t",
        args: digest,
        obligations: &[],
        rules: digest,
        now: Time(5_000),
        ttl_ms: 60_000,
    };
    let token = seal.permit_token(&claims);
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let x = seal.permit_jwk()["x"].as_str().and_then(unbase64url).expect("a key");
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, x);
    key.verify(signed.as_bytes(), &unbase64url(signature).expect("base64")).expect("verifies");
    let body = unbase64url(signed.split_once('.').expect("parts").1).expect("base64");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&body["iat"], &body["exp"]), (&json!(5), &json!(65)));
}

#[test]
fn a_state_is_good_for_what_it_was_sealed_for() {
    let seal = Seal::from_secret(&[7; 32]).unwrap();
    let state = seal.state(b"call_1", b"clerk").unwrap();
    assert!(!state.contains("call"), "nobody reads it");
    assert_eq!(seal.read_state(&state, b"clerk").unwrap(), b"call_1");
    assert_eq!(Seal::from_secret(&[7; 32]).unwrap().read_state(&state, b"clerk").unwrap(), b"call_1");
    assert_eq!(seal.read_state(&state, b"other"), None);
    assert_eq!(Seal::from_secret(&[8; 32]).unwrap().read_state(&state, b"clerk"), None);
    let mut changed = state.clone().into_bytes();
    changed[3] ^= 1;
    assert_eq!(seal.read_state(&String::from_utf8(changed).unwrap(), b"clerk"), None);
    assert_eq!(seal.read_state("", b"clerk"), None);
}
