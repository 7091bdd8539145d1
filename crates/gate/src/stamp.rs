//! Stamps: what Remit itself writes into the arguments of a call, where its contract names a field for it: the run, so
//! that what was done out there can be searched by it, and a key that makes a second try no second deed.
//!
//! It is written before the law decides, so that what is decided on is what leaves the house.

use kernel::contract::Contract;
use kernel::id::RunId;
use serde_json::{Map, Value};

/// Whether anything may have been written.
pub(crate) fn stamp(contract: &Contract, args: &mut Value, run: RunId, key: &str) -> bool {
    if let Some(path) = &contract.stamp {
        write(args, path, run.to_string());
    }
    if let Some(field) = &contract.idempotency_field {
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        write(args, &path, key.to_owned());
    }
    writes(contract)
}

pub(crate) fn writes(contract: &Contract) -> bool {
    contract.stamp.is_some() || contract.idempotency_field.is_some()
}

/// Whatever stands in the way stays, and the tool's schema says what it thinks of it.
fn write(args: &mut Value, path: &[String], text: String) {
    let Some((last, way)) = path.split_last() else { return };
    let mut place = args;
    for name in way {
        let Value::Object(members) = place else { return };
        place = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(members) = place {
        members.insert(last.clone(), Value::String(text));
    }
}
