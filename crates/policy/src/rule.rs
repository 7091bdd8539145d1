//! One rule, ready to be decided by.

use serde::{Deserialize, Serialize};

/// A rule as people cite it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    pub id: String,
    pub file: String,
    pub line: usize,
    /// The condition of a manifest entry, the `@reason` of a free rule, or else its source line.
    pub words: String,
    pub forbids: bool,
}
