//! From an evaluation to a tool and its arguments.

use api::authzen::Subject;
use serde_json::json;

use super::*;

fn action(name: &str) -> Action {
    Action { name: name.into(), properties: None }
}

fn resource(properties: Value) -> Resource {
    Resource { kind: "todo".into(), id: "7".into(), properties: properties.as_object().cloned() }
}

#[test]
fn a_verb_belongs_to_its_resource_and_a_full_name_to_itself() {
    assert_eq!(tool_of(&action("can_read"), &resource(json!(null))), "todo.can_read");
    assert_eq!(tool_of(&action("stripe.refund"), &resource(json!(null))), "stripe.refund");
}

#[test]
fn a_property_cannot_replace_the_type_or_the_id() {
    let args = args_of(action("x"), resource(json!({"id": "8", "type": "user", "ownerID": "a"})), None);
    assert_eq!(args, json!({"id": "7", "type": "todo", "ownerID": "a"}));
}

#[test]
fn a_closed_schema_gets_only_what_it_declares() {
    let declared = json!({"ownerID": {"type": "string"}});
    let input = json!({"type": "object", "additionalProperties": false, "properties": declared});
    let args = args_of(action("x"), resource(json!({"ownerID": "a", "colour": "red"})), Some(&input));
    assert_eq!(args, json!({"ownerID": "a"}));
}

#[test]
fn members_are_taken_from_the_top_level_or_missed_by_place() {
    let body: Evaluations = serde_json::from_value(json!({
        "subject": {"type": "user", "id": "rick"}, "action": {"name": "x"},
        "evaluations": [{"resource": {"type": "todo", "id": "1"}}, {"action": {"name": "y"}}]
    }))
    .unwrap();
    let refusal = merged(body).unwrap_err();
    assert_eq!(refusal.0.at.as_deref(), Some("/evaluations/1/resource"));
    let alone = Evaluations {
        subject: Some(Subject { kind: "user".into(), id: "rick".into(), properties: None }),
        action: Some(action("x")),
        resource: Some(resource(json!({}))),
        ..Evaluations::default()
    };
    let (single, all) = merged(alone).unwrap();
    assert!(single && all.len() == 1);
}
