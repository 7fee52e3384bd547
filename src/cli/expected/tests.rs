use super::*;

fn machine(cores: usize) -> Machine {
    Machine { cpu: "Example CPU".to_owned(), cores, ..Machine::default() }
}

fn plan(stages: &str) -> (Scenario, Plan) {
    let text = format!("schema = 1\nname = 'x'\n{stages}");
    let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
    let plan = Plan::new(&scenario, 1);
    (scenario, plan)
}

/// What is expected where every stage takes 2.05 ms of two cores, so that they do 650 a second.
fn expected(stages: &str) -> Expected {
    let (scenario, plan) = plan(stages);
    let cost = Cost {
        generator: Duration::from_micros(1_040),
        emulator: Some(Duration::from_micros(1_010)),
        source: Source::Runs { runs: 3, factors: [1.1, 0.9] },
    };
    let rates = vec![Some(rate(cost, 2.0)); scenario.stages.len()];
    with(&scenario, &plan, rates)
}

fn with(scenario: &Scenario, plan: &Plan, rates: Vec<Option<Rate>>) -> Expected {
    let mut expected = Expected::of(scenario, plan, &machine(2), &Remembered::default());
    let (behind, ends) = fall_behind(scenario, plan, &rates);
    for ((stage, rate), behind) in expected.stages.iter_mut().zip(rates).zip(behind) {
        (stage.rate, stage.behind) = (rate, behind);
    }
    Expected { ends, ..expected }
}

const STORM: &str = "fleet.devices = 10000\n[[stage]]\nname = 'storm'\nkind = 'provision'\n\
                     arrival = { process = 'spread', over = '2s' }\n";

#[test]
fn ten_thousand_devices_in_two_seconds_are_too_many() {
    let expected = expected(STORM);
    let stage = &expected.stages[0];
    assert_eq!(stage.keeps_up(), Some(false));
    assert!(expected.ends.is_some_and(|ends| (15..16).contains(&ends.as_secs())), "{:?}", expected.ends);
    insta::assert_snapshot!("too_fast", format!("{}\n{}", expected.words(stage), expected.warnings().join("\n")));
}

#[test]
fn what_it_keeps_up_with_is_no_warning() {
    let slow = STORM.replace("2s", "20s");
    let expected = expected(&slow);
    assert_eq!((expected.stages[0].keeps_up(), expected.warnings()), (Some(true), Vec::new()));
}

#[test]
fn everybody_at_once_is_told_what_it_takes() {
    let expected =
        expected("fleet.devices = 5000\n[[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n");
    insta::assert_snapshot!("at_once", expected.warnings().join("\n"));
}

#[test]
fn stages_beside_each_other_share_the_cores_and_those_after_another_do_not() {
    let two = |relation: &str| {
        expected(&format!(
            "fleet.devices = 8000\n[[fleet.class]]\nname = 'a'\n[[fleet.class]]\nname = 'b'\n\
             [[stage]]\nname = 'one'\nkind = 'provision'\nclasses = ['a']\narrival = {{ process = 'spread', over = '10s' }}\n\
             [[stage]]\nname = 'two'\nkind = 'provision'\nclasses = ['b']\n{relation}\n\
             arrival = {{ process = 'spread', over = '10s' }}\n"
        ))
    };
    let keep_up = |expected: Expected| expected.stages.iter().map(ExpectedStage::keeps_up).collect::<Vec<_>>();
    assert_eq!(keep_up(two("with = 'one'")), [Some(false); 2], "400/s each");
    assert_eq!(keep_up(two("after = 'one'")), [Some(true); 2]);
}

#[test]
fn what_is_not_known_is_not_said_to_be_enough() {
    let (scenario, plan) = plan(STORM);
    let unknown = with(&scenario, &plan, vec![None]);
    assert_eq!((unknown.stages[0].keeps_up(), unknown.ends), (None, None));
    assert!(unknown.warnings().is_empty());
    assert!(unknown.words(&unknown.stages[0]).starts_with("not known what this machine can do"));
    // A closed workload asks for nothing by itself.
    let closed = expected(
        "fleet.devices = 5000\n[[stage]]\nname = 's'\nkind = 'provision'\nworkload = 'closed'\nconcurrency = 10\n",
    );
    assert_eq!((closed.stages[0].keeps_up(), closed.ends), (None, None));
    assert!(closed.words(&closed.stages[0]).starts_with("expected to do about 650/s"));
}

#[test]
fn one_side_on_this_machine_is_another_figure_than_both() {
    let cost = |emulator| Cost { generator: Duration::from_millis(1), emulator, source: Source::Documented };
    let (alone, both) = (rate(cost(None), 2.0), rate(cost(Some(Duration::from_millis(1))), 2.0));
    assert!((alone.per_second / both.per_second - 2.0).abs() < 1e-9);
    assert_eq!(alone.bounds, [alone.per_second / 2.0, alone.per_second * 2.0]);
    let (scenario, plan) = plan(STORM);
    let told = |rate| {
        let expected = with(&scenario, &plan, vec![Some(rate)]);
        expected.words(&expected.stages[0])
    };
    insta::assert_snapshot!("documented", format!("{}\n{}", told(both), told(alone)));
}
