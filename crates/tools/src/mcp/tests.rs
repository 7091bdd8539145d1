//! What a pin holds fast, and what it does not.

use serde_json::json;

use super::*;

#[test]
fn a_pin_changes_with_each_member_that_an_agent_acts_on_and_with_no_other() {
    let tool = json!({ "name": "a", "title": "A", "description": "does a", "inputSchema": {}, "icons": [] });
    let pin = definition_digest(&tool);
    for name in PINNED {
        let mut changed = tool.clone();
        changed[name] = json!({ "type": "object" });
        assert_ne!(definition_digest(&changed), pin, "{name}");
    }
    let mut same = tool.clone();
    same["_meta"] = json!({ "seen": 1 });
    same["icons"] = json!([{ "src": "https://a.example/i.png" }]);
    assert_eq!(definition_digest(&same), pin);
    assert_eq!(definition_digest(&definition(&tool)), pin);
}
