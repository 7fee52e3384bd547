use crate::domain::{Adding, Count, Counts, Level, Value};
use crate::report::counted::Column;
use crate::report::csv::us;

/// The columns of a file with a row for every thing of which counts are kept. Their order is that in which they came about, as
/// readers may go by position: those of counts that no part names follow at the end.
pub(super) struct Layout<F: 'static> {
    /// What a row is about.
    pub(super) level: Level,
    pub(super) parts: &'static [Part<F>],
}

/// Columns beside each other.
pub(super) enum Part<F: 'static> {
    /// Columns of the file's own, each with a function that says what it holds in a row.
    Own(&'static [(&'static str, F)]),
    /// Counts, of all classes together.
    Counts(&'static [Count]),
    /// The classes of a count.
    Classes(Count),
}

impl<F: 'static> Layout<F> {
    /// The header.
    pub(super) fn names(&self) -> Vec<String> {
        self.cells(|(name, _)| (*name).to_owned(), name)
    }

    /// A row of these counts, in which `own` applies the functions of the file's own columns; empty where nothing is known.
    pub(super) fn row(&self, counts: &Counts, own: impl Fn(&F) -> String) -> Vec<String> {
        self.cells(|(_, function)| own(function), |column| value(column, counts))
    }

    fn cells(&self, own: impl Fn(&(&'static str, F)) -> String, counted: impl Fn(Column) -> String) -> Vec<String> {
        let mut cells = Vec::new();
        for part in self.parts {
            match part {
                Part::Own(columns) => cells.extend(columns.iter().map(&own)),
                Part::Counts(counts) => cells.extend(counts.iter().map(|count| counted(Column::of(*count)))),
                Part::Classes(count) => cells.extend(Column::classes(*count).map(&counted)),
            }
        }
        cells.extend(Column::at(self.level).filter(|column| !self.names_count(column.count)).map(counted));
        cells
    }

    fn names_count(&self, count: Count) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Counts(counts) if counts.contains(&count)))
    }
}

fn name(column: Column) -> String {
    match column.count.adding() {
        Adding::Longest => format!("{}_us", column.name()),
        _ => column.name().into_owned(),
    }
}

fn value(column: Column, counts: &Counts) -> String {
    match column.get(counts) {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::ByClass(failures)) => failures.total().to_string(),
        Some(Value::Longest(longest)) => longest.map(|time| us(time.length())).unwrap_or_default(),
        None => String::new(),
    }
}
