//! Configuration: a folder of named texts becomes one book and this machine's settings, or every problem in it.

mod approvals;
mod budget;
mod calendar;
mod callbacks;
mod commits;
mod contract;
mod folder;
mod house;
mod inbound;
mod incidents;
mod limits;
mod listen;
mod manifest;
mod notify;
mod problem;
mod reference;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use api::person::Role;
use kernel::agent::Manifest;
use kernel::book::{Book, RuleFile};
use kernel::contract::Contract;

pub(crate) use self::contract::Pins;
use self::folder::Folder;
pub(crate) use self::house::DISK_RESERVE_MB;
use self::house::RemitFile;
use self::manifest::{AgentFile, Known};
pub(crate) use self::problem::{Problem, Problems, Severity, Sources};
pub(crate) use self::reference::{json_schema, reference_markdown};
pub(crate) use self::yaml::usd_nanos;
use self::yaml::{At, Page};

/// What a configuration says, once nothing in it is wrong.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) book: Book,
    pub(crate) settings: Settings,
    pub(crate) warnings: Vec<Problem>,
    /// The texts by file name, so that later problems (of rules) print with their lines.
    pub(crate) sources: Sources,
}

/// What only this machine needs to know; no verdict depends on it, so it is no part of the book.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) agents_listen: SocketAddr,
    pub(crate) people_listen: SocketAddr,
    /// The largest message that agents' MCP doors take.
    pub(crate) door_bytes_max: usize,
    pub(crate) data: PathBuf,
    /// Of `remit.yaml`: where the programs of stdio servers run, unless they say otherwise.
    pub(crate) folder: PathBuf,
    /// The texts of a configuration that is in no file, by name, the house's own first.
    pub(crate) texts: Vec<(String, String)>,
    /// `remit.yaml` itself; none for a configuration that is in no file.
    pub(crate) file: Option<PathBuf>,
    /// Below this much free disk, calls are refused while room for halts and settling is kept.
    pub(crate) disk_reserve_bytes: u64,
    pub(crate) people: Vec<Person>,
    /// `Host` names that are accepted besides the listeners' own.
    pub(crate) hosts: Vec<String>,
    /// Where people's browsers find the console, if it is not where it listens.
    pub(crate) console: Option<String>,
    /// Where people look up a trace; `{trace}` stands for its id.
    pub(crate) traces: Option<String>,
    /// Whose systems are told of what happens.
    pub(crate) notify: Vec<tools::webhook::Hook>,
    /// Systems that may correct what a run came to: where the secret of each is kept, by its name.
    pub(crate) inbound: BTreeMap<String, String>,
    /// Where agents may have themselves told.
    pub(crate) callbacks: Vec<tools::callback::Place>,
    /// Where people may send incidents.
    pub(crate) incidents: Vec<tools::incident::Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
}

/// Reads `config_file` and what it names beside it.
pub(crate) fn load(config_file: &Path) -> Result<Loaded, Problems> {
    let (base, root) = split(config_file);
    let mut loaded = Loader::new(Folder::Disk(base.clone())).load(&root)?;
    // Through its components, so that `./data` is not shown with a dot in the middle.
    loaded.settings.folder = base.clone();
    loaded.settings.file = Some(config_file.to_owned());
    loaded.settings.data = base.join(&loaded.settings.data).components().collect();
    Ok(loaded)
}

/// The same as it would be if one file of it read otherwise. Nothing is written, and nothing is opened by that name.
pub(crate) fn load_changed(config_file: &Path, name: &str, text: &str) -> Result<Loaded, Problems> {
    let (base, root) = split(config_file);
    Loader::new(Folder::Changed { base, name, text }).load(&root)
}

/// The name of the configuration's own file, beside which the others are named.
pub(crate) fn root_name(config_file: &Path) -> String {
    split(config_file).1
}

/// The same over texts that the binary carries. The first is `remit.yaml`; the data folder is the caller's.
pub(crate) fn load_embedded(files: &[(&str, &str)], data: &Path) -> Result<Loaded, Problems> {
    let root = files.first().map_or("remit.yaml", |(name, _)| *name);
    let mut loaded = Loader::new(Folder::Memory(files)).load(root)?;
    loaded.settings.data = data.to_owned();
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    loaded.settings.texts = files.iter().map(owned).collect();
    Ok(loaded)
}

/// An MCP server of the configuration, and what is known of it without its tools' definitions.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The file of its contracts.
    pub(crate) file: PathBuf,
    pub(crate) pins_file: PathBuf,
    pub(crate) pins: Pins,
    /// Its tools that have a contract.
    pub(crate) tools: Vec<String>,
    /// Says how it is reached; it stands for no tool.
    pub(crate) contract: Contract,
    /// Where its program runs.
    pub(crate) folder: Option<PathBuf>,
}

/// The MCP servers that a configuration names, by name, whether or not their tools were ever accepted.
pub(crate) fn servers(config_file: &Path) -> Result<BTreeMap<String, Server>, Problems> {
    let (base, root) = split(config_file);
    let mut loader = Loader::new(Folder::Disk(base.clone()));
    let Some(text) = loader.read(&root) else { return Err(loader.refused()) };
    let mut page = Page::new(&root, &text);
    let file = page.parse::<RemitFile>();
    let pattern = Pattern::new(file.as_ref().and_then(|file| file.tools.as_ref()), house::TOOLS);
    let mut servers = BTreeMap::new();
    for (name, text) in loader.files(&mut page, &pattern) {
        let mut tools = Page::new(&name, &text);
        if let Some(file) = tools.parse::<contract::ToolFile>() {
            let pins = loader.pins(&mut tools, &file);
            if let Some(contract) = file.bare(&mut tools) {
                let path = base.join(&name);
                let pins_file = crate::cmd::pins_beside(&path);
                let names = file.tools.keys().cloned().collect();
                let folder = Some(base.clone());
                let server = Server { file: path, pins_file, pins, tools: names, contract, folder };
                servers.insert(file.server.value.clone(), server);
            }
        }
        loader.problems.append(&mut tools.problems);
    }
    loader.problems.append(&mut page.problems);
    if loader.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(loader.refused());
    }
    Ok(servers)
}

/// A configuration file's folder and name.
fn split(config_file: &Path) -> (PathBuf, String) {
    let base = match config_file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let root = config_file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    (base, root)
}

/// Where the files of one kind are, and where that was written, if it was.
struct Pattern {
    text: String,
    written: Option<yaml::Place>,
}

impl Pattern {
    fn new(written: Option<&At<String>>, default: &str) -> Pattern {
        match written {
            Some(at) => Pattern { text: at.value.clone(), written: Some(at.place) },
            None => Pattern { text: default.to_owned(), written: None },
        }
    }
}

struct Loader<'a> {
    folder: Folder<'a>,
    sources: Sources,
    problems: Vec<Problem>,
}

impl<'a> Loader<'a> {
    fn new(folder: Folder<'a>) -> Loader<'a> {
        Loader { folder, sources: Sources::default(), problems: Vec::new() }
    }

    fn load(mut self, root: &str) -> Result<Loaded, Problems> {
        let Some(text) = self.read(root) else { return Err(self.refused()) };
        let mut page = Page::new(root, &text);
        let Some(file) = page.parse::<RemitFile>() else {
            self.problems.append(&mut page.problems);
            return Err(self.refused());
        };
        let mut house = file.house(&mut page);
        let settings = file.settings(&mut page);

        let (tools, all_read) = self.tools(&mut page, &Pattern::new(file.tools.as_ref(), house::TOOLS));
        house.approvals = approvals::law(&mut page, file.approvals.as_ref(), &settings.people);
        house.tenants = file.tenants(&mut page, &tools, all_read);
        let known = Known { tools: &tools, all_read, people: &settings.people, tenant: &house.tenant };
        let agents = self.agents(&mut page, &Pattern::new(file.agents.as_ref(), house::AGENTS), &known);
        let policies = file.policies.as_ref().and_then(|policies| policies.files.as_ref());
        let rules = self.rules(&mut page, &Pattern::new(policies, house::POLICIES));
        self.problems.splice(0..0, page.problems);
        self.finish(Book { agents, house, rules, tools }, settings)
    }

    fn finish(mut self, book: Book, settings: Settings) -> Result<Loaded, Problems> {
        if self.problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(self.refused());
        }
        let warnings = std::mem::take(&mut self.problems);
        Ok(Loaded { book, settings, warnings, sources: self.sources })
    }

    fn refused(self) -> Problems {
        Problems::new(self.problems, self.sources)
    }

    /// The contracts, and whether every file of them could be read.
    fn tools(&mut self, root: &mut Page<'_>, pattern: &Pattern) -> (BTreeMap<String, Contract>, bool) {
        let mut tools = BTreeMap::new();
        let mut servers: BTreeMap<String, String> = BTreeMap::new();
        let mut named = Vec::new();
        let before = root.problems.len() + self.problems.len();
        let files = self.files(root, pattern);
        let mut all_read = root.problems.len() + self.problems.len() == before;
        for (name, text) in files {
            let mut page = Page::new(&name, &text);
            if let Some(file) = page.parse::<contract::ToolFile>() {
                let server = &file.server;
                if let Some(first) = servers.insert(server.value.clone(), name.clone()) {
                    page.error(
                        "duplicate-server",
                        server.place,
                        format!("`{}` is declared twice", server.value),
                    )
                    .help(format!("{first} declares it already; one server, one file"));
                }
                let pins = self.pins(&mut page, &file);
                for contract in file.contracts(&mut page, &pins) {
                    tools.insert(contract.name.clone(), contract);
                }
                named.push((name.clone(), text.clone(), file.stand_ins(), file.partners()));
            } else {
                all_read = false;
            }
            self.problems.append(&mut page.problems);
        }
        for (name, text, stand_ins, partners) in &named {
            let mut page = Page::new(name, text);
            stand_ins.iter().for_each(|one| one.check(&mut page, &tools, all_read));
            partners.iter().for_each(|one| one.check(&mut page, &tools, all_read));
            self.problems.append(&mut page.problems);
        }
        (tools, all_read)
    }

    /// What was accepted of a server's own definitions stands beside its contracts.
    fn pins(&mut self, page: &mut Page<'_>, file: &contract::ToolFile) -> Pins {
        let name = Pins::file_beside(page.file);
        match self.folder.read(&name).map(|text| Pins::read(&text)) {
            Ok(Ok(pins)) => pins,
            Ok(Err(why)) => {
                page.error("pins", file.server.place, format!("{name} cannot be used: {why}"))
                    .help("it is written by `remit tool accept`, and not by hand");
                Pins::default()
            }
            // A server without accepted tools has no such file.
            Err(_) => Pins::default(),
        }
    }

    fn agents(
        &mut self,
        root: &mut Page<'_>,
        pattern: &Pattern,
        known: &Known<'_>,
    ) -> BTreeMap<String, Manifest> {
        let mut agents: BTreeMap<String, Manifest> = BTreeMap::new();
        for (name, text) in self.files(root, pattern) {
            let mut page = Page::new(&name, &text);
            if let Some(file) = page.parse::<AgentFile>() {
                let manifest = file.manifest(&mut page, known);
                if let Some(first) = agents.get(&manifest.agent) {
                    let message = format!("agent `{}` is declared twice", manifest.agent);
                    let help = format!("{}:{} declares it already", first.origin.file, first.origin.line);
                    page.error("duplicate-agent", file.agent.place, message).help(help);
                } else {
                    agents.insert(manifest.agent.clone(), manifest);
                }
            }
            self.problems.append(&mut page.problems);
        }
        agents
    }

    fn rules(&mut self, root: &mut Page<'_>, pattern: &Pattern) -> Vec<RuleFile> {
        self.files(root, pattern).into_iter().map(|(file, text)| RuleFile { file, text }).collect()
    }

    /// The files of one kind, in the order of their names. A path that somebody wrote must name something.
    fn files(&mut self, root: &mut Page<'_>, pattern: &Pattern) -> Vec<(String, String)> {
        let place = pattern.written.unwrap_or_default();
        let names = match self.folder.list(&pattern.text) {
            Ok(names) => names,
            Err(error) => {
                root.error("path", place, format!("`{}` cannot be listed: {error}", pattern.text))
                    .help("a file, or a folder and one `*` in the last part, such as `agents/*.yaml`");
                return Vec::new();
            }
        };
        if names.is_empty() && pattern.written.is_some() {
            root.error("path", place, format!("`{}` matches no file", pattern.text))
                .help("paths start from the folder of this file; leave the key out to use its default");
        }
        names.into_iter().filter_map(|name| self.read(&name).map(|text| (name, text))).collect()
    }

    fn read(&mut self, name: &str) -> Option<String> {
        match self.folder.read(name) {
            Ok(text) => {
                self.sources.insert(name, &text);
                Some(text)
            }
            Err(error) => {
                let problem =
                    Problem::error("file", name, yaml::Place::default(), format!("cannot be read: {error}"));
                self.problems.push(Problem { help: Some(folder::help(&error).to_owned()), ..problem });
                None
            }
        }
    }
}
