//! What a changed file would make of the rules: read and compiled as a start would, and put into force by nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::rules::Rules;

use crate::config::{Loaded, Problems, Settings};
use crate::{compose, config};

pub(crate) enum Change {
    Files(PathBuf),
    /// Of a configuration that is in no file, the house's own first.
    Texts(Vec<(String, String)>),
}

impl Change {
    pub(crate) fn new(settings: &Settings) -> Change {
        let texts = || Change::Texts(settings.texts.clone());
        settings.file.clone().map_or_else(texts, Change::Files)
    }

    fn root(&self) -> String {
        match self {
            Change::Files(path) => config::root_name(path),
            Change::Texts(texts) => texts.first().map(|(name, _)| name.clone()).unwrap_or_default(),
        }
    }

    /// As it would be with this text under this name.
    fn loaded(&self, file: &str, text: &str) -> Result<Loaded, Problems> {
        match self {
            Change::Files(path) => config::load_changed(path, file, text),
            Change::Texts(texts) => {
                let others = texts.iter().filter(|(name, _)| name != file);
                let mut files: Vec<(&str, &str)> =
                    others.map(|(name, text)| (name.as_str(), text.as_str())).collect();
                files.push((file, text));
                config::load_embedded(&files, Path::new("."))
            }
        }
    }
}

impl server::Changes for Change {
    /// All but the house's own file, which is no part of the rules' text.
    fn files(&self) -> Result<Vec<(String, String)>, String> {
        let texts = match self {
            Change::Texts(texts) => texts.clone(),
            Change::Files(path) => {
                let loaded = config::load(path).map_err(|problems| said(&problems))?;
                loaded.sources.texts().map(|(name, text)| (name.clone(), text.clone())).collect()
            }
        };
        let root = self.root();
        Ok(texts.into_iter().filter(|(name, _)| *name != root).collect())
    }

    fn changed(&self, file: &str, text: String) -> Result<(Arc<Rules>, Vec<String>), String> {
        if file == self.root() {
            return Err(format!("`{file}` is the house's own file: name a manifest, contracts or rules"));
        }
        let loaded = self.loaded(file, &text).map_err(|problems| said(&problems))?;
        if loaded.sources.get(file).is_none() {
            return Err(format!("the configuration reads no file of this name: `{file}`"));
        }
        let (rules, _, warnings) = compose::compile(loaded).map_err(|problems| said(&problems))?;
        // What is odd elsewhere is no news.
        let warnings = warnings.list.iter().filter(|problem| problem.file == file);
        Ok((rules, warnings.map(ToString::to_string).collect()))
    }
}

fn said(problems: &Problems) -> String {
    problems.list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
