//! The modules of one crate as its files declare them: what each imports and names. Decides no rule, and
//! knows nothing that a macro makes.
//!
//! It reads tokens instead of a syntax tree, so that paths inside macro calls count too. Comments, strings
//! and what is compiled for tests alone do not.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use crate::tokens::{self, Mention, Use};

/// How many re-exports are followed for one name, so that two that name each other end.
const MOST_RE_EXPORTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// None for the root.
    pub(crate) parent: Option<usize>,
    children: HashMap<String, usize>,
    /// What is defined here, by name.
    items: HashSet<String>,
    uses: Vec<Use>,
    mentions: Vec<Mention>,
}

/// All modules of one crate. The first is its root.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(crate) all: Vec<Module>,
}

/// A path in one module that leads to another one of the same crate.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) from: usize,
    /// The module that defines what is named, behind all re-exports.
    pub(crate) to: usize,
    pub(crate) line: usize,
    /// The path as it is written.
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Module(usize),
    /// Something that this module defines.
    ItemOf(usize),
}

impl Modules {
    /// Reads the crate with this root file, and all files that its modules are in.
    ///
    /// # Errors
    /// A sentence about a file that cannot be read, does not exist, or is no Rust.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self { all: Vec::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let tokens = read_tokens(root)?;
        modules.add("crate", None, root, &folder, tokens)?;
        Ok(modules)
    }

    /// Adds a module and those below it. `folder` is where the files of those are.
    fn add(
        &mut self,
        name: &str,
        parent: Option<usize>,
        file: &Path,
        folder: &Path,
        tokens: TokenStream,
    ) -> Result<usize, String> {
        let contents = tokens::read(tokens);
        let index = self.all.len();
        self.all.push(Module {
            name: name.to_owned(),
            file: file.to_owned(),
            parent,
            children: HashMap::new(),
            items: contents.items,
            uses: contents.uses,
            mentions: contents.mentions,
        });
        for child in contents.modules {
            let below = folder.join(&child.name);
            let added = match child.body {
                Some(body) => self.add(&child.name, Some(index), file, &below, body)?,
                None => {
                    let file = file_of(folder, &child.name).ok_or_else(|| {
                        format!("{}: no file for `mod {};`", file.display(), child.name)
                    })?;
                    self.add(&child.name, Some(index), &file, &below, read_tokens(&file)?)?
                }
            };
            self.all[index].children.insert(child.name, added);
        }
        Ok(index)
    }

    /// The files of all modules, each once.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.all.iter().map(|module| module.file.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The modules from the root to this one, which is the last.
    pub(crate) fn lineage(&self, module: usize) -> Vec<usize> {
        let mut lineage = vec![module];
        let mut at = module;
        while let Some(parent) = self.all[at].parent {
            lineage.push(parent);
            at = parent;
        }
        lineage.reverse();
        lineage
    }

    /// The module as Rust code names it: `crate::files::store`.
    pub(crate) fn path(&self, module: usize) -> String {
        let names = self.lineage(module).into_iter().map(|module| self.all[module].name.as_str());
        names.collect::<Vec<_>>().join("::")
    }

    /// Every path that leads from one module to another.
    pub(crate) fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        for (from, module) in self.all.iter().enumerate() {
            let uses = module.uses.iter().map(|import| &import.mention);
            for mention in uses.chain(&module.mentions) {
                let to = match self.resolve(from, &mention.path, 0) {
                    Some(Place::Module(to) | Place::ItemOf(to)) => to,
                    None => continue,
                };
                if to != from {
                    let path = mention.path.join("::");
                    found.push(Reference { from, to, line: mention.line, path });
                }
            }
        }
        found
    }

    /// What this path leads to from this module. None is another crate, or a local name.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::Module(0),
            "self" => Place::Module(from),
            "super" => Place::Module(self.all[from].parent?),
            name => self.find(from, name, depth)?,
        };
        for name in rest {
            let Place::Module(at) = place else { break };
            place = match name.as_str() {
                "self" => place,
                "super" => Place::Module(self.all[at].parent?),
                // What is not found is made by a macro.
                name => self.find(at, name, depth).unwrap_or(Place::ItemOf(at)),
            };
        }
        Some(place)
    }

    /// What this name means in this module.
    fn find(&self, module: usize, name: &str, depth: usize) -> Option<Place> {
        if depth > MOST_RE_EXPORTS {
            return None;
        }
        let here = &self.all[module];
        if let Some(child) = here.children.get(name) {
            return Some(Place::Module(*child));
        }
        if let Some(import) = here.uses.iter().find(|import| import.name.as_deref() == Some(name))
            && let Some(place) = self.resolve(module, &import.mention.path, depth + 1)
        {
            return Some(place);
        }
        if here.items.contains(name) {
            return Some(Place::ItemOf(module));
        }
        let mut globs = here.uses.iter().filter(|import| import.name.is_none());
        globs.find_map(|glob| match self.resolve(module, &glob.mention.path, depth + 1)? {
            Place::Module(other) if other != module => self.find(other, name, depth + 1),
            _ => None,
        })
    }
}

fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    candidates.into_iter().find(|file| file.is_file())
}

/// # Errors
/// A sentence about a file that cannot be read, or is no Rust.
pub(crate) fn read_tokens(file: &Path) -> Result<TokenStream, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", file.display()))
}

/// The files that crates begin with in the folder of a package.
pub(crate) fn crate_roots(package: &Path) -> Vec<PathBuf> {
    let mut roots = vec![package.join("src/lib.rs"), package.join("src/main.rs")];
    for folder in ["src/bin", "tests", "benches", "examples"] {
        let Ok(entries) = fs::read_dir(package.join(folder)) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            roots.push(if is_rust { path } else { path.join("main.rs") });
        }
    }
    roots.retain(|root| root.is_file());
    roots.sort();
    roots
}
