use super::*;

/// A hundred devices that are provisioned twice.
pub(super) const STAGES: &str = "schema = 1\nname = 'x'\nfleet.devices = 100\n\
    [[stage]]\nname = 'first'\nkind = 'provision'\narrival = 'at-once'\n\
    [[stage]]\nname = 'again'\nkind = 'reprovision'\narrival = 'at-once'\n";

/// What is wrong with a file of that name once the overrides are laid over it.
pub(super) fn told_of(name: &str, text: &str, sets: &[(&str, &str)]) -> Vec<String> {
    let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    match Scenario::parse(name, text, &sets) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.message().to_owned()).collect(),
    }
}

/// What is told of [`STAGES`].
pub(super) fn told(sets: &[(&str, &str)]) -> Vec<String> {
    told_of("x.toml", STAGES, sets)
}

#[test]
fn limits_are_let_in_and_what_is_beyond_them_is_told() {
    let suggested =
        |from: &str| format!("{{ process = 'from-expiry', strategy = 'suggested', suggested_from = '{from}' }}");
    let spread = |jitter: &str| format!("{{ process = 'spread', over = '10s', jitter = '{jitter}' }}");
    let threshold = |bound: &str| format!("['first.total.count < {bound}']");
    for (key, limit, beyond, told_of) in [
        ("stage.again.delay", "366d", "366d 1ns", "a time from 0s to 366d"),
        ("fleet.token_life", "7320d", "7320d 1ns", "a time from 1s to 7320d"),
        ("fleet.token_life", "30s", "29s 999ms", "is only 29s 999ms of real time"),
        ("policy.validity", "P90D", "P90DT1S", "a time from 1s to 90d"),
        ("policy.renewal_window", "30d", "30d 1s", "of 2592001s is longer than policy.validity, 30d"),
        ("stage.again.arrival", &spread("10s"), &spread("10s 1ms"), "of 10001ms is longer than the window itself, 10s"),
        ("stage.again.arrival", &suggested("30d"), &suggested("30d 1ms"), "policy.validity is 30d"),
        (
            "thresholds",
            &threshold("9007199254740992"),
            &threshold("9007199254740993"),
            "is not what this is counted in",
        ),
        ("fleet.class", &classes(32), &classes(33), "are 33, but a fleet has at most 32"),
    ] {
        assert_eq!(told(&[(key, limit)]), Vec::<String>::new(), "{key} = {limit}");
        let sets = [(key.to_owned(), beyond.to_owned())];
        let problems = Scenario::parse("x.toml", STAGES, &sets).expect_err(beyond);
        let all: Vec<_> = problems.iter().map(|p| format!("{p}: {}", p.remedy().unwrap_or_default())).collect();
        assert!(all.len() == 1 && all[0].contains(told_of), "{key} = {beyond}: {all:?}");
    }
}

fn classes(count: u32) -> String {
    let classes: Vec<String> = (0..count).map(|class| format!("{{ name = 'c{class}' }}")).collect();
    format!("[{}]", classes.join(", "))
}

#[test]
fn what_was_written_is_told_as_it_stands() {
    for (key, value, problem) in [
        ("fleet.devices", "'many'", "`fleet.devices` cannot be \"many\""),
        ("fleet.devices", "[1, 2]", "`fleet.devices` cannot be a list"),
        ("fleet.devices", "{ all = 5 }", "`fleet.devices` cannot be a table"),
        ("fleet.devices", "2.5", "`fleet.devices` cannot be 2.5"),
        (
            "stage.again.after",
            "['first', 'first']",
            "`stage.again.after` cannot be [first, first]: it names \"first\" twice",
        ),
    ] {
        assert_eq!(told(&[(key, value)]), [problem], "{key} = {value}");
    }
}
