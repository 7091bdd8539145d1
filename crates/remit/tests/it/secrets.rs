//! Canaries: no secret is in any file but its own, nor in anything that was printed.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::house::House;
use crate::install::CREDENTIAL;
use crate::toolserver::TELLS;

fn files_below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, all) } else { all.push(path) }
    }
}

/// The files below a folder that hold these bytes.
fn holders(folder: &Path, secret: &str) -> Vec<PathBuf> {
    assert!(secret.len() >= 16, "too short to be looked for");
    let mut all = Vec::new();
    files_below(folder, &mut all);
    all.retain(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    });
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_kept_or_printed() {
    let house = House::up().await;
    let run = house.run().await;
    let refund = run.refund(100).await.unwrap();
    run.refund(900_000).await.unwrap();
    // A tool that an agent has talked into telling its secret: the answer is redacted.
    let told = run.call("desk.lookup_ticket", json!({ "ticket_id": TELLS })).await.unwrap();
    let told = serde_json::to_string(&told).unwrap();
    assert!(!told.contains(CREDENTIAL) && told.contains("Bearer"), "{told}");
    assert!(run.call("desk.nothing", json!({})).await.is_ok());
    assert!(house.tools.deeds().iter().all(|deed| deed.bearer == format!("Bearer {CREDENTIAL}")));
    // The end of the key is of its secret half, and no other secret is made of it.
    let secret_half = house.key.split_at(house.key.len() - 24).1.to_owned();
    let mut printed = String::new();
    for args in [
        &["explain", &refund.call] as &[&str],
        &["explain", &refund.call, "--json"],
        &["tail", "--from", "0", "--json"],
        &["calls", "--json"],
        &["status"],
        &["agent", "keys", "--json"],
        &["policy", "show"],
        &["doctor"],
    ] {
        let said = house.install.remit(args);
        printed += &(said.out + &said.err);
    }
    let operator = house.install.operator_key();
    let folder = house.install.path("");
    for secret in [CREDENTIAL, &house.key, &secret_half, &run.opened.token] {
        assert_eq!(holders(&folder, secret), Vec::<PathBuf>::new(), "while it runs: {secret}");
        assert!(!printed.contains(secret), "{secret} was printed");
    }
    assert_eq!(holders(&folder, &operator), [house.install.data().join("operator.key")]);
    assert!(!printed.contains(&operator));
    let House { install, serve, key, .. } = house;
    serve.stop();
    for secret in [CREDENTIAL, &key, &secret_half, &run.opened.token] {
        assert_eq!(holders(&install.path(""), secret), Vec::<PathBuf>::new(), "after a stop: {secret}");
    }
}
