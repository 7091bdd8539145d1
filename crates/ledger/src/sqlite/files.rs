//! The folder, its files and its lock.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("ledger.db")
}

pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match folder.parent() {
        // A bare name has the empty parent, which cannot be opened.
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Creates the file before SQLite does, because SQLite would leave its mode to the umask; the write-ahead
/// file takes its mode from this one.
pub(super) fn create_database(folder: &Path) -> io::Result<PathBuf> {
    let path = database(folder);
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    // A file whose name is not on disk would be lost with everything in it.
    File::open(folder)?.sync_all()?;
    Ok(path)
}

/// The operating system lets go of this lock when the process dies in whatever way.
pub(super) fn lock(folder: &Path) -> Result<File, Error> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The holder may be between locking and writing; a missing pid is no reason to fail otherwise.
            let _ = file.read_to_string(&mut text);
            return Err(Error::Locked { holder: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}
