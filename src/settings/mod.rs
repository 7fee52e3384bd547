//! Reads settings out of TOML, whatever they are about: values that know where they stand, tables that are read key by key,
//! every problem at once with its place and its remedy, and the list of all keys that readers ask for.

pub(crate) mod expect;
mod key;
pub(crate) mod problem;
pub(crate) mod reader;
pub(crate) mod time;
pub(crate) mod tree;

pub use key::{Key, KeyDefault, Keys};
pub use problem::{Problem, Problems};
