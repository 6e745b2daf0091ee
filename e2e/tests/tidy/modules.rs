//! The modules of one crate as its files declare them, with their imports and paths. Checks no rule, and does not
//! know items that macros generate.
//!
//! It reads tokens instead of a syntax tree, so that paths inside macro calls count too. Comments, strings and code
//! that is compiled only for tests do not count.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use crate::tokens::{self, Import, SourcePath};

/// Re-exports that are followed for one name, so that resolving a cycle of re-exports ends.
const MAX_RE_EXPORTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// `None` for the root.
    pub(crate) parent: Option<usize>,
    children: HashMap<String, usize>,
    /// Names of the items defined in it.
    items: HashSet<String>,
    imports: Vec<Import>,
    paths: Vec<SourcePath>,
}

/// All modules of one crate. The first is the root.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(crate) all: Vec<Module>,
}

/// A path in one module that refers to another module of the same crate.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) from: usize,
    /// The module that defines the item, after all re-exports.
    pub(crate) to: usize,
    pub(crate) line: usize,
    /// The path as in the source.
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug)]
enum PathTarget {
    Module(usize),
    /// An item that this module defines.
    ItemOf(usize),
}

impl Modules {
    /// Reads the crate with this root file, and the files of all its modules.
    ///
    /// # Errors
    /// A message about a file that cannot be read, does not exist, or is not Rust.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self { all: Vec::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let tokens = read_tokens(root)?;
        modules.add("crate", None, root, &folder, tokens)?;
        Ok(modules)
    }

    /// Adds a module and its submodules, whose files are in `folder`.
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
            imports: contents.imports,
            paths: contents.paths,
        });
        for child in contents.modules {
            let child_folder = folder.join(&child.name);
            let added = match child.body {
                Some(body) => self.add(&child.name, Some(index), file, &child_folder, body)?,
                None => {
                    let file = file_of(folder, &child.name).ok_or_else(|| {
                        format!("{}: no file for `mod {};`", file.display(), child.name)
                    })?;
                    self.add(&child.name, Some(index), &file, &child_folder, read_tokens(&file)?)?
                }
            };
            self.all[index].children.insert(child.name, added);
        }
        Ok(index)
    }

    /// The files of all modules, without duplicates.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.all.iter().map(|module| module.file.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The modules from the root to this one, which is the last.
    pub(crate) fn ancestors(&self, module: usize) -> Vec<usize> {
        let mut ancestors = vec![module];
        let mut at = module;
        while let Some(parent) = self.all[at].parent {
            ancestors.push(parent);
            at = parent;
        }
        ancestors.reverse();
        ancestors
    }

    /// The module's path in Rust code, such as `crate::files::store`.
    pub(crate) fn path(&self, module: usize) -> String {
        let names = self.ancestors(module).into_iter().map(|module| self.all[module].name.as_str());
        names.collect::<Vec<_>>().join("::")
    }

    /// All paths that refer from one module to another.
    pub(crate) fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        for (from, module) in self.all.iter().enumerate() {
            let imports = module.imports.iter().map(|import| &import.path);
            for path in imports.chain(&module.paths) {
                let to = match self.resolve(from, &path.names, 0) {
                    Some(PathTarget::Module(to) | PathTarget::ItemOf(to)) => to,
                    None => continue,
                };
                if to != from {
                    let names = path.names.join("::");
                    found.push(Reference { from, to, line: path.line, path: names });
                }
            }
        }
        found
    }

    /// The target of a path in this module. `None` for another crate or a local name.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<PathTarget> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => PathTarget::Module(0),
            "self" => PathTarget::Module(from),
            "super" => PathTarget::Module(self.all[from].parent?),
            name => self.find(from, name, depth)?,
        };
        for name in rest {
            let PathTarget::Module(at) = target else { break };
            target = match name.as_str() {
                "self" => target,
                "super" => PathTarget::Module(self.all[at].parent?),
                // A name that is not found is generated by a macro.
                name => self.find(at, name, depth).unwrap_or(PathTarget::ItemOf(at)),
            };
        }
        Some(target)
    }

    /// The target of a name in this module.
    fn find(&self, module: usize, name: &str, depth: usize) -> Option<PathTarget> {
        if depth > MAX_RE_EXPORTS {
            return None;
        }
        let scope = &self.all[module];
        if let Some(child) = scope.children.get(name) {
            return Some(PathTarget::Module(*child));
        }
        if let Some(import) =
            scope.imports.iter().find(|import| import.name.as_deref() == Some(name))
            && let Some(target) = self.resolve(module, &import.path.names, depth + 1)
        {
            return Some(target);
        }
        if scope.items.contains(name) {
            return Some(PathTarget::ItemOf(module));
        }
        let mut globs = scope.imports.iter().filter(|import| import.name.is_none());
        globs.find_map(|glob| match self.resolve(module, &glob.path.names, depth + 1)? {
            PathTarget::Module(other) if other != module => self.find(other, name, depth + 1),
            _ => None,
        })
    }
}

fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    candidates.into_iter().find(|file| file.is_file())
}

/// Reads the tokens of a file.
///
/// # Errors
/// A message about a file that cannot be read, or is not Rust.
pub(crate) fn read_tokens(file: &Path) -> Result<TokenStream, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", file.display()))
}

/// The root files of all crates in a package's folder.
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
