//! The tables `[[stage]]`.

use std::path::Path;
use std::time::Duration;

use super::{LONGEST, arrival, name_of};
use crate::domain::{FleetTime, named};
use crate::scenario::stage::{Head, Origin};
use crate::scenario::{Arrival, Fleet, Operate, Policy, Stage, StageKind, Start, Workload};
use crate::settings::Section;
use crate::settings::expect::{boolean, choice, count, duration, fleet_time, one_of, one_or_some_of, some_of};

/// What stages are read against. Parts that could not be read are `None`, and what depends on them is not judged.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The folder of the scenario file.
    pub(super) folder: &'a Path,
    pub(super) fleet: Option<&'a Fleet>,
    pub(super) policy: Option<&'a Policy>,
}

named! {
    enum Shape {
        Open = "open",
        Closed = "closed",
    }
}
/// Nothing ever starts at the very moment when it is due.
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// All stages if nothing is wrong with any, and in any case what they are called.
pub(super) fn read_all(sections: Vec<Section<'_>>, around: Surroundings<'_>) -> (Option<Vec<Stage>>, Vec<Head>) {
    let mut heads = Vec::with_capacity(sections.len());
    let stages: Vec<Option<Stage>> = sections.into_iter().map(|section| read(section, around, &mut heads)).collect();
    (stages.into_iter().collect(), heads)
}

fn read(mut section: Section<'_>, around: Surroundings<'_>, before: &mut Vec<Head>) -> Option<Stage> {
    let name = section.required("name", &name_of("stage"));
    match name.as_deref() {
        Some("all") => section.problem("name", "is what thresholds call all stages", "take another name"),
        Some(name) if before.iter().any(|b| b.name.as_deref() == Some(name)) => {
            section.problem("name", "is the name of another stage too", "give every stage its own name");
        }
        _ => {}
    }
    let kind = section.required("kind", &choice(&StageKind::NAMED));
    let start = read_start(&mut section, before);
    let origin = start.as_ref().and_then(|start| Origin::of(start, |stage| before.get(stage)?.origin.as_ref()));
    let classes = read_classes(&mut section, around.fleet);
    let workload = read_workload(&mut section, kind, classes.as_deref(), around);
    let timeout = section.or("timeout", "2m", &duration(SECOND..=HOUR));
    let hub = read_hub(&mut section, kind);
    let operate = read_operate(&mut section, kind);
    if let (Some(kind), Some(classes), Some(fleet)) = (kind, &classes, around.fleet) {
        check_credentials(&section, kind, classes, fleet, before);
        check_beside(&mut section, kind, classes, origin.as_ref(), before);
    }
    section.finish();
    let provisions = if kind == Some(StageKind::Provision) { classes.clone().unwrap_or_default() } else { Vec::new() };
    before.push(Head { name: name.clone(), kind, provisions, origin });
    let (hub_connect, telemetry, keep_connected) = hub?;
    Some(Stage {
        name: name?,
        kind: kind?,
        start: start?,
        classes: classes?,
        workload: workload?,
        timeout: timeout?,
        hub_connect,
        telemetry,
        keep_connected,
        operate: operate?,
    })
}

fn read_start(section: &mut Section<'_>, before: &[Head]) -> Option<Start> {
    let names: Vec<String> = before.iter().filter_map(|b| b.name.clone()).collect();
    // The index among stages that have a name is not that among all.
    let index_of = |nth: usize| before.iter().enumerate().filter(|(_, b)| b.name.is_some()).nth(nth).map(|(i, _)| i);
    let after = section.optional("after", &one_or_some_of("earlier stage", names.clone()));
    let with = section.optional("with", &one_of("earlier stage", names));
    let delay = section.or("delay", "0s", &fleet_time(FleetTime::ZERO..=LONGEST));
    let (after, with, delay) = (after?, with?, delay?);
    match (after, with) {
        (Some(_), Some(_)) => {
            section.problem(
                "with",
                "contradicts `after`: a stage has one start",
                "keep `after` (begin at its end) or `with` (beside it)",
            );
            None
        }
        (Some(all), None) => {
            let stages: Option<Vec<usize>> = all.into_iter().map(index_of).collect();
            stages.map(|stages| Start::After { stages, delay })
        }
        (None, Some(nth)) => index_of(nth).map(|stage| Start::With { stage, delay }),
        (None, None) if before.is_empty() => Some(Start::At(delay)),
        (None, None) => Some(Start::After { stages: (0..before.len()).collect(), delay }),
    }
}

/// What begins together with the provisioning of its own devices, or before it, finds none that has a certificate.
fn check_beside(
    section: &mut Section<'_>,
    kind: StageKind,
    classes: &[usize],
    origin: Option<&Origin>,
    before: &[Head],
) {
    let Some(origin) = origin.filter(|_| kind.needs_credential()) else { return };
    let comes_too_late = |class: &usize| {
        let mut provided = before.iter().filter(|head| head.provisions.contains(class)).peekable();
        let too_late = |head: &Head| head.origin.as_ref().is_some_and(|provision| origin.is_never_after(provision));
        // A class that nobody provisions is another problem.
        provided.peek().is_some() && provided.all(too_late)
    };
    if classes.iter().any(comes_too_late) {
        let (key, help) = if section.has("with") {
            ("with", "use `after`, or give it a `delay` in which they get one")
        } else {
            ("after", "name the stage that provisions them too, or give it a `delay` in which they get one")
        };
        section.problem(
            key,
            "begins when its devices have no certificate yet, so that they would have nothing to do",
            help,
        );
    }
}

fn read_classes(section: &mut Section<'_>, fleet: Option<&Fleet>) -> Option<Vec<usize>> {
    let Some(fleet) = fleet else {
        section.knows("classes");
        return None;
    };
    let names = fleet.classes.iter().map(|class| class.name.clone()).collect();
    let all = (0..fleet.classes.len()).collect();
    section.inherit("classes", all, &some_of("classes of the fleet", names))
}

fn read_workload(
    section: &mut Section<'_>,
    kind: Option<StageKind>,
    classes: Option<&[usize]>,
    around: Surroundings<'_>,
) -> Option<Workload> {
    match section.or("workload", "open", &choice(&Shape::NAMED)) {
        Some(Shape::Open) => {
            section.refuse("concurrency", "has no meaning in an open workload", "use workload = \"closed\"");
            let max_lateness = read_max_lateness(section);
            let arrival = if section.has("arrival") {
                read_arrival(section, kind, classes, around)
            } else {
                let help = "add arrival = \"at-once\", or arrival = { process = \"constant\", rate = \"100/s\" }";
                section.problem("arrival", "is missing", help);
                None
            };
            Some(Workload::Open { arrival: arrival?, max_lateness: max_lateness? })
        }
        Some(Shape::Closed) => {
            let why = "has no meaning in a closed workload, where the service decides when the next device comes";
            section.refuse("arrival", why, "use workload = \"open\", or leave it out");
            section.refuse("max_lateness", why, "use workload = \"open\", or leave it out");
            if kind == Some(StageKind::Operate) {
                let why = "cannot be \"closed\" for operate: no device makes room for the next one";
                section.problem("workload", why, "leave it out, and say with `arrival` how devices connect");
            }
            read_concurrency(section).map(|concurrency| Workload::Closed { concurrency })
        }
        None => {
            if section.has("arrival") {
                read_arrival(section, kind, classes, around);
            }
            section.may_have(|section| {
                read_max_lateness(section);
                read_concurrency(section);
            });
            None
        }
    }
}

fn read_max_lateness(section: &mut Section<'_>) -> Option<Duration> {
    section.or("max_lateness", "5s", &duration(MILLISECOND..=HOUR))
}

fn read_concurrency(section: &mut Section<'_>) -> Option<u32> {
    section.required("concurrency", &count(1..=1_000_000))
}

fn read_arrival(
    section: &mut Section<'_>,
    kind: Option<StageKind>,
    classes: Option<&[usize]>,
    around: Surroundings<'_>,
) -> Option<Arrival> {
    let devices = around.fleet.zip(classes).map(|(fleet, classes)| fleet.devices_in(classes));
    let needs = arrival::ArrivalContext { kind, devices, folder: around.folder, policy: around.policy };
    arrival::read(section.section("arrival"), &needs)
}

/// Whether devices connect with the hub, send telemetry there and stay.
fn read_hub(section: &mut Section<'_>, kind: Option<StageKind>) -> Option<(bool, bool, bool)> {
    let keep_connected = section.or("keep_connected", "false", &boolean());
    if kind == Some(StageKind::Operate) {
        section.refuse("hub_connect", "has no meaning for operate: its devices are connected", "leave it out");
        section.refuse(
            "telemetry",
            "has no meaning for operate",
            "say with telemetry_every = \"10s\" how often devices send",
        );
        return Some((true, false, keep_connected?));
    }
    let hub_connect = section.or("hub_connect", "true", &boolean());
    let without = hub_connect == Some(false);
    let telemetry = section.or("telemetry", if without { "false" } else { "true" }, &boolean());
    if without && kind == Some(StageKind::Reconnect) {
        section.problem("hub_connect", "cannot be false for reconnect: nothing would be left", "leave it out");
    } else if without {
        for (key, set) in [("telemetry", telemetry), ("keep_connected", keep_connected)] {
            if set == Some(true) {
                section.problem(
                    key,
                    "needs a connection to the hub, but hub_connect is false",
                    &format!("set hub_connect = true or {key} = false"),
                );
            }
        }
    }
    Some((hub_connect?, telemetry?, keep_connected?))
}

/// `Some(None)` for all kinds but operate.
fn read_operate(section: &mut Section<'_>, kind: Option<StageKind>) -> Option<Option<Operate>> {
    match kind {
        Some(StageKind::Operate) => {
            let duration = section.required("duration", &fleet_time(FleetTime::from_secs(1)..=LONGEST));
            let telemetry_every = section.optional("telemetry_every", &fleet_time(FleetTime::from_millis(1)..=LONGEST));
            Some(Some(Operate { duration: duration?, telemetry_every: telemetry_every? }))
        }
        Some(_) => {
            let help = "use kind = \"operate\" to hold connections for a time, or leave it out";
            section.refuse("duration", "has a meaning only for operate: other stages end with their devices", help);
            section.refuse("telemetry_every", "has a meaning only for operate", help);
            Some(None)
        }
        // What belongs here depends on the kind.
        None => {
            section.knows("duration");
            section.knows("telemetry_every");
            None
        }
    }
}

/// Devices that have no certificate yet can only be provisioned.
fn check_credentials(section: &Section<'_>, kind: StageKind, classes: &[usize], fleet: &Fleet, before: &[Head]) {
    if !kind.needs_credential() {
        return;
    }
    let missing: Vec<&str> = classes
        .iter()
        .filter(|class| !before.iter().any(|b| b.provisions.contains(class)))
        .filter_map(|class| fleet.classes.get(*class))
        .map(|class| class.name.as_str())
        .collect();
    if missing.is_empty() {
        return;
    }
    let of = match fleet.classes.as_slice() {
        [_] => "its devices".to_owned(),
        _ => format!("devices of class \"{}\"", missing.join("\", \"")),
    };
    section.problem(
        "kind",
        &format!("is {kind}, but no earlier stage provisions {of}"),
        "put a stage with kind = \"provision\" for them before it",
    );
}

#[cfg(test)]
mod tests {
    use crate::scenario::tests::{told, told_of};

    #[test]
    fn a_name_is_that_of_one_stage() {
        let all = "`stage.all.name` is what thresholds call all stages";
        assert_eq!(told(&[("stage.again.name", "all")]), [all]);
        assert_eq!(told(&[("stage.again.name", "first")]), ["`stage.first.name` is the name of another stage too"]);
    }

    #[test]
    fn devices_without_a_certificate_have_nothing_to_renew() {
        let nobody = "is renew, but no earlier stage provisions";
        let alone = told(&[("stage.first.kind", "renew"), ("stage.again.kind", "provision")]);
        assert_eq!(alone, [format!("`stage.first.kind` {nobody} its devices")]);
        let classes = ("fleet.class", "[{ name = 'a' }, { name = 'b' }, { name = 'c' }]");
        let others = [classes, ("stage.first.classes", "['b']"), ("stage.again.kind", "renew")];
        assert_eq!(told(&others), [format!("`stage.again.kind` {nobody} devices of class \"a\", \"c\"")]);
        let theirs = [others[0], others[1], others[2], ("stage.again.classes", "['b']")];
        assert_eq!(told(&theirs), [""; 0]);
    }

    #[test]
    fn what_begins_together_with_the_provisioning_of_its_devices_is_too_early() {
        let too_early = "begins when its devices have no certificate yet, so that they would have nothing to do";
        let with = ("stage.again.with", "first");
        assert_eq!(told(&[with]), [format!("`stage.again.with` {too_early}")]);
        assert_eq!(told(&[with, ("stage.again.delay", "1s")]), [""; 0]);
        let text = "schema = 1\nname = 'x'\nfleet.devices = 9\n\
            [[stage]]\nname = 'a'\nkind = 'provision'\narrival = 'at-once'\n\
            [[stage]]\nname = 'b'\nkind = 'renew'\narrival = 'at-once'\nwith = 'a'\n";
        assert_eq!(told_of("x.toml", text, &[]), [format!("`stage.b.with` {too_early}")]);
    }
}
