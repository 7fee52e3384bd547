//! The table `arrival` of a stage.

use std::fs;
use std::path::Path;

use super::{LONGEST, rate};
use crate::domain::{FleetTime, Origin, named};
use crate::scenario::{Arrival, Policy, Rate, RatePoint, RenewalStrategy, RenewalTiming, Replay, StageKind};
use crate::settings::expect::{self, choice, fleet_time, number};
use crate::settings::{Place, Problem, Section, Text};

named! {
    enum ArrivalProcess {
        AtOnce = "at-once",
        Constant = "constant",
        Ramp = "ramp",
        Poisson = "poisson",
        Spike = "spike",
        Spread = "spread",
        Replay = "replay",
        FromExpiry = "from-expiry",
    }
}

named! {
    /// [`RenewalStrategy`] without its values.
    enum Strategy {
        WindowOpens = "window-opens",
        Fraction = "fraction",
        Uniform = "uniform",
        Suggested = "suggested",
        Never = "never",
    }
}

const POINTS: &str = "write points = [{ at = \"0s\", rate = \"10/s\" }, { at = \"1m\", rate = \"500/s\" }]";
const MILLISECOND: FleetTime = FleetTime::from_millis(1);
/// A year of arrivals of a million devices is smaller.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;
/// More bad rows than these are counted, not shown.
const MOST_BAD_ROWS: usize = 10;

/// What arrivals are read against.
pub(super) struct ArrivalContext<'a> {
    pub(super) kind: Option<StageKind>,
    /// Devices that take part.
    pub(super) devices: Option<u32>,
    /// Folder of the scenario file.
    pub(super) folder: &'a Path,
    pub(super) policy: Option<&'a Policy>,
}

pub(super) fn read(mut section: Section<'_>, needs: &ArrivalContext<'_>) -> Option<Arrival> {
    let arrival = match section.required("process", &choice(&ArrivalProcess::NAMED)) {
        Some(process) => read_process(process, &mut section, needs),
        None => {
            for (_, process) in &ArrivalProcess::NAMED {
                section.may_have(|section| _ = read_process(*process, section, needs));
            }
            None
        }
    };
    section.finish();
    arrival
}

fn read_process(process: ArrivalProcess, section: &mut Section<'_>, needs: &ArrivalContext<'_>) -> Option<Arrival> {
    match process {
        ArrivalProcess::AtOnce => Some(Arrival::AtOnce),
        ArrivalProcess::Constant => {
            section.required("rate", &rate::expect(Rate::MIN)).map(|rate| Arrival::Constant { rate })
        }
        ArrivalProcess::Ramp => read_ramp(section, needs.devices),
        ArrivalProcess::Poisson => {
            section.required("rate", &rate::expect(Rate::MIN)).map(|rate| Arrival::Poisson { rate })
        }
        ArrivalProcess::Spike => read_spike(section, needs.devices),
        ArrivalProcess::Spread => read_spread(section),
        ArrivalProcess::Replay => read_replay(section, needs).map(Arrival::Replay),
        ArrivalProcess::FromExpiry => read_from_expiry(section, needs).map(Arrival::FromExpiry),
    }
}

fn read_ramp(section: &mut Section<'_>, devices: Option<u32>) -> Option<Arrival> {
    let mut points: Vec<RatePoint> = Vec::new();
    let mut complete = true;
    for mut point in section.sections("points", POINTS) {
        let at = point.required("at", &fleet_time(FleetTime::ZERO..=LONGEST));
        let rate = point.required("rate", &rate::expect(Rate::ZERO));
        match at.zip(rate) {
            Some((at, rate)) => {
                match points.last() {
                    None if !at.is_zero() => point.problem("at", "must be \"0s\" in the first point", POINTS),
                    Some(RatePoint { at: before, .. }) if at < *before => {
                        point.problem("at", "is before the point before it", "list points in order of time");
                    }
                    _ => {}
                }
                points.push(RatePoint { at, rate });
            }
            None => complete = false,
        }
        point.finish();
    }
    if !complete || points.is_empty() {
        return None;
    }
    let ramp = Arrival::Ramp { points };
    check_arrivals(section, "points", &ramp, devices, "end at a rate above zero, raise the rates");
    Some(ramp)
}

fn read_spike(section: &mut Section<'_>, devices: Option<u32>) -> Option<Arrival> {
    let usual = section.required("rate", &rate::expect(Rate::ZERO));
    let peak = section.required("peak", &rate::expect(Rate::MIN));
    let at = section.required("at", &fleet_time(FleetTime::ZERO..=LONGEST));
    let lasts = section.required("lasts", &fleet_time(MILLISECOND..=LONGEST));
    let (rate, peak, at, lasts) = (usual?, peak?, at?, lasts?);
    if peak <= rate {
        section.problem(
            "peak",
            &format!("of {peak} is no peak over a rate of {rate}"),
            "raise `peak`, or lower `rate`",
        );
    }
    let spike = Arrival::Spike { rate, peak, at, lasts };
    check_arrivals(section, "rate", &spike, devices, "set a rate above zero, raise the peak");
    Some(spike)
}

/// A rate that ends at zero lets only so many devices come.
fn check_arrivals(section: &Section<'_>, key: &str, arrival: &Arrival, devices: Option<u32>, help: &str) {
    let arrivals = arrival.profile().and_then(|profile| profile.arrivals());
    if let (Some(arrivals), Some(devices)) = (arrivals, devices)
        && arrivals < u64::from(devices)
    {
        section.problem(
            key,
            &format!("let {arrivals} devices come, then the rate stays at zero, but {devices} devices take part"),
            &format!("{help}, or lower fleet.devices"),
        );
    }
}

fn read_spread(section: &mut Section<'_>) -> Option<Arrival> {
    let over = section.required("over", &fleet_time(MILLISECOND..=LONGEST));
    let jitter = section.or("jitter", "0s", &fleet_time(FleetTime::ZERO..=LONGEST));
    let (over, jitter) = (over?, jitter?);
    if jitter > over {
        let message = format!("of {} is longer than the window itself, {}", jitter, over);
        section.problem("jitter", &message, "make it at most as long as `over`");
    }
    Some(Arrival::Spread { over, jitter })
}

fn read_replay(section: &mut Section<'_>, needs: &ArrivalContext<'_>) -> Option<Replay> {
    let valid = "the path of a CSV file, from the folder of the scenario file: its first column holds seconds or times as \
                 2026-03-29T01:00:30Z";
    let written = section.required("file", &expect::text(valid))?;
    let path = needs.folder.join(&written);
    let text = fs::metadata(&path)
        .map_err(|error| error.to_string())
        .and_then(|file| match file.len() {
            0..=LARGEST_FILE => fs::read_to_string(&path).map_err(|error| error.to_string()),
            _ => Err("it is larger than 256 MiB".to_owned()),
        })
        .inspect_err(|error| {
            section.problem("file", &format!("cannot be read from {}: {error}", path.display()), valid);
        })
        .ok()?;
    let replay = match Replay::parse(Path::new(&written), &text) {
        Ok(replay) => replay,
        Err(bad) => {
            let more = bad.len().saturating_sub(MOST_BAD_ROWS);
            // After all that is of the scenario itself.
            let text = Text::new(&path.display().to_string(), text, Origin::Scenario, usize::MAX);
            for row in bad.into_iter().take(MOST_BAD_ROWS) {
                let problem = Problem::new(row.reason).help(row.help);
                section.findings().problem(&Place::new(&text, row.span), problem);
            }
            if more > 0 {
                section.problem("file", &format!("has {more} more bad rows than are shown"), "mend the others first");
            }
            return None;
        }
    };
    if replay.span() > LONGEST {
        let message = format!("spans {}, more than {}", replay.span(), LONGEST);
        section.problem("file", &message, "take a shorter part of it");
    }
    if let Some(devices) = needs.devices
        && replay.arrivals() < usize::try_from(devices).unwrap_or(usize::MAX)
    {
        let message = format!("has {} arrivals, but {devices} devices take part", replay.arrivals());
        section.problem("file", &message, "lower fleet.devices, or add rows");
    }
    Some(replay)
}

fn read_from_expiry(section: &mut Section<'_>, needs: &ArrivalContext<'_>) -> Option<RenewalTiming> {
    if let Some(kind) = needs.kind
        && !matches!(kind, StageKind::Renew | StageKind::Reprovision)
    {
        section.problem(
            "process",
            &format!("cannot be \"from-expiry\" in a stage of kind {kind}, which replaces no certificate"),
            "use it with kind = \"renew\" or \"reprovision\"",
        );
    }
    let clock_skew = section.or("clock_skew", "0s", &fleet_time(FleetTime::ZERO..=LONGEST));
    let strategy = match section.required("strategy", &choice(&Strategy::NAMED)) {
        Some(strategy) => read_strategy(strategy, section, needs.policy),
        None => {
            for (_, strategy) in &Strategy::NAMED {
                section.may_have(|section| _ = read_strategy(*strategy, section, needs.policy));
            }
            None
        }
    };
    Some(RenewalTiming { strategy: strategy?, clock_skew: clock_skew? })
}

fn read_strategy(strategy: Strategy, section: &mut Section<'_>, policy: Option<&Policy>) -> Option<RenewalStrategy> {
    Some(match strategy {
        Strategy::WindowOpens => RenewalStrategy::WindowOpens,
        Strategy::Fraction => RenewalStrategy::Fraction(section.or("fraction", "0.8", &number(0.0..=1.0))?),
        Strategy::Uniform => RenewalStrategy::Uniform,
        Strategy::Suggested => {
            let from = section.or("suggested_from", "P7D", &fleet_time(MILLISECOND..=LONGEST));
            let until = section.or("suggested_until", "P3D", &fleet_time(FleetTime::ZERO..=LONGEST));
            let (from, until) = (from?, until?);
            if until >= from {
                let help = "both are times before expiry: make `suggested_from` the longer one";
                section.problem("suggested_until", "is not after `suggested_from`", help);
            }
            if let Some(policy) = policy
                && from > policy.validity
            {
                let validity = policy.validity;
                let message = format!("is before the certificate begins: policy.validity is {validity}");
                section.problem("suggested_from", &message, "make it at most as long as certificates are valid");
            }
            RenewalStrategy::Suggested { from, until }
        }
        Strategy::Never => RenewalStrategy::Never,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::scenario::tests::{STAGES, told, told_of};

    /// What is wrong with an arrival of a hundred devices that are provisioned again.
    fn arrival(written: &str) -> Vec<String> {
        told(&[("stage.again.arrival", written)])
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn points_of_a_ramp_begin_at_zero_and_go_on_in_order() {
        let ramp = |points: &str| arrival(&format!("{{ process = 'ramp', points = [{points}] }}"));
        let point = |at, rate| format!("{{ at = '{at}', rate = '{rate}' }}");
        let jump = [point("0s", "5/s"), point("1m", "5/s"), point("1m", "9/s")];
        assert_eq!(ramp(&jump.join(", ")), NOTHING, "a jump is two points at one time");
        let back = [point("0s", "5/s"), point("1m", "5/s"), point("59s", "9/s")];
        let before = "`stage.again.arrival.points.2.at` is before the point before it";
        assert_eq!(ramp(&back.join(", ")), [before]);
        let first = "`stage.again.arrival.points.0.at` must be \"0s\" in the first point";
        assert_eq!(ramp(&point("1ms", "5/s")), [first]);
        let none = "`stage.again.arrival.points` must be a list of at least one table";
        assert_eq!(ramp(""), [none]);
        let missing = "`stage.again.arrival.points.1.rate` is missing";
        assert_eq!(ramp(&format!("{}, {{ at = '1m' }}", point("0s", "0/s"))), [missing], "and no more is said of it");
    }

    #[test]
    fn a_rate_that_ends_lets_all_devices_come() {
        let spike = |devices: &str| {
            let spike = "{ process = 'spike', rate = 0, peak = '10/s', at = '0s', lasts = '10s' }";
            told(&[("fleet.devices", devices), ("stage.again.arrival", spike)])
        };
        assert_eq!(spike("100"), NOTHING);
        let few =
            "`stage.again.arrival.rate` let 100 devices come, then the rate stays at zero, but 101 devices take part";
        assert_eq!(spike("101"), [few]);
    }

    #[test]
    fn rates_are_texts_and_numbers() {
        for rate in ["'2.5/s'", "'150/min'", "2.5", "3"] {
            assert_eq!(arrival(&format!("{{ process = 'constant', rate = {rate} }}")), NOTHING, "{rate}");
        }
        assert_eq!(arrival("{ process = 'constant', rate = true }").len(), 1);
    }

    fn replay(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), text).unwrap();
        let name = folder.path().join("x.toml");
        told_of(
            &name.display().to_string(),
            STAGES,
            &[("stage.again.arrival", "{ process = 'replay', file = 'a.csv' }")],
        )
    }

    fn rows(row: &str, count: usize) -> String {
        format!("{row}\n").repeat(count)
    }

    #[test]
    fn a_file_of_arrivals_is_long_enough_and_spans_a_leap_year_at_most() {
        assert_eq!(replay(&rows("5", 100)), NOTHING);
        assert_eq!(replay(&rows("5", 99)), ["`stage.again.arrival.file` has 99 arrivals, but 100 devices take part"]);
        assert_eq!(replay(&(rows("0", 99) + "31622400")), NOTHING);
        let long = replay(&(rows("0", 99) + "31622400.000000001"));
        assert_eq!(long, ["`stage.again.arrival.file` spans 31622400000000001ns, more than 366d"]);
    }

    #[test]
    fn ten_bad_rows_are_shown_and_the_others_counted() {
        let bad = |count| replay(&(rows("0", 100) + &rows("soon", count)));
        let (ten, thirteen) = (bad(10), bad(13));
        assert!(ten.len() == 10 && ten.iter().all(|row| row == "\"soon\" is no point in time"), "{ten:?}");
        assert_eq!(thirteen.len(), 11);
        let more = "`stage.again.arrival.file` has 3 more bad rows than are shown".to_owned();
        assert!(thirteen.contains(&more), "{thirteen:?}");
    }

    #[test]
    fn no_file_of_more_than_256_mib_is_read() {
        let comment = format!("#{}\n", "x".repeat(2 * 1024 * 1024));
        assert_eq!(replay(&(comment + &rows("0", 100))), NOTHING);
        let folder = tempfile::tempdir().unwrap();
        let mut file = std::fs::File::create(folder.path().join("a.csv")).unwrap();
        file.write_all(rows("0", 100).as_bytes()).unwrap();
        file.set_len(256 * 1024 * 1024 + 1).unwrap();
        let name = folder.path().join("x.toml").display().to_string();
        let told = told_of(&name, STAGES, &[("stage.again.arrival", "{ process = 'replay', file = 'a.csv' }")]);
        assert!(told.len() == 1 && told[0].ends_with("a.csv: it is larger than 256 MiB"), "{told:?}");
    }
}
