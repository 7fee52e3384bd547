//! The modules of `src/`, each with what it declares and every path that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree, Visibility};

/// `crate::engine::plan` without its first part.
pub(super) type Name = Vec<String>;

/// One module, in a file of its own or within another's.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) name: Name,
    /// Below `src/`.
    pub(super) file: PathBuf,
    /// Whether it is built for tests alone.
    pub(super) is_test: bool,
    pub(super) children: BTreeSet<String>,
    /// What is defined in it.
    pub(super) items: BTreeSet<String>,
    /// What `use` brings into it, by the name that it has there.
    pub(super) bindings: BTreeMap<String, Name>,
    /// Of what it brings in everything.
    pub(super) globs: Vec<Name>,
    pub(super) paths: Vec<Named>,
}

/// A path as it is written.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) path: Name,
    pub(super) line: usize,
    /// Only handed on (`pub use`): whoever asks for it there needs it, this module does not.
    pub(super) is_handed_on: bool,
}

/// Every module below `src/`.
pub(super) fn modules(src: &Path) -> BTreeMap<Name, Module> {
    let mut all = BTreeMap::new();
    read(src, Path::new("lib.rs"), Vec::new(), false, &mut all);
    all
}

fn read(src: &Path, file: &Path, name: Name, is_test: bool, all: &mut BTreeMap<Name, Module>) {
    let text = fs::read_to_string(src.join(file)).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    add(src, file, name, is_test, &parsed.items, all);
}

fn add(src: &Path, file: &Path, name: Name, is_test: bool, items: &[Item], all: &mut BTreeMap<Name, Module>) {
    let mut module = Module { name: name.clone(), file: file.to_owned(), is_test, ..Module::default() };
    for item in items {
        let Item::Mod(declared) = item else {
            let is_inherent = matches!(item, Item::Impl(_) | Item::Use(_));
            module.items.extend(name_of(item).filter(|_| !is_inherent));
            Reader { module: &mut module }.visit_item(item);
            continue;
        };
        let child = declared.ident.to_string();
        module.children.insert(child.clone());
        let below: Name = name.iter().cloned().chain([child.clone()]).collect();
        let is_test = is_test || declared.attrs.iter().any(is_for_tests);
        match &declared.content {
            Some((_, items)) => add(src, file, below, is_test, items, all),
            None => {
                let folder = match file.file_name().and_then(|name| name.to_str()) {
                    Some("mod.rs" | "lib.rs") => file.parent().unwrap().to_owned(),
                    _ => file.with_extension(""),
                };
                let flat = folder.join(format!("{child}.rs"));
                let file = if src.join(&flat).is_file() { flat } else { folder.join(child).join("mod.rs") };
                read(src, &file, below, is_test, all);
            }
        }
    }
    all.insert(name, module);
}

fn is_for_tests(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Collects the paths of one module.
struct Reader<'a> {
    module: &'a mut Module,
}

impl Reader<'_> {
    fn names(&mut self, path: Name, line: usize, is_handed_on: bool) {
        self.module.paths.push(Named { path, line, is_handed_on });
    }

    fn uses(&mut self, tree: &UseTree, before: &Name, is_handed_on: bool) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Name>();
        let (bound, path) = match tree {
            UseTree::Path(path) => return self.uses(&path.tree, &with(path.ident.to_string()), is_handed_on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.uses(tree, before, is_handed_on));
            }
            UseTree::Glob(_) => return self.module.globs.push(before.clone()),
            UseTree::Name(name) if name.ident == "self" => (before.last().cloned(), before.clone()),
            UseTree::Name(name) => (Some(name.ident.to_string()), with(name.ident.to_string())),
            UseTree::Rename(rename) => (Some(rename.rename.to_string()), with(rename.ident.to_string())),
        };
        self.names(path.clone(), tree.span().start().line, is_handed_on);
        if let Some(bound) = bound {
            self.module.bindings.insert(bound, path);
        }
    }

    /// Paths in what a macro is given.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: (Name, usize) = Default::default();
        // Colons since the last name, and whether a path may begin here.
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    if colons == 1 && punct.spacing() == Spacing::Alone {
                        colons = 3;
                    }
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        let (path, line) = std::mem::take(&mut path);
                        self.names_any(path, line);
                    }
                    path = (path.0.into_iter().chain([ident.to_string()]).collect(), ident.span().start().line);
                    colons = 0;
                }
                other => {
                    let (path, line) = std::mem::take(&mut path);
                    self.names_any(path, line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.names_any(path.0, path.1);
    }

    fn names_any(&mut self, path: Name, line: usize) {
        if !path.is_empty() {
            self.names(path, line, false);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.uses(&item.tree, &Vec::new(), !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.names(names, path.span().start().line, false);
        visit::visit_path(self, path);
    }

    /// Who may see something is not used by it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}
