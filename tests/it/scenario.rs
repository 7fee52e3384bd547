//! Scenario files: what they say, and how they are refused.

mod docs;
mod reference;
mod schema;
mod unknown;

use std::path::Path;

use fleetstorm::domain::{FleetTime, KeyAlgorithm, Origin, QuotaLimits, TlsVersions};
use fleetstorm::scenario::{Arrival, Rate, Scenario, Start, TargetAddress, Workload};
use fleetstorm::settings::Problems;

const SMALLEST: &str = r#"
schema = 1
name = "small"

[fleet]
devices = 10

[[stage]]
name = "first"
kind = "provision"
arrival = "at-once"
"#;

fn parse(text: &str, sets: &[(&str, &str)]) -> Result<Scenario, Problems> {
    let sets: Vec<(String, String)> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Scenario::parse("storm.toml", text, &sets)
}

/// Every problem as one line with its place, and its remedy.
fn problems(text: &str, sets: &[(&str, &str)]) -> String {
    lines(&parse(text, sets).expect_err("it has problems"))
}

fn lines(problems: &Problems) -> String {
    let mut out = String::new();
    for problem in problems.iter() {
        let (name, line, column) = problem.location().unwrap_or_default();
        out += &format!("{name}:{line}:{column}: {}\n", problem.message());
        out += &format!("    {}\n", problem.remedy().unwrap_or("NO REMEDY"));
    }
    out
}

#[test]
fn a_small_file_takes_defaults_and_says_where_each_value_came_from() {
    let scenario = parse(SMALLEST, &[("fleet.tls", "1.2"), ("stage.first.timeout", "30s"), ("seed", "7")]).unwrap();
    assert_eq!((scenario.fleet.devices, scenario.seed), (10, Some(7)));
    assert_eq!(scenario.fleet.classes[0].key_algorithm, KeyAlgorithm::EcdsaP256);
    assert_eq!(scenario.fleet.classes[0].tls, TlsVersions::Tls12);
    assert_eq!(scenario.target.address, TargetAddress::Embedded);
    let settings: Vec<String> =
        scenario.settings.iter().map(|s| format!("{} = {} ({:?})", s.key, s.value, s.origin)).collect();
    insta::assert_snapshot!(settings.join("\n"));
    assert!(scenario.settings.iter().any(|s| s.origin == Origin::CommandLine));
}

#[test]
fn overrides_address_stages_by_name_and_index_and_replace_whole_tables() {
    let by_name = parse(SMALLEST, &[("stage.first.arrival", "{ process = \"constant\", rate = 5 }")]).unwrap();
    let by_index = parse(SMALLEST, &[("stage.0.arrival", "{ process = \"constant\", rate = \"300/min\" }")]).unwrap();
    let Workload::Open { arrival, .. } = &by_name.stages[0].workload else { panic!("open") };
    assert_eq!(arrival, &Arrival::Constant { rate: Rate::per_second_exact(5) });
    assert_eq!(by_name.stages, by_index.stages);
}

#[test]
fn a_file_with_many_mistakes_reports_all_of_them() {
    let text = r#"schema = 2
name = "all wrong"
qestion = "?"
seed = -1

[fleet]
devices = 0
registration_id = "device"
key_algorithm = "ecdsa-256"
crypto_provider = "openssl"
keys = true
tls = "1.1"

[[stage]]
kind = "provison"
workload = "open"
arrival = "constant"
max_lateness = 5
concurrency = 7
hub_connect = false
telemetry = true

[[stage]]
name = "closed"
kind = "provision"
workload = "closed"
arrival = "at-once"
timeout = "P1M"

[[stage]]
name = "closed"
kind = "provision"
arrival = { process = "ramp", points = [{ at = "1s", rate = "many" }, { at = "0s", rate = "-3/s" }], rate = 3 }

[limits]
max_inflight = 12
drain = "forever"

[target]
address = "dps.example.net"

[telemetry]
every = "5s"
"#;
    insta::assert_snapshot!(problems(
        text,
        &[("fleet.dvices", "4"), ("stage.3.name", "x"), ("fleet.tls.min", "1.2"), (".", "")]
    ));
}

fn described(scenario: &Scenario) -> String {
    let settings: Vec<String> =
        scenario.settings.iter().map(|s| format!("{} = {} ({})", s.key, s.value, s.origin.name())).collect();
    let without = Scenario { settings: Vec::new(), ..scenario.clone() };
    format!("{without:#?}\n{}", settings.join("\n"))
}

#[test]
fn a_file_with_every_key_reads_into_what_it_means() {
    let sets =
        [("emulator.faults.pause.for_seconds", "2"), ("fleet.behaviour.attempts", "6"), ("stage.live.delay", "P3D")];
    let sets: Vec<(String, String)> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let scenario = Scenario::load(Path::new("tests/it/scenario/full.toml"), &sets, fleetstorm::emulator::read_within)
        .unwrap_or_else(|problems| panic!("{}", problems_of(&problems)));
    insta::assert_snapshot!(described(&scenario));
}

#[test]
fn every_mistake_in_every_table_is_reported_at_once() {
    let refused = Scenario::load(Path::new("tests/it/scenario/wrong.toml"), &[], fleetstorm::emulator::read_within)
        .expect_err("it is all wrong");
    insta::assert_snapshot!(lines(&refused));
}

#[test]
fn class_shares_are_exact_and_stages_know_their_devices() {
    let scenario =
        Scenario::load(Path::new("tests/it/scenario/full.toml"), &[], fleetstorm::emulator::read_within).unwrap();
    let fleet = &scenario.fleet;
    let devices: Vec<u32> = scenario.stages.iter().map(|stage| fleet.devices_in(&stage.classes)).collect();
    assert_eq!(devices, [400, 400, 320, 80, 400, 400, 400]);
    let rsa = (0..fleet.devices).filter(|device| fleet.class_of(*device).name == "rsa").count();
    assert_eq!(rsa, 80);
}

#[test]
fn token_life_follows_the_scale_and_outlives_an_attempt() {
    let life = |sets: &[(&str, &str)]| parse(SMALLEST, sets).map(|scenario| scenario.fleet.token_life.as_secs());
    assert_eq!(life(&[]).unwrap(), 3_600);
    assert_eq!(life(&[("time_scale", "2")]).unwrap(), 3_600);
    assert_eq!(life(&[("time_scale", "1d = 1s")]).unwrap(), 600 * 86_400);
    insta::assert_snapshot!(problems(SMALLEST, &[("time_scale", "1d = 1s"), ("fleet.token_life", "P7D")]), @"
    --set:1:18: `fleet.token_life` is only 7s of real time: an attempt may take longer than its SAS token would live
        make it at least 30d of fleet time, or lower time_scale (1d = 1s)
    ");
}

#[test]
fn a_stage_begins_after_all_before_it_unless_it_says_otherwise() {
    let more: String = ["second", "third"]
        .map(|name| format!("\n[[stage]]\nname = \"{name}\"\nkind = \"reconnect\"\narrival = \"at-once\"\n"))
        .concat();
    let text = format!("{SMALLEST}{more}");
    let starts = |sets: &[(&str, &str)]| -> Vec<Start> {
        parse(&text, sets).unwrap().stages.into_iter().skip(1).map(|stage| stage.start).collect()
    };
    let start = |sets| starts(sets).swap_remove(0);
    let (zero, second) = (FleetTime::ZERO, FleetTime::from_secs(1));
    let after = |stages: &[usize], delay| Start::After { stages: stages.to_vec(), delay };
    assert_eq!(starts(&[]), [after(&[0], zero), after(&[0, 1], zero)]);
    // One that runs beside another is waited for like any other.
    assert_eq!(starts(&[("stage.second.with", "first"), ("stage.second.delay", "1s")])[1], after(&[0, 1], zero));
    assert_eq!(start(&[("stage.second.delay", "1s")]), after(&[0], second));
    for (named, stages) in [("first", &[0][..]), ("[\"second\"]", &[1]), ("[\"second\", \"first\"]", &[0, 1])] {
        assert_eq!(starts(&[("stage.third.after", named)])[1], after(stages, zero), "{named}");
    }
    assert_eq!(
        start(&[("stage.second.with", "first"), ("stage.second.delay", "1s")]),
        Start::With { stage: 0, delay: second }
    );
    assert_eq!(parse(SMALLEST, &[("stage.0.delay", "1s")]).unwrap().stages[0].start, Start::At(second));
}

#[test]
fn quotas_are_a_profile_and_what_differs_from_it() {
    let sets = [("quotas.profile", "hub-s1"), ("quotas.registrations_per_minute", "0")];
    let quotas = parse(SMALLEST, &sets).unwrap().quotas;
    assert_eq!((quotas.registrations_per_minute, quotas.hub_connections_per_second), (None, Some(100)));
    assert_eq!(parse(SMALLEST, &[]).unwrap().quotas, QuotaLimits::NONE);
}

#[test]
fn contradictions_between_valid_values_are_problems() {
    let ring = [("fleet.crypto_provider", "ring"), ("fleet.key_algorithm", "rsa-2048")];
    insta::assert_snapshot!(problems(SMALLEST, &ring), @r#"
    --set:1:21: `fleet.key_algorithm` cannot be rsa-2048 with crypto_provider = "ring", which does not generate RSA keys
        use crypto_provider = "aws-lc-rs", or an ECDSA key_algorithm
    "#);
    let short = [(
        "stage.0.arrival",
        "{ process = \"ramp\", points = [{ at = \"0s\", rate = 1 }, { at = \"4s\", rate = 0 }] }",
    )];
    insta::assert_snapshot!(problems(SMALLEST, &short), @"
    --set:1:46: `stage.first.arrival.points` let 2 devices come, then the rate stays at zero, but 10 devices take part
        end at a rate above zero, raise the rates, or lower fleet.devices
    ");
}

#[test]
fn stages_and_classes_that_do_not_fit_together_are_problems() {
    let text = r#"
schema = 1
name = "unfit"

[fleet]
devices = 10
key_algorithm = "rsa-2048"
bootstrap_dir = "pki"

[[fleet.class]]
name = "old"
keys = "seeded"
bootstrap_dir = "pki"

[[fleet.class]]
name = "new"
key_algorithm = "ecdsa-p384"

[policy]
validity = "P3D"

[[stage]]
name = "first"
kind = "provision"
classes = ["new"]
arrival = { process = "spike", rate = 0, peak = "1/s", at = "1m", lasts = "3s" }

[[stage]]
name = "renewal"
kind = "renew"
after = "fist"
arrival = { process = "from-expiry", strategy = "suggested" }

[[stage]]
name = "back"
kind = "reconnect"
classes = ["neu", "new"]
arrival = { process = "spike", rate = 5, peak = 5, at = "1m", lasts = "3s" }

[[stage]]
name = "operate"
kind = "operate"
classes = ["new", "new"]
arrival = { process = "from-expiry", strategy = "never" }
duration = "1m"
telemetry = true

[[threshold]]
check = "renewl.expired == 0"
"#;
    insta::assert_snapshot!(problems(text, &[]));
}

#[test]
fn what_is_not_toml_is_reported_with_every_place() {
    insta::assert_snapshot!(problems("schema = \nname = x y\n[fleet\ndevices = 1\n", &[]), @"
    storm.toml:1:10: not valid TOML: string values must be quoted, expected literal string
        text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]
    storm.toml:2:8: not valid TOML: string values must be quoted, expected literal string
        text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]
    storm.toml:3:7: not valid TOML: unclosed table, expected `]`
        text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]
    ");
}

#[test]
fn problems_are_shown_with_the_lines_they_are_in() {
    let text = SMALLEST.replace("devices = 10", "devices = \"ten\"").replace("kind", "knd");
    let refused = parse(&text, &[("limits.workers", "0")]).expect_err("three problems");
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut shown, &refused)
        .unwrap();
    insta::assert_snapshot!(shown);
}

#[test]
fn a_missing_file_is_a_problem_with_its_name() {
    let refused =
        Scenario::load(Path::new("nowhere/x.toml"), &[], fleetstorm::emulator::read_within).expect_err("no such file");
    let problem = refused.iter().next().unwrap();
    assert!(problem.message().starts_with("cannot read nowhere/x.toml: "), "{problem}");
    assert_eq!(problem.location(), None);
}

fn problems_of(problems: &Problems) -> String {
    problems.iter().map(|p| format!("{:?} {p}\n", p.location())).collect()
}

#[test]
fn a_list_of_stages_to_wait_for_names_each_once_and_only_earlier_ones() {
    let second = "\n[[stage]]\nname = \"second\"\nkind = \"reconnect\"\narrival = \"at-once\"\n";
    let text = format!("{SMALLEST}{second}");
    let told = |after| problems(&text, &[("stage.second.after", after)]);
    insta::assert_snapshot!(
        ["[]", "[\"fist\"]", "[\"first\", \"first\"]", "[\"second\"]", "[1]", "1"].map(told).concat()
    );
}

#[test]
fn a_stage_that_begins_before_all_that_provision_its_devices_would_find_none() {
    // Two classes beside each other: `b` is provisioned a while after `a`.
    let text = |start: &str| {
        format!(
            "schema = 1\nname = 'x'\nfleet = {{ devices = 6, class = [{{ name = 'a' }}, {{ name = 'b' }}] }}\n\
             [[stage]]\nname = 'zero'\nkind = 'provision'\nclasses = ['a']\narrival = 'at-once'\n\
             [[stage]]\nname = 'one'\nkind = 'provision'\nclasses = ['a']\narrival = 'at-once'\n\
             [[stage]]\nname = 'two'\nkind = 'provision'\nclasses = ['b']\nwith = 'one'\ndelay = '5s'\narrival = 'at-once'\n\
             [[stage]]\nname = 'back'\nkind = 'reconnect'\nclasses = ['b']\n{start}\narrival = 'at-once'\n"
        )
    };
    for (start, key) in [
        ("with = 'one'", "with"),
        ("with = 'one'\ndelay = '5s'", "with"),
        ("with = 'zero'\ndelay = '2s'", "with"),
        ("after = 'zero'", "after"),
        ("with = 'two'", "with"),
    ] {
        let problems = Scenario::parse("x.toml", &text(start), &[]).expect_err(start);
        let words = format!("`stage.back.{key}` begins when its devices have no certificate");
        assert!(problems.iter().any(|problem| problem.to_string().contains(&words)), "{start}: {problems}");
    }
    for start in
        ["", "with = 'two'\ndelay = '1ms'", "with = 'one'\ndelay = '6s'", "after = ['zero', 'two']", "after = 'one'"]
    {
        let read = Scenario::parse("x.toml", &text(start), &[]);
        assert!(read.is_ok(), "{start}: {:?}", read.err().map(|problems| problems.to_string()));
    }
}

#[test]
fn a_stage_that_begins_with_the_provisioning_of_its_devices_would_find_none() {
    let text = |delay: &str| {
        format!(
            "schema = 1\nname = 'x'\nfleet.devices = 5\n[[stage]]\nname = 'a'\nkind = 'provision'\narrival = 'at-once'\n\
             [[stage]]\nname = 'b'\nkind = 'renew'\nwith = 'a'\n{delay}\narrival = {{ process = 'from-expiry', strategy = 'never' }}\n"
        )
    };
    let problems = Scenario::parse("x.toml", &text(""), &[]).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert!(problem.to_string().contains("`stage.b.with` begins when its devices have no certificate"), "{problem}");
    assert!(Scenario::parse("x.toml", &text("delay = '1s'"), &[]).is_ok());
}
