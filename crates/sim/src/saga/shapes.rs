//! Shapes of plans: chains, diamonds, fans, ends that cannot be taken back, results that later steps use.

use serde_json::{Value, json};

/// `id:kind<after,after`; `kind@id` works on what that step made. Two plans, one under the other: `outer / inner`.
pub const SHAPES: [&str; 36] = [
    // chains
    "a:take",
    "a:take b:take<a",
    "a:take b:set<a c:make<b",
    "a:take b:set<a c:make<b d:take_probed<c",
    "a:make b:set@a",
    "a:make b:set@a c:set<b",
    "a:take_once b:take<a",
    "a:take_probed b:take_plain<a",
    "a:make b:make<a c:make<b d:make<c e:make<d",
    // side by side
    "a:take b:take",
    "a:take b:set c:make",
    "a:take b:set c:make d:take_probed e:take_plain",
    // fans
    "a:take b:set<a c:make<a d:take_probed<a",
    "a:make b:set@a c:take<a",
    "a:make b:set@a c:take<a d:take<a",
    "a:take b:set c:make d:take<a,b,c",
    "a:take b:take<a c:take<a d:take<b e:take<c",
    // diamonds
    "a:take b:set<a c:make<a d:take<b,c",
    "a:make b:take<a c:set@a d:take_probed<b,c",
    "a:take b:take<a c:set<a d:make<a e:take<b,c,d",
    "a:take b:set<a c:make<a d:take<b,c e:take<d f:set<d",
    "a:take b:set c:take<a,b d:make<c e:take<c f:set<d,e",
    // ends that cannot be taken back
    "a:mail",
    "a:take b:mail<a",
    "a:mail b:take",
    "a:take b:set<a c:mail<b",
    "a:take b:set c:mail<a,b",
    "a:take b:set<a c:make<a d:mail<b,c",
    "a:take b:mail<a c:mail<a",
    "a:take b:mail<a c:mail<b",
    "a:set b:mail_later<a",
    "a:make b:set@a c:mail<b d:mail_plain<b",
    "a:take b:take c:mail<a d:mail_later<b",
    // runs beneath runs
    "a:take b:take<a / c:take d:set<c",
    "a:take b:set c:take<a,b / d:make e:take<d",
    "a:take b:mail<a / c:set d:mail<c",
];

/// One step of a shape.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: String,
    pub kind: String,
    pub after: Vec<String>,
    /// The step whose result it works on.
    pub on: Option<String>,
}

impl Node {
    pub fn is_final(&self) -> bool {
        self.kind.starts_with("mail")
    }

    /// The server does what comes twice under one key once.
    pub fn is_keyed(&self) -> bool {
        !self.kind.ends_with("_plain") && !self.kind.ends_with("_probed")
    }

    /// What the server knows its effect by.
    pub fn note(&self, run: &str) -> String {
        format!("{run}/{}", self.id)
    }

    pub fn step(&self, run: &str) -> Value {
        let own = format!("{run}-{}", self.id);
        let place = self.on.as_ref().map_or(own, |on| format!("$steps.{on}.result.handle"));
        let note = self.note(run);
        let args = match self.kind.as_str() {
            "set" => json!({ "id": place, "value": 42, "note": note }),
            "make" | "make_probed" => json!({ "name": self.id, "note": note }),
            kind if kind.starts_with("mail") => json!({ "to": "ann", "note": note }),
            _ => json!({ "id": place, "amount": 7, "note": note }),
        };
        json!({ "id": self.id, "tool": format!("box.{}", self.kind), "args": args, "after": self.after })
    }
}

/// The plan of a run, and that of the run beneath it, if there is one.
pub fn plans(shape: &str) -> Vec<Vec<Node>> {
    shape.split(" / ").map(|plan| plan.split(' ').map(node).collect()).collect()
}

fn node(text: &str) -> Node {
    let (head, after) = text.split_once('<').unwrap_or((text, ""));
    let (id, kind) = head.split_once(':').unwrap_or((head, "take"));
    let (kind, on) = kind.split_once('@').map_or((kind, None), |(kind, on)| (kind, Some(on.to_owned())));
    let after = after.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    Node { id: id.to_owned(), kind: kind.to_owned(), after, on }
}

pub fn written(nodes: &[Node], run: &str) -> Value {
    json!({ "steps": nodes.iter().map(|node| node.step(run)).collect::<Vec<Value>>() })
}
