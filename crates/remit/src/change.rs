//! What a changed file would make of the rules: read and compiled as a start would, and put into force by nobody.

use std::path::PathBuf;
use std::sync::Arc;

use kernel::rules::Rules;

use crate::config::Problems;
use crate::{compose, config};

pub(crate) struct Change {
    config_file: PathBuf,
}

impl Change {
    pub(crate) fn new(config_file: PathBuf) -> Change {
        Change { config_file }
    }
}

impl server::Changes for Change {
    /// All but the house's own file, which is no part of the rules' text.
    fn files(&self) -> Result<Vec<(String, String)>, String> {
        let loaded = config::load(&self.config_file).map_err(|problems| said(&problems))?;
        let root = config::root_name(&self.config_file);
        let texts = loaded.sources.texts().filter(|(name, _)| **name != root);
        Ok(texts.map(|(name, text)| (name.clone(), text.clone())).collect())
    }

    fn changed(&self, file: &str, text: String) -> Result<(Arc<Rules>, Vec<String>), String> {
        if file == config::root_name(&self.config_file) {
            return Err(format!("`{file}` is the house's own file: name a manifest, contracts or rules"));
        }
        let loaded = config::load_changed(&self.config_file, file, &text);
        let loaded = loaded.map_err(|problems| said(&problems))?;
        if loaded.sources.get(file).is_none() {
            return Err(format!("the configuration reads no file of this name: `{file}`"));
        }
        let (rules, _, warnings) = compose::compile(loaded).map_err(|problems| said(&problems))?;
        // What was odd before is no news.
        let warnings = warnings.list.iter().filter(|problem| problem.file == file);
        Ok((rules, warnings.map(ToString::to_string).collect()))
    }
}

fn said(problems: &Problems) -> String {
    problems.list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
