//! What control lends to lanes, and what comes back.

use serde::{Deserialize, Serialize};

use crate::lending::Part;

/// Control lends slices of accounts to a lane; each amount is beside what it lent before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicesLent {
    pub slices: Vec<Part>,
    pub to: u16,
}

/// What a lane gave back is free again; each amount counts from the start of the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicesFreed {
    pub from: u16,
    pub slices: Vec<Part>,
}

/// A lane gives back what it does not use; each amount counts from the start of the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicesReturned {
    pub slices: Vec<Part>,
}
