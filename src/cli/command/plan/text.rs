use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::command::plan::facts::{RunFacts, StageFacts};
use crate::cli::command::plan::key_time::{self, LateKeys};
use crate::cli::command::plan::keys::KeyWork;
use crate::cli::command::plan::ports::Ports;
use crate::domain::TimeScale;
use crate::engine::{Needs, Plan, PlannedStage};
use crate::report::console::{compressed, wrapped};
use crate::report::{columns, sparkline, units};
use crate::rig::quotas;
use crate::scenario::{Attestation, DeviceClass, Start, Workload};

/// Widest drawing.
const COLUMNS: usize = 60;

/// The plan for a person: rows of a name and what there is to say about it.
pub(super) fn of(facts: &RunFacts<'_>) -> String {
    let mut rows = Rows::default();
    let RunFacts { scenario, plan, stages, .. } = facts;
    rows.row("scenario", &scenario.name);
    if let Some(question) = &scenario.question {
        rows.row("question", question);
    }
    rows.row("seed", &plan.seed.to_string());
    if !plan.time_scale.is_real() {
        rows.row("time", &compressed(plan.time_scale));
    }
    rows.row("devices", &devices(plan));
    if scenario.fleet.classes.len() > 1 {
        for class in &scenario.fleet.classes {
            rows.row("class", &class_words(class));
        }
    }
    for (stage, expected) in stages.iter().zip(&facts.expected.stages) {
        rows.gap();
        stage_rows(&mut rows, stage, facts);
        // What a device takes that operates depends on how long and what for.
        if stage.stage.operate.is_none() {
            rows.row("machine", &facts.expected.words(expected));
        }
        if let Some(warning) = expected.warning() {
            rows.row(if expected.at_once { "at once" } else { "too fast" }, &warning);
        }
    }
    rows.gap();
    quota_rows(&mut rows, facts);
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

/// How many, and of how many where it is a part.
fn devices(plan: &Plan) -> String {
    let all = units::count(plan.devices.into());
    if plan.shard.is_whole() {
        all
    } else {
        format!("{} of {all}: {}", units::count(plan.own_devices().into()), plan.shard)
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

fn stage_rows(rows: &mut Rows, facts: &StageFacts<'_>, all: &RunFacts<'_>) {
    let StageFacts { stage, planned, classes, quotas: _ } = facts;
    let PlannedStage { name, kind, workload, devices, start, last_due, arrivals, step, peak_per_second } = planned;
    let mut who = format!("{name} ({kind}), {} devices", units::count((*devices).into()));
    if all.scenario.fleet.classes.len() > 1 {
        let each = classes.iter().map(|(class, count)| format!("{} {}", units::count((*count).into()), class.name));
        let _ = write!(who, ": {}", each.collect::<Vec<_>>().join(", "));
    }
    rows.row("stage", &who);
    let shard = all.plan.shard;
    match stage.workload {
        Workload::Closed { concurrency } if !shard.is_whole() => {
            rows.row("workload", &format!("{workload} on all shards together, {} on this one", shard.of(concurrency)));
        }
        _ => rows.row("workload", workload),
    }
    let scale = all.plan.time_scale;
    if let Some(begins) = begins(&stage.start, *start, all) {
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
}

/// When a stage begins, unless that goes without saying.
fn begins(from: &Start, start: Option<Duration>, all: &RunFacts<'_>) -> Option<String> {
    let name = |stage: &usize| all.scenario.stages.get(*stage).map_or("", |stage| stage.name.as_str());
    let relation = match from {
        Start::At(delay) if delay.is_zero() => return None,
        Start::At(_) => return start.map(|start| format!("after {}", both_times(start, all.plan.time_scale))),
        Start::After { stages, .. } => {
            let names: Vec<&str> = stages.iter().map(name).collect();
            format!("after {} {} ended", units::listed(&names), if names.len() == 1 { "has" } else { "have" })
        }
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

/// What all stages together ask for: they share the service.
fn quota_rows(rows: &mut Rows, facts: &RunFacts<'_>) {
    if !facts.quotas_declared {
        rows.row("quotas", "none declared, nothing to check: see [quotas] of the scenario");
    }
    // Quotas are the service's, whoever asks.
    let together = match facts.plan.shard {
        shard if shard.is_whole() => String::new(),
        shard => format!(" (all {} shards together)", shard.count()),
    };
    for check in &facts.quotas {
        rows.row("quota", &format!("{}{together}", quotas::words(check, facts.scenario)));
    }
}

fn need_rows(rows: &mut Rows, facts: &RunFacts<'_>) {
    let several = facts.keys.len() > 1;
    for KeyWork { class, keys, csrs, cpu } in &facts.keys {
        let of = if several { format!(" of {}", class.name) } else { String::new() };
        let pairs = if *keys == 1 { "1 key pair".to_owned() } else { format!("{} key pairs", units::count(*keys)) };
        let each = units::duration(cpu.checked_div(u32::try_from(*csrs).unwrap_or(u32::MAX)).unwrap_or_default());
        let (csrs, cpu) = (units::count(*csrs), units::duration(*cpu));
        let algorithm = class.key_algorithm;
        rows.row("keys", &format!("{pairs} ({algorithm}) and {csrs} CSRs{of}: typically {cpu} of CPU, {each} each"));
    }
    let before = facts.key_time.before;
    // Less is not worth a line.
    if before >= Duration::from_secs(1) {
        let cores = match facts.key_time.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        rows.row(
            "prepare",
            &format!("about {} on {cores} to make keys before the run begins", units::duration(before)),
        );
    }
    for late in &facts.key_time.late {
        rows.row("late keys", &late_words(late, facts));
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

fn late_words(late: &LateKeys, facts: &RunFacts<'_>) -> String {
    let LateKeys { stage, first, longest, devices, dropped } = *late;
    let name = facts.scenario.stages.get(stage).map_or("", |stage| stage.name.as_str());
    let cores = match facts.key_time.cores {
        1 => "even when the one core does nothing else".to_owned(),
        cores => format!("even when all {cores} cores do nothing else"),
    };
    let start = if devices == 1 {
        "1 device starts late".to_owned()
    } else {
        format!("{} devices start late", units::count(devices))
    };
    let drops = if dropped > 0 { format!(", {} of them are dropped", units::count(dropped)) } else { String::new() };
    let before = facts.scenario.stages.get(stage).is_some_and(key_time::may_be_before);
    let time = match (first, before) {
        (true, _) => "raise limits.prepare, ",
        (false, true) => "raise limits.prepare, begin it later, ",
        (false, false) => "begin it later, ",
    };
    let longest = units::duration(longest);
    format!(
        "WARNING: {name} needs keys faster than they can be made: about {longest} late at worst, {cores}, and about {start}{drops}; \
         {time}spread it over longer, use a key_algorithm on elliptic curves or keys = \"shared\", or divide the run into shards"
    )
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

fn takes(facts: &RunFacts<'_>) -> String {
    let keys = facts.key_cpu();
    let keys = if keys >= Duration::from_secs(1) {
        format!(", beside about {} of CPU for keys", units::duration(keys))
    } else {
        String::new()
    };
    match facts.least_duration() {
        Some(least) if let Some(busy) = facts.busy_until() => format!(
            "{} until the last is due, about {} until this machine is expected to be through with them, and the time of the last answers{keys}",
            units::duration(least),
            units::duration(busy)
        ),
        None => "as long as the target needs: a closed workload starts a device when another is done".to_owned(),
        Some(Duration::ZERO) => format!("as long as the target needs to answer{keys}"),
        Some(least) => format!("{} and the time of the last answers{keys}", units::duration(least)),
    }
}
