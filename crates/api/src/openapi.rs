//! The table of endpoints and the types, as OpenAPI 3.1.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::endpoint::{Auth, ENDPOINTS, Endpoint, Face, Media, Method};
use crate::problem::Problem;

/// The whole document. Both listeners share it; each operation names its own server.
pub fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|s| s.definitions_path = "/components/schemas".into())
        .into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let operation = operation(endpoint, &mut schemas, &problem);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(endpoint.method.name().to_ascii_lowercase(), operation);
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Remit",
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Agents ask on port 7470, people on port 7471. A refused call is an answer (200, \
                ruling `deny`, with reasons); an error is `application/problem+json` with a code \
                that has a page in docs/errors."
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "agentKey": bearer("A key of the agent's own: `rk_…`."),
                "runToken": { "type": "apiKey", "in": "header", "name": "Remit-Run" },
                "operatorKey": bearer("The text of `operator.key`."),
                "webhookSignature": { "type": "apiKey", "in": "header", "name": "webhook-signature", "description":
                    "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, with the headers `webhook-id` and \
                     `webhook-timestamp`." },
                "session": { "type": "apiKey", "in": "cookie", "name": "remit_<port>", "description":
                    "Of `remit login`. What changes something also needs the header `Remit-Csrf` and an `Origin` of \
                     the same host." }
            }
        }
    });
    // Sorted here: whether a JSON object keeps its order depends on what else is built beside this crate.
    serde_json::from_slice(&stdx::json::canonical(&document)).unwrap_or(document)
}

fn bearer(about: &str) -> Value {
    json!({ "type": "http", "scheme": "bearer", "description": about })
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut parameters = path_parameters(endpoint.path);
    if let Some(query) = endpoint.query {
        parameters.extend(query_parameters(query(schemas), schemas));
    }
    let mut operation = Map::new();
    operation.insert("operationId".into(), endpoint.id.into());
    operation.insert("summary".into(), endpoint.about.into());
    operation.insert("tags".into(), json!([tag(endpoint.face)]));
    operation.insert("servers".into(), servers(endpoint.face));
    operation.insert("security".into(), security(endpoint.auth));
    if let Some(role) = role(endpoint.auth) {
        operation.insert("x-remit-role".into(), role.into());
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(request) = endpoint.request {
        let content = json!({ "application/json": { "schema": request(schemas) } });
        operation.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    let content = match endpoint.answer {
        Media::Json(schema) => json!({ "application/json": { "schema": schema(schemas) } }),
        Media::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Media::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
    };
    let problem = json!({ Problem::MEDIA_TYPE: { "schema": problem } });
    let mut responses = json!({
        "200": { "description": "The answer.", "content": content },
        "default": { "description": "A problem.", "content": problem }
    });
    if let (Value::Object(responses), true) = (&mut responses, endpoint.waits()) {
        let says = "It waits for people: `waiting` says where to ask what became of it.";
        responses.insert("202".to_owned(), json!({ "description": says, "content": content }));
    }
    operation.insert("responses".into(), responses);
    Value::Object(operation)
}

fn tag(face: Face) -> &'static str {
    match face {
        Face::Agents => "agents",
        Face::People => "people",
        Face::Both => "health",
    }
}

fn servers(face: Face) -> Value {
    let (agents, people) =
        (json!({ "url": "http://127.0.0.1:7470" }), json!({ "url": "http://127.0.0.1:7471" }));
    match face {
        Face::Agents => json!([agents]),
        Face::People => json!([people]),
        Face::Both => json!([agents, people]),
    }
}

fn security(auth: Auth) -> Value {
    match auth {
        Auth::None => json!([]),
        Auth::Agent => json!([{ "agentKey": [] }]),
        Auth::Run => json!([{ "agentKey": [], "runToken": [] }]),
        Auth::Viewer | Auth::Approver | Auth::Auditor | Auth::Operator => {
            json!([{ "operatorKey": [] }, { "session": [] }])
        }
        Auth::OperatorKey => json!([{ "operatorKey": [] }]),
        Auth::Signed => json!([{ "webhookSignature": [] }]),
    }
}

/// The least that a person who is signed in must be.
fn role(auth: Auth) -> Option<&'static str> {
    match auth {
        Auth::Viewer => Some("viewer"),
        Auth::Approver => Some("approver:<group>"),
        Auth::Auditor => Some("auditor"),
        Auth::Operator => Some("operator"),
        Auth::None | Auth::Agent | Auth::Run | Auth::OperatorKey | Auth::Signed => None,
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}

/// A query's type is an object; each of its members is a parameter.
fn query_parameters(schema: Schema, schemas: &SchemaGenerator) -> Vec<Value> {
    let name =
        schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()).unwrap_or_default();
    let Some(object) = schemas.definitions().get(name) else { return Vec::new() };
    let required = object.get("required").and_then(Value::as_array);
    let members = object.get("properties").and_then(Value::as_object);
    let mut members: Vec<(&String, &Value)> = members.into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| *name);
    let parameter = |(name, schema): (&String, &Value)| {
        let required = required.is_some_and(|list| list.iter().any(|item| item == name));
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    };
    members.into_iter().map(parameter).collect()
}

/// Whether a face answers this method and path, for tests of coverage.
pub fn has(face: Face, method: Method, path: &str) -> bool {
    let here = |of: Face| of == face || of == Face::Both;
    ENDPOINTS.iter().any(|e| here(e.face) && e.method == method && e.path == path)
}

#[cfg(test)]
mod tests;
