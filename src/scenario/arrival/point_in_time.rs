//! One cell of a file of arrivals: seconds or a time in RFC 3339, and what is wrong with it when it is neither.

use jiff::{Timestamp, civil};

/// What points in time count in. Both together would be two different zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Seconds,
    Rfc3339,
}

/// What to write instead of a cell that is no point in time.
pub(super) const HELP: &str = "begin every row with seconds (12.5), or with a time in RFC 3339 (2026-03-29T01:00:30Z)";
const POINT: &str = "write numbers with a decimal point, such as 12.5, and commas only between columns";
const COMMAS: &str = "separate columns by commas";
const ZONE: &str = "add the time's zone: 2026-03-29T01:00:30Z, or 2026-03-29T02:00:30+01:00";

/// Why a cell is no point in time, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) help: &'static str,
}

impl Refusal {
    pub(super) fn new(reason: impl Into<String>, help: &'static str) -> Self {
        Self { reason: reason.into(), help }
    }
}

/// Nanoseconds from a zero that is the same for all rows. `after` is the cell after it, which has the other half of a number
/// with a decimal comma.
pub(super) fn parse(text: &str, after: Option<&str>) -> Result<(i128, Notation), Refusal> {
    if let Some(nanos) = seconds(text) {
        // A number would not be followed by half a column.
        if let Some(separator) = after.and_then(other_separator).filter(|_| is_whole(text)) {
            let reason = format!("the number has a decimal comma, and its row is separated by {separator}");
            return Err(Refusal::new(reason, POINT));
        }
        return Ok((nanos, Notation::Seconds));
    }
    text.parse::<Timestamp>().map(|time| (time.as_nanosecond(), Notation::Rfc3339)).map_err(|_| refuse(text))
}

fn refuse(text: &str) -> Refusal {
    if let Some((name, _)) = separator_in(text) {
        return Refusal::new(format!("columns are separated by {name}"), COMMAS);
    }
    if text.contains(',') && seconds(&text.replace(',', ".")).is_some() {
        return Refusal::new(format!("{text:?} has a decimal comma"), POINT);
    }
    if text.parse::<civil::DateTime>().is_ok() {
        return Refusal::new(format!("{text:?} is a time without its zone"), ZONE);
    }
    Refusal::new(format!("{text:?} is no point in time"), HELP)
}

/// Digits up to a separator that is no comma: what it is called.
fn other_separator(cell: &str) -> Option<&'static str> {
    let (name, at) = separator_in(cell)?;
    is_digits(cell.get(..at)?.trim()).then_some(name)
}

/// Something else than a comma between columns: what it is called, and where.
pub(super) fn separator_in(text: &str) -> Option<(&'static str, usize)> {
    let at = text.find([';', '\t'])?;
    Some((if text[at..].starts_with(';') { "semicolons" } else { "tabs" }, at))
}

/// Digits, with or without a sign.
pub(super) fn is_whole(text: &str) -> bool {
    is_digits(text.strip_prefix(['-', '+']).unwrap_or(text))
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A decimal number of seconds, with or without an exponent, to the nanosecond below (above, when it is negative).
pub(super) fn seconds(text: &str) -> Option<i128> {
    /// Three hundred centuries have so many digits: nothing overflows.
    const MOST_DIGITS: usize = 12;
    const MOST_EXPONENT: u32 = 64;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if !is_digits(whole) || !is_digits(fraction) || exponent.unsigned_abs() > MOST_EXPONENT {
        return None;
    }
    // Zeros on both sides, so that the point can be moved by the exponent.
    let room = MOST_EXPONENT as usize;
    let all = format!("{:0>room$}{whole}{fraction}{:0<room$}", "", "");
    let point = usize::try_from(i32::try_from(room + whole.len()).ok()? + exponent).ok()?;
    let (whole, fraction) = all.split_at_checked(point)?;
    let whole = whole.trim_start_matches('0');
    if whole.len() > MOST_DIGITS {
        return None;
    }
    let nanos = format!("{whole}{:0<9.9}", fraction).parse::<i128>().ok()?;
    Some(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponents_move_the_point() {
        let nanos = |text| seconds(text).unwrap();
        assert_eq!((nanos("1e0"), nanos("10.5"), nanos("1.5E+2")), (1_000_000_000, 10_500_000_000, 150_000_000_000));
        assert_eq!((nanos("-2.5e-3"), nanos("1e-05"), nanos("5e-20")), (-2_500_000, 10_000, 0));
        assert_eq!(nanos("0000000000000001"), 1_000_000_000);
        assert_eq!((nanos("0e64"), nanos("7e-64"), nanos("999999999999")), (0, 0, 999_999_999_999_000_000_000));
        for wrong in ["0e65", "7e-65", "7e-66", "0e-2147483648", "0e2147483648"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        for wrong in
            ["", "e3", "1e", "1e+", "1e1.5", "1e99", "1e13", "9999999999999", "O.0", "0x10", "1_000", "inf", "٣"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text, after| parse(text, after).unwrap_err().reason;
        assert_eq!(told("soon", None), "\"soon\" is no point in time");
        assert_eq!(told("0,5", None), "\"0,5\" has a decimal comma");
        assert_eq!(told("soon,later", None), "\"soon,later\" is no point in time");
        assert_eq!(told("0.5;a", None), "columns are separated by semicolons");
        assert_eq!(told("0", Some("5;a")), "the number has a decimal comma, and its row is separated by semicolons");
        assert_eq!(told("-60", Some("25\tb")), "the number has a decimal comma, and its row is separated by tabs");
        assert_eq!(told("2026-03-29 01:00:30", None), "\"2026-03-29 01:00:30\" is a time without its zone");
        assert!(parse("1.5", Some("5;a")).is_ok() && parse("1", Some("a;b")).is_ok() && parse("1", Some("5")).is_ok());
    }

    proptest! {
        #[test]
        fn seconds_are_exact_to_the_nanosecond(nanos in 0u64..1_000_000_000_000, exponent in -8i32..=8) {
            let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assert_eq!(seconds(&text), Some(i128::from(nanos)));
            let moved = seconds(&format!("{text}e{exponent}")).unwrap();
            let ten = 10i128.pow(exponent.unsigned_abs());
            let expected = if exponent < 0 { i128::from(nanos) / ten } else { i128::from(nanos) * ten };
            prop_assert_eq!(moved, expected);
        }

        #[test]
        fn any_cell_is_read_or_refused(text in "\\PC*", after in proptest::option::of("\\PC*")) {
            let _ = parse(&text, after.as_deref());
        }
    }
}
