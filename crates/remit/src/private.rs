//! Private files: a data folder and all that is in it is for its owner alone.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::Mode;

/// Rights of the group and of everybody else.
const OTHERS: u32 = 0o077;

/// From here on this process makes nothing that others may open: not the database's helpers either, whose rights
/// SQLite would leave to the shell's habits.
pub(crate) fn from_now_on() {
    rustix::process::umask(Mode::from_raw_mode(OTHERS));
}

/// A folder that was not there before.
pub(crate) fn new_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.with_context(|| format!("the folder `{}` cannot be made", path.display()))
}

pub(crate) fn write(path: &Path, text: &str, replace: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path).with_context(|| format!("`{}` cannot be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("`{}` cannot be written", path.display()))
}

/// A file to lock or to add to, made if it is not there.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// The folder and the files in it that others may open.
pub(crate) fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let wide = |found: &Metadata| found.permissions().mode() & OTHERS != 0;
    let mut found: Vec<PathBuf> =
        files(folder).filter(|(_, file)| wide(file)).map(|(path, _)| path).collect();
    found.sort();
    if folder.metadata().is_ok_and(|found| wide(&found)) {
        found.insert(0, folder.to_owned());
    }
    found
}

/// Takes others' rights from our own files. The folder itself may be shared on purpose: that is only said.
pub(crate) fn tighten(folder: &Path) {
    let us = rustix::process::geteuid().as_raw();
    for path in open_to_others(folder) {
        let ours = path.metadata().is_ok_and(|found| found.uid() == us);
        if path != folder && ours && std::fs::set_permissions(&path, Permissions::from_mode(0o600)).is_ok() {
            tracing::warn!("others could open `{}`: it is for its owner alone now", path.display());
        } else {
            tracing::warn!("others may open `{}`; mend: {}", path.display(), mend(&path));
        }
    }
}

/// The command that takes others' rights away.
pub(crate) fn mend(path: &Path) -> String {
    format!("chmod go-rwx {}", path.display())
}

/// Regular files only: what a link points to is not this folder's.
fn files(folder: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let regular = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    regular.filter(|(_, found)| found.is_file())
}
