//! Reads settings out of TOML, whatever they are about: values that know where they stand, tables that are read key by key,
//! every problem at once with its place and its remedy, and the list of all keys that readers ask for.

pub(crate) mod declare;
pub(crate) mod document;
pub(crate) mod expect;
mod findings;
mod key;
mod place;
mod problem;
mod section;
pub(crate) mod time;
mod time_scale;
mod tree;

pub(crate) use findings::Findings;
pub use key::{Key, KeyDefault, Keys};
pub(crate) use place::{Place, Text};
pub use problem::{Problem, Problems};
pub use section::Section;
pub(crate) use time_scale::time_scale;
pub use tree::Table;
pub(crate) use tree::{TableEntry, Value, ValueKind};
