//! `comparison.html`: two sides against each other for a person, with the assets of the report. Every verdict on it is one of
//! [`crate::report::compare`]; plots and tables only show what was measured.

mod data;
mod dots;
mod over_time;
mod page;
mod sides;
mod tables;
#[cfg(test)]
mod tests;

use std::io;

use crate::measure::RunRecord;
use crate::report::compare::Comparison;
use crate::report::html::comparison::data::Data;

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it is called, such as the folder that its results are in.
    pub name: &'a str,
    /// Its runs, those that were compared.
    pub runs: &'a [RunRecord],
}

/// The comparison of two sides as one page that needs nothing else.
///
/// # Errors
/// Never in practice: it is made in memory.
pub fn comparison_page(comparison: &Comparison, sides: [Side<'_>; 2]) -> io::Result<String> {
    page::page(comparison, sides, &Data::of(comparison, sides))
}
