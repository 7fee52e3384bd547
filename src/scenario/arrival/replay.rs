//! Arrivals as a CSV file has them: its first column holds points in time.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;

use crate::domain::FleetTime;
use crate::scenario::arrival::header::column_name;
use crate::scenario::arrival::point_in_time::{self, HELP, Notation, Refusal, is_digits, is_whole};

/// Due times out of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    file: PathBuf,
    /// What its first row calls the column, if that is a header.
    column: Option<String>,
    /// In order, the first at zero.
    offsets: Arc<[FleetTime]>,
}

/// A row whose first column is no point in time, or seems to be something else.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::scenario) struct BadRow {
    /// Its bytes in the file.
    pub(in crate::scenario) span: Range<usize>,
    /// What is wrong.
    pub(in crate::scenario) reason: String,
    /// What to do.
    pub(in crate::scenario) help: &'static str,
}

const ONE_KIND: &str = "write all rows in seconds, or all in RFC 3339";
const INDEX: &str = "leave the index away (pandas: to_csv(…, index=False)), so that the first column holds the times";
const COLUMNS: &str = "write numbers with a decimal point, such as 0.5, and name every column in the header";
const NAMES: &str = "write numbers with a decimal point, such as 0.5; if these are two columns, name them in a header, such as time,device";

impl Replay {
    /// How many arrivals there are.
    pub fn arrivals(&self) -> usize {
        self.offsets.len()
    }

    /// From the first to the last.
    pub fn span(&self) -> FleetTime {
        self.offsets.last().copied().unwrap_or_default()
    }

    /// When that arrival is due.
    pub(super) fn offset(&self, arrival: u32) -> Option<FleetTime> {
        self.offsets.get(usize::try_from(arrival).ok()?).copied()
    }

    /// Reads the text of `file`. The first row may be a header, lines that begin with `#`, empty ones and a byte order mark
    /// count for nothing. Rows need not be in order. What may well mean something else than times in the first column is
    /// refused.
    pub(in crate::scenario) fn parse(file: &Path, text: &str) -> Result<Self, Vec<BadRow>> {
        let rows = text.trim_start_matches('\u{feff}');
        let mark = text.len() - rows.len();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(rows.as_bytes());
        let (mut read, mut bad) = (Rows::default(), Vec::new());
        for row in reader.records() {
            let (start, result) = match row {
                Ok(row) => (row.position().map_or(0, csv::Position::byte), read.row(&row)),
                Err(error) => (0, Err(Refusal::new(error.to_string(), HELP))),
            };
            read.first.get_or_insert(start);
            bad.extend(result.err().map(|refusal| (start, refusal)));
        }
        if bad.is_empty() {
            bad.extend(read.other_meaning().map(|refusal| (read.first.unwrap_or_default(), refusal)));
        }
        if !bad.is_empty() {
            let place = |(start, Refusal { reason, help })| BadRow { span: line_at(text, mark, start), reason, help };
            return Err(bad.into_iter().map(place).collect());
        }
        let Rows { mut times, header, .. } = read;
        times.sort_unstable();
        let first = times.first().copied().unwrap_or_default();
        let offset = |time: i128| FleetTime::from_nanos(u64::try_from(time - first).unwrap_or(u64::MAX));
        let column = header.map(|(name, _)| name);
        Ok(Self { file: file.to_owned(), column, offsets: times.into_iter().map(offset).collect() })
    }
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    times: Vec<i128>,
    notation: Option<Notation>,
    /// Name of the first column and number of columns.
    header: Option<(String, usize)>,
    /// Where the first row begins.
    first: Option<u64>,
    /// Rows that are two whole numbers: one number with a decimal comma looks like that.
    of_two_numbers: usize,
    /// Rows that begin with how many rows were before, followed by a point in time that is no whole number.
    counted: usize,
}

impl Rows {
    fn row(&mut self, row: &StringRecord) -> Result<(), Refusal> {
        let cell = row.get(0).unwrap_or_default();
        let after = row.get(1);
        let read = point_in_time::parse(cell, after);
        let (time, own) = match read {
            Ok(read) => read,
            Err(refusal) if self.first.is_none() => return self.name(cell, row.len(), refusal),
            Err(refusal) => return Err(refusal),
        };
        let used = (0..row.len())
            .rfind(|column| row.get(*column).is_some_and(|cell| !cell.is_empty()))
            .map_or(0, |last| last + 1);
        let is_time = |cell: &str| point_in_time::parse(cell, None).is_ok();
        if let Some((_, columns)) = self.header.as_ref().filter(|(_, columns)| used > *columns)
            && is_whole(cell)
            && after.is_some_and(|after| is_digits(after) || is_time(after))
        {
            let reason = format!("the row has {used} columns, and the header names {columns}");
            return Err(Refusal::new(reason, COLUMNS));
        }
        if *self.notation.get_or_insert(own) != own {
            return Err(Refusal::new("this row and the first one do not count time in the same way", ONE_KIND));
        }
        self.of_two_numbers += usize::from(used == 2 && is_whole(cell) && after.is_some_and(is_digits));
        let counts = cell.parse() == Ok(self.times.len());
        self.counted += usize::from(counts && after.is_some_and(|after| !is_whole(after) && is_time(after)));
        self.times.push(time);
        Ok(())
    }

    /// The first row as a header.
    fn name(&mut self, cell: &str, columns: usize, refusal: Refusal) -> Result<(), Refusal> {
        // What pandas, and R, write where an index has no name; the first one when it was written twice.
        if (cell.is_empty() && columns > 1) || ["index", "unnamed: 0"].contains(&cell.to_lowercase().as_str()) {
            return Err(Refusal::new("the first column is an index, which counts rows", INDEX));
        }
        if point_in_time::separator_in(cell).is_some() {
            return Err(refusal);
        }
        let name = column_name(cell).ok_or_else(|| match refusal.reason.ends_with("is no point in time") {
            true => Refusal::new(format!("{}, nor the name of a column", refusal.reason), refusal.help),
            false => refusal,
        })?;
        self.header = Some((name, columns));
        Ok(())
    }

    /// What all rows together seem to be instead.
    fn other_meaning(&self) -> Option<Refusal> {
        let all = |rows: usize| rows > 0 && rows == self.times.len() && self.header.is_none();
        if all(self.of_two_numbers) {
            let reason = "every row is one number with a decimal comma, or two columns without names";
            return Some(Refusal::new(reason, NAMES));
        }
        (all(self.counted) && self.counted > 1)
            .then(|| Refusal::new("the first column counts rows, and the second holds times", INDEX))
    }
}

/// The line that a byte after the mark at the begin is in, without its end.
fn line_at(text: &str, mark: usize, start: u64) -> Range<usize> {
    let from = usize::try_from(start).unwrap_or(usize::MAX).saturating_add(mark).min(text.len());
    // A row's position may be that of the line end before it.
    let rest = text.get(from..).unwrap_or_default();
    let from = from + (rest.len() - rest.trim_start().len());
    let rest = text.get(from..).unwrap_or_default();
    from..from + rest.find(['\r', '\n']).unwrap_or(rest.len())
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, arrivals, span) = (self.file.display(), self.arrivals(), self.span());
        let column = match &self.column {
            Some(name) => format!("column {name:?}"),
            None => "its first column, no header".to_owned(),
        };
        write!(f, "replay of {file} ({column}), {arrivals} arrivals within {span}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets(text: &str) -> Vec<f64> {
        let replay = Replay::parse(Path::new("a.csv"), text).unwrap();
        replay.offsets.iter().map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn points_in_time_count_from_the_earliest() {
        assert_eq!(offsets("time,device\n10.5,a\n# later\n\n 12 ,b\n10.25,c\n"), [0.0, 0.25, 1.75]);
        assert_eq!(offsets("-1\n0.000000001\n"), [0.0, 1.000_000_001]);
        assert_eq!(offsets("at\n2026-03-29T01:00:30+01:00\r\n2026-03-29T00:00:00Z,x\r\n"), [0.0, 30.0]);
        assert_eq!(offsets("1e0\n10.5\n60.0\n61.0\n"), [0.0, 9.5, 59.0, 60.0]);
        assert_eq!(offsets("\u{feff}# seconds\ntime,n\n0,1\n1,2\n"), [0.0, 1.0]);
        assert_eq!(offsets("0,5\n1.5,7\n"), [0.0, 1.5], "a second column of numbers");
        assert_eq!(offsets("0,0.5,a\n2,0.75,b\n"), [0.0, 2.0], "numbers that count no rows");
        assert_eq!(offsets("0,a\n1,b\n2,c\n"), [0.0, 1.0, 2.0], "times that count rows, beside what is no time");
        assert_eq!(offsets("0,0.5\n1,0.75\n7,0.9\n"), [0.0, 1.0, 7.0], "not all of them count rows");
        assert_eq!(offsets("0,0.5\n"), [0.0], "one row counts nothing");
        assert_eq!(offsets(""), [] as [f64; 0]);
    }

    #[test]
    fn what_may_mean_something_else_is_refused_with_its_line() {
        for (text, line, told) in [
            ("O.0\n10.5\n", "O.0", "\"O.0\" is no point in time, nor the name of a column"),
            ("10.5x\n60.0\n", "10.5x", "\"10.5x\" is no point in time, nor the name of a column"),
            ("0,0;a\n0.9;b\n", "0,0;a", "the number has a decimal comma, and its row is separated by semicolons"),
            ("\u{feff}Zeit;Gerät\n0,0;a\n", "Zeit;Gerät", "columns are separated by semicolons"),
            ("time\n0,5\n", "0,5", "the row has 2 columns, and the header names 1"),
            ("time\n0,0.5\n", "0,0.5", "the row has 2 columns, and the header names 1"),
            ("time\n0,1234567890123\n", "0,1234567890123", "the row has 2 columns, and the header names 1"),
            ("\"\"\n1\n", "\"\"", "\"\" is no point in time, nor the name of a column"),
            ("time\n\"0,5\"\n", "\"0,5\"", "\"0,5\" has a decimal comma"),
            ("0,0\n0,5\n60,25\n", "0,0", "every row is one number with a decimal comma, or two columns without names"),
            (",time\n0,0.0\n1,0.5\n", ",time", "the first column is an index, which counts rows"),
            ("index,at\n0,0.0\n", "index,at", "the first column is an index, which counts rows"),
            ("0,0.0\n1,0.5\n2,60.0\n", "0,0.0", "the first column counts rows, and the second holds times"),
            (
                "0,2026-03-29T00:00:00Z\n1,2026-03-29T00:00:07Z\n",
                "0,2026-03-29T00:00:00Z",
                "the first column counts rows, and the second holds times",
            ),
            ("at\n2026-03-29 00:00:00\n", "2026-03-29 00:00:00", "\"2026-03-29 00:00:00\" is a time without its zone"),
        ] {
            let bad = Replay::parse(Path::new("a.csv"), text).unwrap_err();
            assert_eq!((&text[bad[0].span.clone()], bad[0].reason.as_str()), (line, told));
        }
    }

    #[test]
    fn what_was_taken_for_the_column_is_told() {
        let told = |text| Replay::parse(Path::new("a.csv"), text).unwrap().to_string();
        assert_eq!(told("at,n\n0,1\n5,1\n"), "replay of a.csv (column \"at\"), 2 arrivals within 5s");
        assert_eq!(told("0\n5\n"), "replay of a.csv (its first column, no header), 2 arrivals within 5s");
    }

    #[test]
    fn each_bad_row_has_its_place() {
        let text = "\u{feff}time,of\n1\nsoon,x\n2\n\n2026-03-29T00:00:00Z\n,y\n1f3";
        let bad = Replay::parse(Path::new("a.csv"), text).unwrap_err();
        let rows: Vec<(&str, &str)> = bad.iter().map(|b| (&text[b.span.clone()], b.reason.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("soon,x", "\"soon\" is no point in time"),
                ("2026-03-29T00:00:00Z", "this row and the first one do not count time in the same way"),
                (",y", "\"\" is no point in time"),
                ("1f3", "\"1f3\" is no point in time"),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_row_by_row(text in "\\PC*") {
            if let Err(bad) = Replay::parse(Path::new("a.csv"), &text) {
                prop_assert!(bad.iter().all(|b| text.get(b.span.clone()).is_some()));
            }
        }
    }
}
