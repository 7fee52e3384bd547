use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::command::plan::facts::{Facts, StageFacts};
use crate::cli::command::plan::keys::KeyWork;
use crate::cli::command::plan::ports::Ports;
use crate::domain::TimeScale;
use crate::engine::quota_check::{Quota, QuotaCheck};
use crate::engine::{Needs, PlannedStage};
use crate::report::console::{compressed, wrapped};
use crate::report::{columns, sparkline, units};
use crate::scenario::{Attestation, DeviceClass, Start};

/// Widest drawing.
const COLUMNS: usize = 60;

/// The plan for a person: rows of a name and what there is to say about it.
pub(super) fn of(facts: &Facts<'_>) -> String {
    let mut rows = Rows::default();
    let Facts { scenario, plan, stages, .. } = facts;
    rows.row("scenario", &scenario.name);
    if let Some(question) = &scenario.question {
        rows.row("question", question);
    }
    rows.row("seed", &plan.seed.to_string());
    if !plan.time_scale.is_real() {
        rows.row("time", &compressed(plan.time_scale));
    }
    rows.row("devices", &units::count(plan.devices.into()));
    if scenario.fleet.classes.len() > 1 {
        for class in &scenario.fleet.classes {
            rows.row("class", &class_words(class));
        }
    }
    for stage in stages {
        rows.gap();
        stage_rows(&mut rows, stage, facts);
    }
    rows.gap();
    need_rows(&mut rows, facts);
    if let Some(shortage) = facts.open_files.shortage() {
        rows.gap();
        rows.row("note", &shortage);
    }
    rows.0
}

#[derive(Default)]
struct Rows(String);

impl Rows {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{}", wrapped(&format!("{name:<12}"), value).trim_end());
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}

fn class_words(class: &DeviceClass) -> String {
    let attestation = match &class.attestation {
        Attestation::SymmetricKey => "symmetric key",
        Attestation::X509 { .. } => "X.509",
    };
    let DeviceClass { name, key_algorithm, transport, behaviour, .. } = class;
    format!("{name}: {key_algorithm}, {transport}, {attestation}, behaves as {}", behaviour.preset)
}

fn stage_rows(rows: &mut Rows, facts: &StageFacts<'_>, all: &Facts<'_>) {
    let StageFacts { stage, planned, classes, quotas } = facts;
    let PlannedStage { name, kind, workload, devices, start, last_due, arrivals, step, peak_per_second } = planned;
    let mut who = format!("{name} ({kind}), {} devices", units::count((*devices).into()));
    if all.scenario.fleet.classes.len() > 1 {
        let each = classes.iter().map(|(class, count)| format!("{} {}", units::count((*count).into()), class.name));
        let _ = write!(who, ": {}", each.collect::<Vec<_>>().join(", "));
    }
    rows.row("stage", &who);
    rows.row("workload", workload);
    let scale = all.plan.time_scale;
    if let Some(begins) = begins(stage.start, *start, all) {
        rows.row("begins", &begins);
    }
    if let Some(last_due) = last_due.filter(|due| !due.is_zero()) {
        let what = if stage.operate.is_some() { "lasts" } else { "last due" };
        let after = if stage.operate.is_some() { "" } else { " after it begins" };
        rows.row(what, &format!("{}{after}", both_times(last_due, scale)));
    }
    if let Some(peak) = peak_per_second {
        rows.row("peak", &format!("{} devices in one second", units::count((*peak).into())));
    }
    if arrivals.len() > 1 {
        let counts: Vec<f64> = arrivals.iter().copied().map(f64::from).collect();
        let drawn = columns(&counts, COLUMNS);
        let highest = drawn.iter().copied().fold(0.0, f64::max);
        let column = *step * u32::try_from(counts.len().div_ceil(COLUMNS)).unwrap_or(1);
        rows.row("arrivals", &format!("{} ({} per column)", sparkline(&drawn, highest), units::duration(column)));
    }
    for check in quotas {
        rows.row("quota", &quota_words(check));
    }
}

/// When a stage begins, unless that goes without saying.
fn begins(from: Start, start: Option<Duration>, all: &Facts<'_>) -> Option<String> {
    let name = |stage: usize| all.scenario.stages.get(stage).map_or("", |stage| stage.name.as_str());
    let relation = match from {
        Start::At(delay) if delay.is_zero() => return None,
        Start::At(_) => return start.map(|start| format!("after {}", both_times(start, all.plan.time_scale))),
        Start::After { stage, .. } => format!("after {} has ended", name(stage)),
        Start::With { stage, .. } => format!("beside {}", name(stage)),
    };
    Some(match start {
        Some(start) if !start.is_zero() => format!("{relation}, not before {}", both_times(start, all.plan.time_scale)),
        _ => relation,
    })
}

/// Real time, and what it is in the life of the fleet.
fn both_times(real: Duration, scale: TimeScale) -> String {
    if scale.is_real() {
        return units::duration(real);
    }
    format!("{} ({} of fleet time)", units::duration(real), units::fleet_time(scale.to_fleet(real)))
}

fn quota_words(check: &QuotaCheck) -> String {
    let QuotaCheck { quota, limit, period, needed: _, peak, over, first_over, shortest_spread } = check;
    let period = match period.as_secs() {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        _ => units::fleet_time(*period),
    };
    let allowed = format!("{} {} per {period} allowed", units::count((*limit).into()), quota.name());
    let spread = match shortest_spread {
        Some(spread) if spread.is_zero() => "all devices at once fit".to_owned(),
        Some(spread) => format!("evenly over {} they fit", units::fleet_time(enough(*spread))),
        None if *quota == Quota::Polls => "each device asks too often, whenever it comes".to_owned(),
        None => "no spread fits: one device needs more than that".to_owned(),
    };
    match (peak, first_over) {
        (None, _) => format!("unknown: {allowed}, the target decides when devices come; {spread}"),
        (Some(peak), None) => format!("kept: {allowed}, at most {} asked for", units::count(*peak)),
        (Some(peak), Some(first)) => {
            let when =
                if first.is_zero() { "at once".to_owned() } else { format!("after {}", units::fleet_time(*first)) };
            format!(
                "EXCEEDED {when}: {allowed}, up to {} asked for; {} refused at first; {spread}",
                units::count(*peak),
                devices(*over),
            )
        }
    }
}

/// That long or a little longer, so that what is printed fits: whole seconds, minutes or hours.
fn enough(spread: Duration) -> Duration {
    let step = match spread.as_secs() {
        0..60 => 1,
        60..3_600 => 5,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    let seconds = spread.as_secs() + u64::from(spread.subsec_nanos() > 0);
    Duration::from_secs(seconds.div_ceil(step) * step)
}

fn need_rows(rows: &mut Rows, facts: &Facts<'_>) {
    if !facts.quotas_declared {
        rows.row("quotas", "none declared, nothing to check: see [quotas] of the scenario");
    }
    let several = facts.keys.len() > 1;
    for KeyWork { class, keys, csrs, cpu } in &facts.keys {
        let of = if several { format!(" of {}", class.name) } else { String::new() };
        let pairs = if *keys == 1 { "1 key pair".to_owned() } else { format!("{} key pairs", units::count(*keys)) };
        let each = units::duration(cpu.checked_div(u32::try_from(*csrs).unwrap_or(u32::MAX)).unwrap_or_default());
        let (csrs, cpu) = (units::count(*csrs), units::duration(*cpu));
        let algorithm = class.key_algorithm;
        rows.row("keys", &format!("{pairs} ({algorithm}) and {csrs} CSRs{of}: about {cpu} of CPU, {each} each"));
    }
    let Needs { in_flight, held, open_files: wanted, .. } = facts.plan.needs;
    rows.row("in flight", &format!("at most {} attempts at once", units::count(in_flight)));
    if held > 0 {
        rows.row("held", &format!("at most {} connections with the hub", units::count(held)));
    }
    let files = format!("{} needed, {} available", units::count(wanted), units::count(facts.open_files.limit));
    rows.row("open files", &files);
    rows.row("ports", &port_words(facts.ports));
    rows.row("takes", &takes(facts));
}

fn port_words(ports: Ports) -> String {
    let Ports { needed, per_address, loopback } = ports;
    let needs = format!("{} needed at most, {} per source address", units::count(needed), units::count(per_address));
    match ports.addresses() {
        _ if loopback => {
            format!("{needs}; every device has an address of its own in 127.0.0.0/8, so they are no limit")
        }
        0 | 1 => format!("{needs}: one address is enough"),
        addresses => format!("{needs}: give {addresses} addresses with --source-address"),
    }
}

fn takes(facts: &Facts<'_>) -> String {
    let keys = facts.key_cpu();
    let keys = if keys >= Duration::from_secs(1) {
        format!(", beside about {} of CPU for keys", units::duration(keys))
    } else {
        String::new()
    };
    match facts.least_duration() {
        None => "as long as the target needs: a closed workload starts a device when another is done".to_owned(),
        Some(Duration::ZERO) => format!("as long as the target needs to answer{keys}"),
        Some(least) => format!("{} and the time of the last answers{keys}", units::duration(least)),
    }
}

fn devices(count: u64) -> String {
    format!("{} {}", units::count(count), if count == 1 { "device" } else { "devices" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_is_printed_is_long_enough_and_not_much_longer() {
        for (seconds, text) in
            [(240.001, "4 min 5 s"), (49.5, "50 s"), (4_001.0, "1 h 7 min"), (119_880.0, "1 day 10 h")]
        {
            assert_eq!(units::fleet_time(enough(Duration::from_secs_f64(seconds))), text);
        }
    }
}
