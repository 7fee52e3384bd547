//! Numbers in the units a person reads.

use std::time::{Duration, SystemTime};

use crate::domain::{FleetTime, Known};
use crate::measure::Machine;

/// A time with three significant digits: `850 µs`, `12.3 ms`, `7.90 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        // Bounds are where three digits would become four.
        s if s < 0.999_5e-3 => format!("{} µs", three_digits(s * 1e6)),
        s if s < 0.999_5 => format!("{} ms", three_digits(s * 1e3)),
        s if s < 59.95 => format!("{} s", three_digits(s)),
        s if s < 3_599.5 => {
            let whole = s.round() as u64;
            format!("{} min {} s", whole / 60, whole % 60)
        }
        s => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
    }
}

/// A time, or what it is above of when it is not known: `> 62.0 s`.
pub fn known(time: Known<Duration>) -> String {
    match time {
        Known::Is(time) => duration(time),
        Known::Above(Duration::ZERO) => "unknown".to_owned(),
        Known::Above(time) => format!("> {}", duration(time)),
    }
}

/// A time in nanoseconds, as [`duration`].
pub fn nanos(nanos: u64) -> String {
    duration(Duration::from_nanos(nanos))
}

/// A machine, as far as it bears on what it measured.
pub fn machine(machine: &Machine) -> String {
    let Machine { cpu, cores: _, memory, os, open_files, cpu_limit: _ } = machine;
    format!("{cpu}, {}, {}, {os}, {} open files", cores_of(machine), bytes(*memory), count(*open_files))
}

/// A count with separators: `12,345`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of cores, with two digits where it is no whole one: `2`, `1.93`, `0.1`.
pub fn cores(cores: f64) -> String {
    let text = format!("{cores:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The cores of a machine, and what a cgroup allows of them: `2 cores`, `1 core (CPU limited to 0.1 cores by its cgroup)`.
pub fn cores_of(machine: &Machine) -> String {
    let all = if machine.cores == 1 { "1 core".to_owned() } else { format!("{} cores", machine.cores) };
    match machine.cpu_limit {
        Some(limit) => format!("{all} (CPU limited to {} cores by its cgroup)", cores(limit.cores())),
        None => all,
    }
}

/// A length of the fleet's time, which is often days: `1 day`, `30 days`, `7 days 2 h`, `3 h 20 min`, `45 s`.
pub fn fleet_time(time: FleetTime) -> String {
    let time = time.length();
    const DAY: u64 = 86_400;
    let whole_hours = (time.as_secs_f64() / 3_600.0).round() as u64;
    let (days, hours) = if time.as_secs() < DAY - 30 { (0, 0) } else { (whole_hours / 24, whole_hours % 24) };
    match (days, hours) {
        (0, _) => short_duration(time),
        (1, 0) => "1 day".to_owned(),
        (1, hours) => format!("1 day {hours} h"),
        (days, 0) => format!("{days} days"),
        (days, hours) => format!("{days} days {hours} h"),
    }
}

/// A [`duration`] without a zero at its end: `1 h`, `1 min`.
fn short_duration(time: Duration) -> String {
    let text = duration(time);
    match text.strip_suffix(" min 0 s").or_else(|| text.strip_suffix(" h 0 min")) {
        Some(number) if text.ends_with(" s") => format!("{number} min"),
        Some(number) => format!("{number} h"),
        None => match text.strip_suffix(".00 s").or_else(|| text.strip_suffix(".0 s")) {
            Some(number) => format!("{number} s"),
            None => text,
        },
    }
}

/// Names in a row: `a`, `a and b`, `a, b and c`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A share of one: `0.12 %`, `99.9 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", three_digits(share * 100.0))
}

/// A number with three significant digits: `0.52`, `5.80`, `24.3`, `1,300`.
pub fn number(number: f64) -> String {
    if number < 999.5 { three_digits(number) } else { count(number.round() as u64) }
}

/// `part` per `whole`; `None` when there is no whole.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// With three digits after the point.
pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Events per second: `633/s`, `1,240/s`, `0.25/s`.
pub fn rate(events: u64, time: Duration) -> String {
    rate_of(per_second(events, time))
}

/// As [`rate`], of events per second.
pub fn rate_of(per_second: f64) -> String {
    if per_second < 1_000.0 {
        return format!("{}/s", three_digits(per_second));
    }
    // Lossless for every rate that a machine can reach.
    format!("{}/s", count(per_second.round() as u64))
}

/// Events per second, zero when no time passed.
pub fn per_second(events: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { events as f64 / time.as_secs_f64() }
}

/// Bytes in decimal units: `120 MB`.
pub fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1e3 => format!("{b} B"),
        b if b < 1e6 => format!("{} kB", three_digits(b / 1e3)),
        b if b < 1e9 => format!("{} MB", three_digits(b / 1e6)),
        b => format!("{} GB", three_digits(b / 1e9)),
    }
}

/// A moment in UTC as RFC 3339 with milliseconds: `2025-03-01T09:30:00.000Z`.
pub fn rfc3339(moment: SystemTime) -> String {
    // Outside the years -9999 to 9999 only when the clock of the machine is broken.
    jiff::Timestamp::try_from(moment).map_or_else(|_| "unknown".to_owned(), |t| format!("{t:.3}"))
}

/// A moment in UTC, to the minute, for people: `2025-03-01 09:30 UTC`.
pub fn minute(moment: SystemTime) -> String {
    jiff::Timestamp::try_from(moment)
        .map_or_else(|_| "unknown".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v == 0.0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        let cases = [
            (0, "0 µs"),
            (850, "850 µs"),
            (1_230, "1.23 ms"),
            (12_345, "12.3 ms"),
            (999_400, "999 ms"),
            (7_900_000, "7.90 s"),
            (59_900_000, "59.9 s"),
            (999_960, "1.00 s"),
            (59_990_000, "1 min 0 s"),
            (125_000_000, "2 min 5 s"),
            (3_599_900_000, "1 h 0 min"),
            (12_000_000_000, "3 h 20 min"),
        ];
        for (micros, text) in cases {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn rates_and_bytes() {
        assert_eq!(rate(5_000, Duration::from_millis(7_900)), "633/s");
        assert_eq!(rate(5_000, Duration::from_secs(2)), "2,500/s");
        assert_eq!(rate(0, Duration::ZERO), "0/s");
        assert_eq!([12, 1_500, 120_000_000, 8_240_000_000].map(bytes), ["12 B", "1.50 kB", "120 MB", "8.24 GB"]);
    }

    #[test]
    fn fleet_time_is_told_in_days() {
        let cases = [
            (86_400, "1 day"),
            (30 * 86_400, "30 days"),
            (7 * 86_400 + 7_200, "7 days 2 h"),
            (12_000, "3 h 20 min"),
            (7_200, "2 h"),
            (60, "1 min"),
            (5, "5 s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(fleet_time(FleetTime::from_secs(seconds)), text);
        }
        assert_eq!(fleet_time(FleetTime::from_millis(1_500)), "1.50 s");
    }

    #[test]
    fn names_are_a_row_of_words() {
        assert_eq!([&["a"][..], &["a", "b"], &["a", "b", "c"]].map(listed), ["a", "a and b", "a, b and c"]);
    }

    #[test]
    fn shares_are_percent() {
        assert_eq!([0.0, 0.0012, 0.999, 1.0].map(percent), ["0 %", "0.12 %", "99.9 %", "100 %"]);
        assert_eq!((ratio(3, 2), ratio(3, 0)), (Some(1.5), None));
    }

    #[test]
    fn moments_are_utc() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_740_821_400_250);
        assert_eq!(rfc3339(moment), "2025-03-01T09:30:00.250Z");
        assert_eq!(minute(moment), "2025-03-01 09:30 UTC");
    }
}
