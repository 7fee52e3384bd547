use std::fmt;

/// Everything that is wrong with a scenario, file and overrides together. As [`miette::Diagnostic`] it shows each with
/// its excerpt of the source.
#[derive(Debug)]
pub struct Problems {
    problems: Vec<Problem>,
}

/// One thing that is wrong with a scenario.
#[derive(Debug)]
pub struct Problem {}

impl Problems {
    /// The problems in the order of the file. At least one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Problems {}

impl miette::Diagnostic for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Problem {}

impl miette::Diagnostic for Problem {}
