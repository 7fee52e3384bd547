//! Whether the first row of a file of arrivals names its columns. A broken number must not pass for a name: its arrival would
//! be lost without a word.

use crate::scenario::arrival::point_in_time::seconds;

/// What programs write where a number is missing.
const MISSING: [&str; 9] = ["nan", "na", "n/a", "null", "none", "nil", "nat", "inf", "infinity"];

/// The name of a column, if the cell may be one: it begins with a letter, and is no number with letters in the place of
/// digits. Digits are only part of names that begin with a word and have nothing else, as `rfc3339` and `time_2` do.
pub(super) fn column_name(cell: &str) -> Option<String> {
    let begins = cell.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let missing = MISSING.contains(&cell.to_lowercase().as_str());
    (begins && !missing && !is_nearly_a_number(cell) && digits_belong(cell)).then(|| cell.to_owned())
}

fn is_nearly_a_number(cell: &str) -> bool {
    let digit = |letter| match letter {
        'o' | 'O' => '0',
        'l' | 'I' => '1',
        ',' => '.',
        other => other,
    };
    seconds(&cell.chars().filter(|letter| !letter.is_whitespace()).map(digit).collect::<String>()).is_some()
}

fn digits_belong(cell: &str) -> bool {
    let word = cell.chars().take_while(|letter| letter.is_alphabetic()).count();
    let plain = cell.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    !cell.contains(|letter: char| letter.is_numeric()) || (plain && word >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_words() {
        for name in ["time", "Zeit", "seconds since start (s)", "s", "_at", "rfc3339", "time_2", "时间", "Δt"] {
            assert_eq!(column_name(name).as_deref(), Some(name));
        }
        let none = [
            "",
            "1e0",
            "O.0",
            "l0.5",
            "o",
            "I,5",
            "10s",
            "+",
            "-x",
            "NaN",
            "null",
            "Mar 29 2026",
            "time 10.5",
            "t0",
            "#1",
        ];
        for broken in none {
            assert_eq!(column_name(broken), None, "{broken}");
        }
    }
}
