//! Which module defines what a path means, through `use`, `super` and re-exports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::modules::{Module, Name, Named, modules};

/// All modules of the crate.
pub(super) struct CrateMap(BTreeMap<Name, Module>);

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A module of this crate, or something that it defines; and the layers that are named on the way.
    Own { module: Name, layers: Vec<String> },
    /// Something of another crate, by its whole path.
    Foreign(Name),
}

/// More re-exports one after the other are a circle.
const DEEPEST: usize = 12;

impl CrateMap {
    pub(super) fn of(src: &Path) -> Self {
        Self(modules(src))
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.0.values()
    }

    pub(super) fn file(&self, module: &Name) -> &PathBuf {
        &self.0[module].file
    }

    /// Where a path leads that `module` names; `None` when it means nothing that has a place (a variable, a method, a type parameter).
    pub(super) fn target(&self, module: &Module, named: &Named) -> Option<Target> {
        let mut layers = Vec::new();
        let path = self.absolute(&module.name, &named.path, 0)?;
        if path.first().is_some_and(|first| first != "crate") {
            return Some(Target::Foreign(path));
        }
        let module = self.defining(&path[1..], &mut layers, 0)?;
        layers.extend(module.first().cloned());
        Some(Target::Own { module, layers })
    }

    /// A path from the root: of this crate with `crate` before it, of another with its name.
    fn absolute(&self, within: &[String], path: &[String], depth: usize) -> Option<Name> {
        let module = &self.0[within];
        let (first, rest) = path.split_first()?;
        let own = |name: &[String]| ["crate".to_owned()].into_iter().chain(name.iter().cloned()).collect::<Name>();
        let own_path = || own(within).into_iter().chain(path.iter().cloned()).collect::<Name>();
        if depth > DEEPEST {
            return None;
        }
        match first.as_str() {
            "crate" => Some(path.to_vec()),
            "self" => Some(own(within).into_iter().chain(rest.iter().cloned()).collect()),
            "super" => {
                let (mut up, mut rest) = (within, path);
                while let Some((_, below)) = rest.split_first().filter(|(first, _)| *first == "super") {
                    (up, rest) = (up.split_last()?.1, below);
                }
                Some(own(up).into_iter().chain(rest.iter().cloned()).collect())
            }
            name if module.bindings.get(name).is_some_and(|bound| *bound != [name]) => {
                let path: Name = module.bindings[name].iter().chain(rest).cloned().collect();
                self.absolute(within, &path, depth + 1)
            }
            name if module.children.contains(name) || module.items.contains(name) => Some(own_path()),
            name => {
                for glob in &module.globs {
                    let from = self.absolute(within, glob, depth + 1)?;
                    if from[0] == "crate"
                        && let Some(there) = self.0.get(&from[1..])
                        && (there.items.contains(name)
                            || there.children.contains(name)
                            || there.bindings.contains_key(name))
                    {
                        return Some(from.into_iter().chain(path.iter().cloned()).collect());
                    }
                }
                (!rest.is_empty()).then(|| path.to_vec())
            }
        }
    }

    /// The module that defines what `path`, from the root of this crate, leads to.
    fn defining(&self, path: &[String], layers: &mut Vec<String>, depth: usize) -> Option<Name> {
        layers.extend(path.first().cloned());
        let mut at: Name = Vec::new();
        for (place, name) in path.iter().enumerate() {
            let module = &self.0[&at];
            let rest = &path[place + 1..];
            if module.children.contains(name) {
                at.push(name.clone());
            } else if module.items.contains(name) {
                return Some(at);
            } else if depth > DEEPEST {
                return None;
            } else if let Some(bound) = module.bindings.get(name) {
                let path: Name = bound.iter().chain(rest).cloned().collect();
                let path = self.absolute(&at, &path, depth + 1)?;
                return if path[0] == "crate" { self.defining(&path[1..], layers, depth + 1) } else { None };
            } else {
                return module.globs.iter().find_map(|glob| {
                    let path: Name = glob.iter().chain([name]).chain(rest).cloned().collect();
                    let path = self.absolute(&at, &path, depth + 1)?;
                    if path[0] == "crate" { self.defining(&path[1..], layers, depth + 1) } else { None }
                });
            }
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Where each path leads that is named in `code`, the file of the module `b::c`.
    fn targets(code: &str) -> Vec<(String, Target)> {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "mod deep;\npub use deep::{Value, Value as Other};\npub use deep::*;\npub struct Plain;\n"),
            ("a/deep.rs", "pub struct Value;\npub struct Taken;\npub fn make() {}\n"),
            ("b/mod.rs", "mod c;\nuse crate::a::Value;\nstruct Own;\n"),
            ("b/c.rs", code),
        ];
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let map = CrateMap::of(folder.path());
        let module = &map.0[["b".to_owned(), "c".to_owned()].as_slice()];
        let target = |named: &Named| Some((named.path.join("::"), map.target(module, named)?));
        module.paths.iter().filter_map(target).collect()
    }

    fn own(module: &str, layers: &[&str]) -> Target {
        let name = module.split("::").map(str::to_owned).collect();
        Target::Own { module: name, layers: layers.iter().map(|layer| (*layer).to_owned()).collect() }
    }

    #[test]
    fn a_path_leads_to_whoever_defines_it() {
        for (code, path, target) in [
            ("use crate::a::Plain;", "crate::a::Plain", own("a", &["a", "a"])),
            ("use crate::a::Value;", "crate::a::Value", own("a::deep", &["a", "a", "a"])),
            ("use crate::{a::{Other}};", "crate::a::Other", own("a::deep", &["a", "a", "a"])),
            // All that is handed on.
            ("use crate::a::Taken;", "crate::a::Taken", own("a::deep", &["a", "a", "a"])),
            ("fn f() { crate::a::make(); }", "crate::a::make", own("a::deep", &["a", "a", "a"])),
            ("fn f() { super::super::a::make(); }", "super::super::a::make", own("a::deep", &["a", "a", "a"])),
            // By what the module above brought in for itself.
            ("use super::Value;", "super::Value", own("a::deep", &["b", "a", "a", "a"])),
            ("fn f(own: super::Own) {}", "super::Own", own("b", &["b", "b"])),
            // In what a macro is given, in an attribute, behind another name.
            ("fn f() { println!(\"{}\", crate::a::make()); }", "crate::a::make", own("a::deep", &["a", "a", "a"])),
            ("#[cfg(not(crate::a::Plain))] fn f() {}", "crate::a::Plain", own("a", &["a", "a"])),
            ("use crate::a as x;\nfn f(plain: x::Plain) {}", "x::Plain", own("a", &["a", "a"])),
        ] {
            let found = targets(code);
            assert!(found.contains(&(path.to_owned(), target)), "{code}: {found:?}");
        }
        let foreign = |path: &str| Target::Foreign(path.split("::").map(str::to_owned).collect());
        let now = targets("use std::time::{SystemTime as T};\nfn f() { T::now(); let x = 1; x; }");
        assert_eq!(now.last().unwrap(), &("T::now".to_owned(), foreign("std::time::SystemTime::now")), "{now:?}");
    }
}
