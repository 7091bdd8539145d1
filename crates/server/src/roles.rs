//! What each role lets a person ask for: one table, from what a route demands to yes or no.

use std::collections::BTreeMap;

use api::endpoint::{Auth, ENDPOINTS, Endpoint, Face};
use api::person::Role;
use http::Method;

/// The people of the configuration and their roles, by name.
pub type People = BTreeMap<String, Vec<Role>>;

/// The table. What is not in it is refused, so a new demand is nobody's until it stands here.
pub(crate) fn may(role: &Role, demand: Auth) -> bool {
    match demand {
        // An agent's owner answers too, whatever their role: the law knows who may.
        Auth::Viewer | Auth::Approver => true,
        Auth::Auditor => matches!(role, Role::Auditor | Role::Operator),
        Auth::Operator => *role == Role::Operator,
        Auth::None | Auth::Agent | Auth::Run | Auth::OperatorKey | Auth::Signed => false,
    }
}

/// The row of the people's listener that a request is for.
pub(crate) fn endpoint(method: &Method, path: &str) -> Option<&'static Endpoint> {
    // Where GET is answered, HEAD is answered too.
    let method = if *method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    let asked = |it: &&Endpoint| it.face != Face::Agents && it.method.name() == method && it.path == path;
    ENDPOINTS.iter().find(asked)
}
