use proptest::prelude::*;

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;
const F: fn(u64) -> FleetTime = FleetTime::from_secs;

/// A fleet of ten devices; `(name, lines)` of every stage.
fn scenario(scale: u32, stages: &[(&str, &str)]) -> Scenario {
    let mut text = format!(
        "schema = 1\nname = 'x'\nfleet.devices = 10\ntime_scale = {scale}\n\
         policy = {{ validity = '1h', renewal_window = '30m' }}\n"
    );
    for (name, lines) in stages {
        let line = |key: &str, otherwise: &str| match lines.contains(key) {
            true => String::new(),
            false => format!("{otherwise}\n"),
        };
        let spread = "arrival = { process = 'spread', over = '10s' }";
        let kind = line("kind =", "kind = 'provision'");
        let arrival = if lines.contains("workload") { String::new() } else { line("arrival", spread) };
        text += &format!("[[stage]]\nname = '{name}'\n{kind}{arrival}{lines}\n");
    }
    Scenario::parse("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn schedule(scenario: &Scenario) -> Schedule {
    Schedule::new(scenario, 1, Shard::WHOLE)
}

const CHAIN: [(&str, &str); 5] = [
    ("a", "delay = '1s'"),
    ("b", "with = 'a'\ndelay = '2s'"),
    ("c", "after = 'a'"),
    ("d", "after = ['b', 'c']\ndelay = '5s'"),
    ("e", "with = 'd'"),
];

#[test]
fn stages_begin_as_early_as_they_can() {
    let schedule = schedule(&scenario(1, &CHAIN));
    // The last of ten devices is due nine tenths into the ten seconds.
    assert_eq!(schedule.earliest(None), [1, 3, 10, 24, 24].map(F));
    assert_eq!(schedule.earliest(Some((2, F(100)))), [1, 3, 110, 124, 124].map(F));
}

#[test]
fn a_begin_is_known_when_those_are_that_it_hangs_on_and_delays_are_fleet_time() {
    let schedule = schedule(&scenario(10, &CHAIN));
    let mut known = vec![StageTimes::default(); 5];
    let begin = |stage: usize, known: &[StageTimes]| schedule.begin(stage, known);
    assert_eq!(begin(0, &known), Some(S(1) / 10));
    assert_eq!([1, 2, 3, 4, 5].map(|stage| begin(stage, &known)), [None; 5]);
    known[0].begins = Some(S(7));
    assert_eq!([1, 2].map(|stage| begin(stage, &known)), [Some(S(7) + S(2) / 10), None]);
    known[0].ended = Some(S(9));
    (known[1].ended, known[2].ended) = (Some(S(30)), None);
    assert_eq!([2, 3].map(|stage| begin(stage, &known)), [Some(S(9)), None]);
    known[2].ended = Some(S(20));
    assert_eq!(begin(3, &known), Some(S(30) + S(5) / 10), "the last of them");
}

#[test]
fn what_hangs_on_the_end_of_others_is_foreseen_and_not_certain() {
    let mut stages = CHAIN.to_vec();
    stages.push(("closed", "with = 'e'\nworkload = 'closed'\nconcurrency = 2"));
    stages.push(("after", "after = 'closed'\ndelay = '1s'"));
    stages.push(("beside", "with = 'after'"));
    let schedule = schedule(&scenario(1, &stages));
    let begins = (0..8).map(|stage| schedule.foreseen_begin(stage)).collect::<Vec<_>>();
    let (at, not_before) = (|s| Begins::At(S(s)), |s| Begins::NotBefore(S(s)));
    assert_eq!(begins[..6], [at(1), at(3), not_before(10), not_before(24), not_before(24), not_before(24)]);
    assert_eq!(begins[6..], [Begins::NotBefore(Duration::MAX); 2], "nobody can foresee when a closed workload is over");
    assert_eq!((schedule.lasts(5), schedule.foreseen(6)), (None, StageTimes::default()));
}

#[test]
fn only_a_stage_that_hangs_on_the_end_of_no_other_begins_with_the_run_in_any_case() {
    let stages =
        [("a", ""), ("b", "with = 'a'"), ("c", "with = 'a'\ndelay = '1s'"), ("d", "after = 'a'"), ("e", "with = 'b'")];
    let schedule = schedule(&scenario(1, &stages));
    assert_eq!([0, 1, 2, 3, 4].map(|stage| schedule.begins_with_run(stage)), [true, true, false, false, true]);
}

#[test]
fn an_operating_stage_is_over_for_its_devices_when_it_is_to_be() {
    let stages = [("a", "keep_connected = true"), ("o", "kind = 'operate'\nduration = '40s'")];
    let schedule = schedule(&scenario(10, &stages));
    assert_eq!((schedule.until(0, S(3)), schedule.until(1, S(3))), (None, Some(S(7))));
    assert_eq!(schedule.lasts(1), Some(S(4)), "longer than its devices come");
}

#[test]
fn devices_of_a_closed_workload_come_in_their_order_and_are_due_at_no_time() {
    let schedule = schedule(&scenario(1, &[("a", "workload = 'closed'\nconcurrency = 2")]));
    assert_eq!(schedule.who_comes(0).collect::<Vec<_>>(), (0..10).map(|device| (F(0), device)).collect::<Vec<_>>());
    assert_eq!((schedule.who_is_due(0).count(), schedule.arrivals(0).count()), (0, 0));
}

#[test]
fn renewals_follow_from_the_certificates_that_renewals_before_them_have_given() {
    let renewals = "kind = 'renew'\narrival = { process = 'from-expiry', strategy = 'uniform' }";
    let schedule = schedule(&scenario(1, &[("a", ""), ("r", renewals), ("s", renewals)]));
    let of = |stage: usize| {
        let begin = schedule.scale.to_fleet(schedule.foreseen(stage).begins.unwrap());
        let mut due: Vec<_> = schedule.who_is_due(stage).map(|(at, device)| (device, begin + at)).collect();
        due.sort_unstable();
        due
    };
    let (first, second) = (of(1), of(2));
    assert_eq!((first.len(), second.len()), (10, 10));
    for ((device, renewed), (_, again)) in first.iter().zip(&second) {
        // The last half of the hour for which each device's own certificate is good.
        let lasted = again.saturating_sub(*renewed);
        assert!(lasted >= F(30 * 60) && lasted <= F(60 * 60), "device {device}: {lasted:?}");
    }
}

proptest! {
    /// A run whose stages end with their last arrivals, of which nobody knows more than what has happened.
    #[test]
    fn a_run_without_delays_begins_its_stages_when_the_plan_foresees_it(
        starts in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), 0u64..20), 1..8),
        scale in 1u32..50,
    ) {
        let lines = starts.iter().enumerate().map(|(index, (how, other, delay))| match (how, index) {
            (_, 0) | (0, _) => format!("delay = '{delay}s'\n{}", if index > 0 { "with = 's0'" } else { "" }),
            (1, _) => format!("with = 's{}'\ndelay = '{delay}s'", other.index(index)),
            (2, _) => format!("after = 's{}'\ndelay = '{delay}s'", other.index(index)),
            _ => format!("delay = '{delay}s'"),
        });
        let lines: Vec<_> = lines.enumerate().map(|(index, lines)| (format!("s{index}"), lines)).collect();
        let stages: Vec<_> = lines.iter().map(|(name, lines)| (name.as_str(), lines.as_str())).collect();
        let schedule = schedule(&scenario(scale, &stages));
        let mut known = vec![StageTimes::default(); stages.len()];
        let (mut now, mut running) = (Duration::ZERO, 0);
        while running < stages.len() {
            // The next thing that happens, of all that is known now: a begin or an end.
            let next = (0..stages.len()).filter_map(|stage| match known[stage].begins {
                None => Some((schedule.begin(stage, &known)?, stage, false)),
                Some(begins) if known[stage].ended.is_none() => Some((begins + schedule.lasts(stage)?, stage, true)),
                Some(_) => None,
            });
            let (at, stage, ends) = next.min().expect("something is to come");
            prop_assert!(at >= now, "nothing is due in the past");
            now = at;
            if ends {
                known[stage].ended = Some(at);
            } else {
                known[stage].begins = Some(at);
                running += 1;
            }
        }
        for (stage, known) in known.iter().enumerate() {
            prop_assert_eq!(known.begins, schedule.foreseen(stage).begins);
            let as_foreseen = match schedule.foreseen_begin(stage) {
                Begins::At(begin) => known.begins == Some(begin),
                Begins::NotBefore(begin) => known.begins >= Some(begin),
            };
            prop_assert!(as_foreseen);
        }
    }
}
