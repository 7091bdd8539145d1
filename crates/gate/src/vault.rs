//! The vault: opens a tool's credential for one permit, from where the contract says it is kept.

use std::fmt;

use crate::error::Error;
use crate::permit::Permit;

/// A secret's text. It has no `Debug` that shows it, and it is wiped when it is dropped.
pub struct Secret(Vec<u8>);

impl Secret {
    /// The text itself: for the one header that carries it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // The fence keeps the wipe from being optimised away as a dead store.
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        std::hint::black_box(&self.0);
    }
}

/// The secret that this permit's contract names, if it names one.
pub(crate) fn open(permit: &Permit) -> Result<Option<Secret>, Error> {
    permit.contract().credential.as_deref().map(open_reference).transpose()
}

/// The secret behind a reference, for what Remit itself asks a tool server: what it offers.
pub fn open_reference(reference: &str) -> Result<Secret, Error> {
    let text = match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name).ok().map(String::into_bytes),
        Some(("file", path)) => std::fs::read(path).ok(),
        _ => None,
    };
    let mut text = text.ok_or_else(|| Error::Credential { reference: reference.to_owned() })?;
    while text.last().is_some_and(u8::is_ascii_whitespace) {
        text.pop();
    }
    if text.is_empty() || text.iter().any(u8::is_ascii_control) {
        return Err(Error::Credential { reference: reference.to_owned() });
    }
    Ok(Secret(text))
}
