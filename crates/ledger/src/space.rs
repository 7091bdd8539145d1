//! How much room the disk has left.

use std::io;
use std::path::Path;

/// Bytes that this process may still write on the folder's file system; room kept for root does not count.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
