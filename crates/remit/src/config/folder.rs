//! A folder of named texts: on disk, or carried in the binary. One loader reads both.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

/// Larger than any file a person writes; a bound so that a wrong path cannot fill the memory.
const FILE_BYTES_MAX: u64 = 4 << 20;
const FILES_MAX: usize = 10_000;

pub(super) enum Folder<'a> {
    Disk(PathBuf),
    Memory(&'a [(&'a str, &'a str)]),
    /// On disk, but for one file.
    Changed {
        base: PathBuf,
        name: &'a str,
        text: &'a str,
    },
}

impl Folder<'_> {
    pub(super) fn read(&self, name: &str) -> Result<String> {
        match self {
            Folder::Changed { name: changed, text, .. } if *changed == name => Ok((*text).to_owned()),
            Folder::Disk(base) | Folder::Changed { base, .. } => read_text(&base.join(name)),
            Folder::Memory(files) => files
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| Error::from(ErrorKind::NotFound)),
        }
    }

    /// The names that match, sorted. A folder that is not there holds nothing.
    pub(super) fn list(&self, pattern: &str) -> Result<Vec<String>> {
        let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if folder.contains('*') {
            return Err(Error::new(ErrorKind::InvalidInput, "`*` stands in the last part of a path only"));
        }
        let matches = |name: &str| !name.starts_with('.') && stdx::glob::matches(last, name);
        let mut names = Vec::new();
        for name in self.names(folder)?.into_iter().filter(|name| matches(name)) {
            names.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
        }
        if let Folder::Changed { name, .. } = self {
            let (parent, last_part) = name.rsplit_once('/').unwrap_or(("", name));
            if parent == folder && matches(last_part) && !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        if names.len() > FILES_MAX {
            return Err(Error::new(ErrorKind::InvalidInput, format!("more than {FILES_MAX} files")));
        }
        names.sort();
        Ok(names)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let base = match self {
            Folder::Memory(files) => {
                let split = |name: &'_ str| {
                    let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
                    (parent == folder).then(|| last.to_owned())
                };
                return Ok(files.iter().filter_map(|(name, _)| split(name)).collect());
            }
            Folder::Disk(base) | Folder::Changed { base, .. } => base.join(folder),
        };
        let entries = match std::fs::read_dir(base) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let text =
                name.to_str().ok_or_else(|| Error::new(ErrorKind::InvalidData, "a name is not UTF-8"))?;
            names.push(text.to_owned());
        }
        Ok(names)
    }
}

/// What a person can do about a file that cannot be read.
pub(super) fn help(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "give the path of an existing file; `examples/` holds whole configurations",
        ErrorKind::PermissionDenied => "let the user that runs Remit read it",
        _ => "a configuration file is UTF-8 text of at most 4 MiB",
    }
}

fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(Error::new(ErrorKind::InvalidData, "larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "not UTF-8"))
}
