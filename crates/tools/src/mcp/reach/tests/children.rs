//! Servers that are children: what becomes of them, of their calls, and of what they started.

use std::path::{Path, PathBuf};

use super::*;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/hostile.py")
}

fn child(begin: &str, tool: &str, effect: Effect) -> Contract {
    let args = json!([script(), begin]);
    let mut contract =
        contract(json!({ "server": "fake", "command": "python3", "args": args }), tool, effect);
    contract.timeout_ms = 10_000;
    contract
}

fn quick(mut contract: Contract) -> Contract {
    contract.timeout_ms = 300;
    contract
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn runs(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

async fn ends(pid: &Value) -> bool {
    for _ in 0..100 {
        if !runs(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn a_hostile_child_of_either_era_gets_one_honest_outcome_for_each_trick() {
    for begin in ["legacy", "stateless"] {
        let mcp = mcp();
        assert_eq!(told(&call(&mcp, &child(begin, "ok", Effect::Read), json!({})).await), ("succeeded", ""));
        for (tool, read, write, trouble) in [
            ("ok", "succeeded", "succeeded", ""),
            ("chatter", "succeeded", "succeeded", ""),
            ("tool_error", "failed", "failed", "tool_error"),
            ("slow", "failed", "unknown", "timeout"),
            ("malformed", "failed", "unknown", "malformed_result"),
            ("wrong_id", "failed", "unknown", "timeout"),
            ("huge", "failed", "unknown", "too_large"),
        ] {
            for (effect, outcome) in [(Effect::Read, read), (Effect::Irreversible, write)] {
                let mut contract = child(begin, tool, effect);
                if trouble == "timeout" {
                    contract = quick(contract);
                }
                let reached = call(&mcp, &contract, json!({})).await;
                assert_eq!(told(&reached), (outcome, trouble), "{begin} {tool} {effect:?}");
            }
        }
        mcp.close().await;
    }
}

#[tokio::test]
async fn a_child_that_dies_costs_the_calls_under_way_and_is_started_again() {
    let mcp = mcp();
    let first = body(&call(&mcp, &child("legacy", "grandchild", Effect::Read), json!({})).await);
    let (slow, dies) = (child("legacy", "slow", Effect::Irreversible), child("legacy", "dies", Effect::Read));
    let (slow, dies) = tokio::join!(call(&mcp, &slow, json!({})), call(&mcp, &dies, json!({})));
    assert_eq!(told(&slow), ("unknown", "connection_lost"));
    assert_eq!(told(&dies), ("failed", "connection_lost"));
    assert!(body(&dies)["text"].as_str().unwrap().contains("oops"), "its last words are told");
    assert!(ends(&first["pid"]).await, "what it started ends with it");
    let second = body(&call(&mcp, &child("legacy", "grandchild", Effect::Read), json!({})).await);
    assert_ne!(first["own"], second["own"]);
    mcp.close().await;
}

#[tokio::test]
async fn a_child_that_ends_at_once_is_not_started_for_every_call() {
    let mcp = mcp();
    let contract = child("crash", "ok", Effect::Irreversible);
    let mut fast = 0;
    for _ in 0..20 {
        let started = Instant::now();
        let reached = call(&mcp, &contract, json!({})).await;
        assert_eq!(reached.outcome.name(), "not_dispatched");
        assert!(body(&reached)["text"].as_str().unwrap().contains("no configuration"), "{reached:?}");
        fast += usize::from(started.elapsed() < Duration::from_millis(5));
    }
    assert!(fast >= 15, "only {fast} of 20 were refused without a start");
    let missing = contract_of("/no/such/program");
    let reached = call(&mcp, &missing, json!({})).await;
    assert_eq!(told(&reached), ("not_dispatched", "unreachable"));
    assert!(body(&reached)["text"].as_str().unwrap().contains("/no/such/program"));
}

fn contract_of(command: &str) -> Contract {
    contract(json!({ "server": "other", "command": command }), "ok", Effect::Read)
}

#[tokio::test]
async fn a_child_that_cannot_bear_a_new_question_is_asked_the_old_one() {
    for begin in ["dies_on_discover", "mute_on_discover"] {
        let mcp = mcp();
        let reached = call(&mcp, &child(begin, "ok", Effect::Read), json!({})).await;
        assert_eq!(told(&reached), ("succeeded", ""), "{begin}");
        assert_eq!(mcp.catalogue().connection("fake").await.unwrap().version, Version::V2025_06_18);
        mcp.close().await;
    }
}

#[tokio::test]
async fn a_child_knows_of_this_machine_what_its_contract_names_and_little_else() {
    let mcp = mcp();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "sk-canary\n").unwrap();
    let place = json!({
        "server": "fake", "command": "python3", "args": [script(), "legacy"], "cwd": "/",
        "env": { "TOKEN": format!("file:{}", secret.path().display()), "MODE": "test" },
    });
    let of = |tool: &str| Contract { timeout_ms: 10_000, ..contract(place.clone(), tool, Effect::Read) };
    let said = body(&call(&mcp, &of("env"), json!({})).await);
    assert_eq!(said["cwd"], "/");
    // Whatever starts Python may add words of its own; none of ours may be among them.
    // Whatever starts Python may add words of its own; ours may not be among them.
    let theirs = |name: &str| {
        name.contains("PYENV") || ["LANG", "PATH", "TMPDIR", "TZ", "PWD", "SHLVL"].contains(&name)
    };
    for (name, value) in std::env::vars().filter(|(name, _)| !theirs(name)) {
        assert_ne!(said["env"][&name], json!(value), "{name}");
    }
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok() && said["env"].get("CARGO_MANIFEST_DIR").is_none());
    assert_eq!((&said["env"]["MODE"], &said["env"]["TOKEN"]), (&json!("test"), &json!("[secret]")));
    assert_eq!(body(&call(&mcp, &of("whispers"), json!({})).await)["token"], "[secret]");
    let last = body(&call(&mcp, &of("dies"), json!({})).await);
    assert!(last["text"].as_str().unwrap().contains("oops: [secret]"), "{last}");
    mcp.close().await;
}

#[tokio::test]
async fn closing_ends_a_child_and_all_that_it_started_even_against_its_will() {
    let mcp = mcp();
    let place = json!({ "server": "fake", "command": "python3", "args": [script(), "legacy", "stubborn"] });
    let contract = Contract { timeout_ms: 10_000, ..contract(place, "grandchild", Effect::Read) };
    let pids = body(&call(&mcp, &contract, json!({})).await);
    assert!(runs(&pids["pid"]) && runs(&pids["own"]));
    mcp.close().await;
    assert!(ends(&pids["pid"]).await && ends(&pids["own"]).await, "{pids}");
}

#[tokio::test]
async fn many_calls_are_under_way_at_once_and_each_gets_its_own_answer_and_progress() {
    let mcp = mcp();
    let contract = child("legacy", "progress", Effect::Read);
    let calls = (0..50).map(|_| async {
        let (listener, mut words) = mpsc::channel(16);
        let args = json!({});
        let order = Order { feed: Feed::new(listener), ..order(&contract, &args) };
        assert_eq!(told(&carry(&mcp, order).await), ("succeeded", ""));
        let mut heard = Vec::new();
        while let Some(word) = words.recv().await {
            heard.push(word["params"]["progress"].clone());
        }
        heard
    });
    for heard in futures_util::future::join_all(calls).await {
        assert_eq!(heard, [json!(1), json!(2)]);
    }
    let said = body(&call(&mcp, &child("legacy", "asks", Effect::Read), json!({})).await);
    let replies = said["replies"].as_array().unwrap();
    let of = |id: &str| replies.iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(of("q")["error"]["code"], crate::mcp::wire::METHOD_NOT_FOUND);
    assert_eq!(of("p")["result"], json!({}));
    mcp.close().await;
}

#[tokio::test]
async fn a_secret_that_has_no_place_in_a_child_is_not_lost_in_silence() {
    let contract = child("legacy", "ok", Effect::Read);
    let args = json!({});
    let order = Order { secret: Some(b"sk"), ..order(&contract, &args) };
    assert_eq!(told(&carry(&mcp(), order).await), ("not_dispatched", "credential_unusable"));
}

#[tokio::test]
async fn a_child_is_started_where_the_configuration_is() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().canonicalize().unwrap().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let options = Options { folder: inner.parent().map(Path::to_owned), ..Options::default() };
    for (cwd, expected) in [(json!(null), inner.parent()), (json!("inner"), Some(inner.as_path()))] {
        let mcp = Mcp::new(&options).unwrap();
        let place =
            json!({ "server": "fake", "command": "python3", "args": [script(), "legacy"], "cwd": cwd });
        let contract = Contract { timeout_ms: 10_000, ..contract(place, "env", Effect::Read) };
        assert_eq!(body(&call(&mcp, &contract, json!({})).await)["cwd"], json!(expected));
        mcp.close().await;
    }
}
