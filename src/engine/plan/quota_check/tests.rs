use super::*;

use proptest::prelude::*;

use crate::domain::{FleetTime, QuotaProfile};

const ONE: Polls = Polls { count: 1, every: FleetTime::from_secs(3) };

fn seconds(seconds: u64) -> FleetTime {
    FleetTime::from_secs(seconds)
}

fn checks(fleet: &str, stages: &str, limits: &QuotaLimits) -> QuotaChecks {
    let text = format!("schema = 1\nname = 'x'\n{fleet}\n{stages}");
    let scenario = Scenario::parse("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let polls = vec![ONE; scenario.fleet.classes.len()];
    check(&scenario, &Plan::new(&scenario, 1), limits, &polls)
}

/// Classes of a thousand devices each.
fn fleet(classes: &[&str]) -> String {
    let each: String = classes.iter().map(|name| format!("[[fleet.class]]\nname = '{name}'\n")).collect();
    format!("[fleet]\ndevices = {}\n{each}", classes.len() * 1_000)
}

fn stage(name: &str, kind: &str, more: &str) -> String {
    format!("[[stage]]\nname = '{name}'\nkind = '{kind}'\n{more}\n")
}

/// A thousand devices in two and a half minutes: 400 a minute.
const SPREAD: &str = "arrival = { process = 'spread', over = '150s' }";

fn of(checks: &[QuotaCheck], quota: Quota) -> &QuotaCheck {
    checks.iter().find(|check| check.quota == quota).unwrap()
}

fn counts(shares: &[StageCount]) -> Vec<(usize, u64)> {
    shares.iter().map(|share| (share.stage, share.count)).collect()
}

#[test]
fn a_storm_is_over_the_quota_by_all_but_a_full_bucket() {
    let storm = stage("storm", "provision", "arrival = 'at-once'");
    let all = checks("fleet.devices = 5000", &storm, &QuotaProfile::HubS1.limits());
    assert_eq!(all.together, all.stages[0], "one stage is all that there is");
    let found: Vec<_> = all.together.iter().map(|c| (c.quota, c.over, c.shortest_spread.unwrap().as_secs())).collect();
    assert_eq!(
        found,
        [
            (Quota::Registrations, 4_000, 300),
            (Quota::Certificates, 4_500, 600),
            (Quota::HubConnections, 4_900, 50),
            (Quota::Polls, 0, 0)
        ]
    );
    let first = &all.together[0];
    assert_eq!(
        (first.verdict, first.peak, first.first_over),
        (QuotaVerdict::Exceeded, Some(5_000), Some(FleetTime::ZERO))
    );
    assert_eq!(checks("fleet.devices = 5000", &storm, &QuotaLimits::NONE).together, []);
}

#[test]
fn stages_beside_each_other_ask_together() {
    let stages = stage("ra", "provision", &format!("{SPREAD}\nclasses = ['a']"))
        + &stage("rb", "provision", &format!("{SPREAD}\nclasses = ['b']\nwith = 'ra'"))
        + &stage("rc", "provision", &format!("{SPREAD}\nclasses = ['c']\nwith = 'ra'"));
    let all = checks(&fleet(&["a", "b", "c"]), &stages, &QuotaProfile::DpsDefault.limits());
    for (quota, allowed) in [(Quota::Registrations, 1_000), (Quota::Certificates, 500)] {
        let check = of(&all.together, quota);
        assert_eq!((check.limit, check.verdict, check.peak), (allowed, QuotaVerdict::Exceeded, Some(1_200)));
        assert_eq!(counts(&check.peak_of), [(0, 400), (1, 400), (2, 400)]);
        assert_eq!(check.over_of.iter().map(|share| share.count).sum::<u64>(), check.over);
        assert!(all.stages.iter().all(|stage| of(stage, quota).verdict == QuotaVerdict::Kept), "alone each is kept");
    }
    // 3,000 at 1,200 a minute against 500 at once and 500 a minute: 1,750 pass.
    assert!((1_249..=1_252).contains(&of(&all.together, Quota::Certificates).over), "{all:?}");
    assert_eq!(of(&all.together, Quota::Certificates).shortest_spread.unwrap().as_secs(), 360);
    // A bucket that was full would carry so many registrations for five minutes; whether the service does is not known.
    assert_eq!(of(&all.together, Quota::Registrations).over, 0);
}

#[test]
fn what_comes_one_after_the_other_is_not_added_up() {
    let provision = |name: &str, class: &str, start: &str| {
        stage(name, "provision", &format!("{SPREAD}\nclasses = ['{class}']\n{start}"))
    };
    let limits = QuotaProfile::DpsDefault.limits();
    let peak = |stages: &str| {
        let all = checks(&fleet(&["a", "b"]), stages, &limits);
        let check = of(&all.together, Quota::Certificates);
        (check.peak.unwrap(), check.verdict)
    };
    let after = peak(&(provision("x", "a", "") + &provision("y", "b", "after = 'x'")));
    assert_eq!(after, (401, QuotaVerdict::Kept), "the first of one comes with the last of the other");
    assert_eq!(
        peak(&(provision("x", "a", "") + &provision("y", "b", "with = 'x'\ndelay = '150s'"))),
        (400, QuotaVerdict::Kept)
    );
    let (most, verdict) = peak(&(provision("x", "a", "") + &provision("y", "b", "with = 'x'\ndelay = '60s'")));
    assert_eq!(
        (most, verdict),
        (800, QuotaVerdict::Exceeded),
        "the last ninety seconds of one are the first of the other"
    );
    // A bucket that one stage emptied is not full again when the next one comes.
    let at_once = |name: &str, class: &str, more: &str| {
        stage(name, "provision", &format!("arrival = 'at-once'\nclasses = ['{class}']\n{more}"))
    };
    let limits = QuotaLimits { certificates_per_minute: Some(1_000), ..QuotaLimits::NONE };
    let over = |delay: &str| {
        let stages = at_once("x", "a", "") + &at_once("y", "b", &format!("after = 'x'\ndelay = '{delay}'"));
        checks(&fleet(&["a", "b"]), &stages, &limits).together[0].over
    };
    assert_eq!([over("0s"), over("30s"), over("1m")], [1_000, 500, 0]);
}

#[test]
fn renewals_and_their_connections_count_beside_all_others() {
    let limits = QuotaProfile::HubS1.limits();
    let stages = stage(
        "rollout",
        "provision",
        "arrival = { process = 'spread', over = '1000s' }\nkeep_connected = true",
    ) + &stage(
        "renewal",
        "renew",
        "after = 'rollout'\ndelay = '1m'\narrival = { process = 'spread', over = '10s' }",
    ) + &stage(
        "others",
        "reconnect",
        "with = 'renewal'\narrival = { process = 'spread', over = '10s' }\nclasses = ['b']\nkeep_connected = true",
    );
    let all = checks(&fleet(&["a", "b"]), &stages, &limits);
    let connections = of(&all.together, Quota::HubConnections);
    // 2,000 renew over the connection that they have and come with a new one; another 1,000 connect.
    assert_eq!((connections.peak, connections.needed, connections.verdict), (Some(300), 5_000, QuotaVerdict::Exceeded));
    assert_eq!(counts(&connections.peak_of), [(1, 200), (2, 100)]);
    assert_eq!(of(&all.stages[2], Quota::HubConnections).verdict, QuotaVerdict::Kept);
    let renewals = of(&all.together, Quota::Renewals);
    assert_eq!((renewals.peak, counts(&renewals.over_of).len()), (Some(2_000), 1));
}

#[test]
fn expired_certificates_are_replaced_by_dps() {
    let text = "policy = { validity = '60s', renewal_window = '10s' }\nfleet.devices = 1000";
    let stages = stage("rollout", "provision", "arrival = 'at-once'\nhub_connect = false")
        + &stage("life", "operate", "with = 'rollout'\ndelay = '60s'\narrival = 'at-once'\nduration = '10s'");
    let all = checks(text, &stages, &QuotaLimits { certificates_per_minute: Some(500), ..QuotaLimits::NONE });
    assert_eq!(counts(&all.together[0].over_of), [(0, 500), (1, 500)]);
    let never = stage("rollout", "provision", "arrival = 'at-once'")
        + &stage("renewal", "renew", "arrival = { process = 'from-expiry', strategy = 'never' }");
    let all = checks(text, &never, &QuotaProfile::DpsDefault.limits());
    assert_eq!(of(&all.together, Quota::Certificates).needed, 2_000);
    assert!(all.together.iter().all(|check| check.quota != Quota::Renewals), "{all:?}");
}

#[test]
fn a_closed_workload_is_known_to_fit_only_when_all_of_it_does() {
    let closed = "workload = 'closed'\nconcurrency = 5";
    let limits = |certificates| QuotaLimits { certificates_per_minute: Some(certificates), ..QuotaLimits::NONE };
    let verdict = |stages: &str, certificates| {
        let all = checks(&fleet(&["a", "b"]), stages, &limits(certificates));
        let check = &all.together[0];
        (check.verdict, check.peak, counts(&check.untimed))
    };
    let line = stage("line", "provision", &format!("{closed}\nclasses = ['a']"));
    assert_eq!(verdict(&line, 1_000), (QuotaVerdict::Kept, None, vec![(0, 1_000)]));
    assert_eq!(verdict(&line, 999), (QuotaVerdict::Unknown, None, vec![(0, 1_000)]));
    let beside =
        |start: &str| line.clone() + &stage("field", "provision", &format!("{SPREAD}\nclasses = ['b']\n{start}"));
    assert_eq!(verdict(&beside("with = 'line'"), 2_000).0, QuotaVerdict::Kept);
    assert_eq!(verdict(&beside("with = 'line'"), 1_000), (QuotaVerdict::Unknown, Some(400), vec![(0, 1_000)]));
    assert_eq!(verdict(&beside("with = 'line'"), 399).0, QuotaVerdict::Exceeded, "whatever the closed one does");
    // It may be over in a moment.
    assert_eq!(verdict(&beside("after = 'line'"), 1_000).0, QuotaVerdict::Unknown);
}

#[test]
fn a_stage_that_begins_later_than_it_could_may_meet_another() {
    let stages = stage("first", "provision", &format!("{SPREAD}\nclasses = ['a']"))
        + &stage("again", "reprovision", &format!("after = 'first'\ndelay = '1m'\n{SPREAD}\nclasses = ['a']"))
        + &stage("field", "provision", &format!("with = 'first'\ndelay = '10m'\n{SPREAD}\nclasses = ['b']"));
    let limits = QuotaLimits { certificates_per_minute: Some(500), ..QuotaLimits::NONE };
    let late = |limits: &QuotaLimits| checks(&fleet(&["a", "b"]), &stages, limits).together.remove(0);
    let check = late(&limits);
    assert_eq!((check.verdict, check.over), (QuotaVerdict::Kept, 0));
    let later = check.later.expect("they may meet");
    assert_eq!((later.stage, later.peak), (1, 800));
    assert!((380..=400).contains(&later.by.as_secs()) && later.over > 0, "{later:?}");
    assert_eq!(late(&QuotaLimits { certificates_per_minute: Some(1_500), ..limits }).later, None);
}

#[test]
fn slow_arrivals_fit() {
    let stages = stage("rollout", "provision", "arrival = { process = 'spread', over = '1h' }\nkeep_connected = true")
        + &stage("renewal", "renew", "arrival = { process = 'spread', over = '10m' }\nkeep_connected = true");
    let all = checks("fleet.devices = 5000", &stages, &QuotaProfile::HubS1.limits());
    let found: Vec<_> = all.stages[1].iter().map(|c| (c.quota, c.verdict, c.peak)).collect();
    let kept = QuotaVerdict::Kept;
    assert_eq!(found, [(Quota::Renewals, kept, Some(500)), (Quota::HubConnections, kept, Some(9))]);
    assert!(all.together.iter().all(|check| check.verdict == kept && check.later.is_none()), "{all:?}");
    assert_eq!(of(&all.together, Quota::Renewals).peak_at.map(|at| at >= seconds(3_600)), Some(true));
}

#[test]
fn what_was_saved_up_before_is_no_reason_to_ask_for_more() {
    let fits = stage("line", "provision", "arrival = { process = 'constant', rate = '500/min' }");
    let limits = QuotaLimits { certificates_per_minute: Some(500), ..QuotaLimits::NONE };
    assert_eq!(checks("fleet.devices = 900", &fits, &limits).together[0].verdict, QuotaVerdict::Kept);
    let more = fits.replace("500", "600");
    let all = checks("fleet.devices = 900", &more, &limits);
    let check = &all.together[0];
    assert_eq!((check.verdict, check.peak, check.over), (QuotaVerdict::Exceeded, Some(600), 0));
    assert_eq!(check.first_over, Some(FleetTime::from_millis(50_000)), "the 501st");
    let limits = QuotaLimits { burst_periods: Some(2), ..limits };
    assert_eq!(checks("fleet.devices = 900", &more, &limits).together[0].verdict, QuotaVerdict::Kept);
}

#[test]
fn a_stage_alone_is_told_in_time_from_its_own_begin() {
    let stages = stage("first", "provision", "arrival = 'at-once'\nclasses = ['a']")
        + &stage("late", "provision", &format!("with = 'first'\ndelay = '10m'\n{SPREAD}\nclasses = ['b']"));
    let limits = QuotaLimits { certificates_per_minute: Some(500), ..QuotaLimits::NONE };
    let all = checks(&fleet(&["a", "b"]), &stages, &limits);
    let peak_at = |check: &QuotaCheck| check.peak_at.map(|at| at.as_secs());
    assert_eq!((peak_at(&all.stages[0][0]), peak_at(&all.stages[1][0])), (Some(0), Some(59)));
    let limits = QuotaLimits { certificates_per_minute: Some(399), ..QuotaLimits::NONE };
    let late = &checks(&fleet(&["a", "b"]), &stages, &limits).stages[1][0];
    assert_eq!(late.first_over, Some(FleetTime::from_millis(59_850)), "the 400th");
}

#[test]
fn each_quota_is_told_on_its_own_when_a_late_stage_would_exceed_it() {
    let stages = stage("first", "provision", &format!("{SPREAD}\nclasses = ['a']"))
        + &stage("again", "reprovision", &format!("after = 'first'\ndelay = '1m'\n{SPREAD}\nclasses = ['a']"))
        + &stage("field", "provision", &format!("with = 'first'\ndelay = '10m'\n{SPREAD}\nclasses = ['b']"));
    let limits =
        QuotaLimits { registrations_per_minute: Some(1_000), certificates_per_minute: Some(500), ..QuotaLimits::NONE };
    let all = checks(&fleet(&["a", "b"]), &stages, &limits).together;
    let later: Vec<_> = all.iter().map(|check| (check.quota, check.later.map(|later| later.peak))).collect();
    assert_eq!(later, [(Quota::Registrations, None), (Quota::Certificates, Some(800))]);
}

#[test]
fn of_several_stages_that_may_be_late_the_worst_is_told_and_of_equal_ones_the_first() {
    let limits = QuotaLimits { certificates_per_minute: Some(600), ..QuotaLimits::NONE };
    let later = |second: u32, third: u32| {
        let again = |name: &str, delay: &str, over: u32| {
            let arrival = format!("arrival = {{ process = 'spread', over = '{over}s' }}");
            stage(name, "reprovision", &format!("after = 'first'\ndelay = '{delay}'\n{arrival}\nclasses = ['a']"))
        };
        let stages = stage("first", "provision", &format!("{SPREAD}\nclasses = ['a']"))
            + &again("second", "2m", second)
            + &again("third", "20m", third)
            + &stage("field", "provision", &format!("with = 'first'\ndelay = '40m'\n{SPREAD}\nclasses = ['b']"));
        let check = checks(&fleet(&["a", "b"]), &stages, &limits).together.remove(0);
        assert_eq!(check.verdict, QuotaVerdict::Kept, "as long as all begin as early as they can");
        check.later.map(|later| (later.stage, later.peak))
    };
    assert_eq!(later(150, 150), Some((1, 800)));
    assert_eq!(later(300, 120), Some((2, 900)));
    assert_eq!(later(120, 240), Some((1, 900)));
}

#[test]
fn only_what_goes_on_when_a_late_stage_begins_can_meet_it() {
    let spread = |over: u32| format!("arrival = {{ process = 'spread', over = '{over}s' }}");
    // The peak of the early one is over when the late one begins; that of the field is to come.
    let stages = stage("first", "provision", &format!("{}\nclasses = ['a']", spread(1_000)))
        + &stage("again", "reprovision", &format!("after = 'first'\n{}\nclasses = ['a']", spread(150)))
        + &stage("early", "provision", &format!("with = 'first'\n{}\nclasses = ['b']", spread(150)))
        + &stage("field", "provision", &format!("with = 'first'\ndelay = '30m'\n{}\nclasses = ['c']", spread(160)));
    let limits = QuotaLimits { certificates_per_minute: Some(500), ..QuotaLimits::NONE };
    let check = checks(&fleet(&["a", "b", "c"]), &stages, &limits).together.remove(0);
    assert_eq!(
        (check.verdict, check.later.map(|later| (later.stage, later.peak))),
        (QuotaVerdict::Kept, Some((1, 775)))
    );
}

#[test]
fn two_devices_that_may_meet_are_too_many_where_one_is_allowed() {
    let fleet = "[fleet]\ndevices = 2\n[[fleet.class]]\nname = 'a'\n[[fleet.class]]\nname = 'b'";
    let stages = stage("first", "provision", "arrival = 'at-once'\nclasses = ['a']")
        + &stage("again", "reprovision", "after = 'first'\ndelay = '2m'\narrival = 'at-once'\nclasses = ['a']")
        + &stage("field", "provision", "with = 'first'\ndelay = '10m'\narrival = 'at-once'\nclasses = ['b']");
    let limits = |most| QuotaLimits { certificates_per_minute: Some(most), ..QuotaLimits::NONE };
    let later = |most| checks(fleet, &stages, &limits(most)).together.remove(0).later;
    assert_eq!(later(1), Some(Later { stage: 1, by: seconds(480), peak: 2, over: 1 }));
    assert_eq!(later(2), None);
}

/// A hundred tokens a minute, of which those of so many minutes may be used at once.
fn meter(burst: u32, stages: usize) -> meter::Meter {
    meter::Meter::new(Quota::Certificates, 100, burst, stages)
}

#[test]
fn who_asks_for_nothing_has_no_part_in_a_peak() {
    let mut meter = meter(1, 3);
    meter.arrives(seconds(0), 0, 1);
    meter.arrives(seconds(1), 0, 0);
    meter.arrives(seconds(1), 1, 0);
    let check = meter.check().unwrap();
    assert_eq!((check.together, check.needed, check.peak_at), (1, 1, Some(seconds(0))));
    let mut meter = self::meter(1, 3);
    meter.arrives(seconds(0), 0, 0);
    meter.may_arrive(seconds(0), 1, 5);
    let check = meter.check().unwrap();
    assert_eq!((check.peak, check.peak_at, check.together), (None, None, 1));
}

#[test]
fn the_peak_is_the_first_of_equal_ones_and_those_of_other_times_are_left_out() {
    let mut meter = meter(1, 3);
    for (at, stage, devices) in [(0, 0, 5), (100, 1, 6), (300, 0, 6), (500, 1, 3)] {
        (0..devices).for_each(|_| meter.arrives(seconds(at), stage, 1));
    }
    let check = meter.check().unwrap();
    assert_eq!((check.peak, check.peak_at, counts(&check.peak_of)), (Some(6), Some(seconds(100)), vec![(1, 6)]));
    assert_eq!((check.together, check.needed), (9, 20), "all arrivals of the stage that has to do with it");
    let mut meter = self::meter(1, 3);
    meter.arrives(seconds(0), 0, 1);
    (0..5).for_each(|_| meter.arrives(seconds(100), 1, 1));
    (0..3).for_each(|_| meter.may_arrive(seconds(200), 2, 1));
    let check = meter.check().unwrap();
    assert_eq!((check.together, check.verdict), (8, QuotaVerdict::Kept), "and of those that may come at any time");
}

#[test]
fn what_may_come_at_any_time_fits_when_both_bucket_and_period_have_room_from_then_on() {
    let verdict = |burst, arrivals: &[(u64, u32)], (from, untimed): (u64, u32)| {
        let mut meter = meter(burst, 2);
        let (before, after): (Vec<_>, Vec<_>) = arrivals.iter().partition(|(at, _)| *at < from);
        let mut arrive = |all: Vec<(u64, u32)>, from: Option<u64>| {
            from.into_iter().for_each(|from| meter.may_arrive(seconds(from), 1, untimed));
            for (at, devices) in all {
                (0..devices).for_each(|_| meter.arrives(seconds(at), 0, 1));
            }
        };
        arrive(before, None);
        arrive(after, Some(from));
        meter.check().unwrap().verdict
    };
    use QuotaVerdict::{Exceeded, Kept, Unknown};
    for (burst, arrivals, others, expected) in [
        (1, &[(0, 40)][..], (0, 60), Kept),
        (1, &[(0, 40)], (0, 61), Unknown),
        (1, &[(30, 40)], (0, 60), Kept),
        (1, &[(30, 40)], (0, 61), Unknown),
        // The bucket has room again before the period has, which ends a minute after the storm.
        (1, &[(0, 100)], (30, 50), Unknown),
        (1, &[(0, 100)], (59, 1), Unknown),
        (1, &[(0, 100)], (60, 100), Kept),
        (1, &[(0, 100)], (60, 101), Unknown),
        (1, &[(0, 101)], (600, 1), Exceeded),
        // No period has more than 200 of 300, but what was saved up is used up.
        (3, &[(0, 200), (60, 150)], (0, 50), Kept),
        (3, &[(0, 200), (60, 150)], (0, 51), Unknown),
        (3, &[(0, 200), (60, 150)], (600, 300), Kept),
        (3, &[(0, 200), (60, 150)], (600, 301), Unknown),
    ] {
        assert_eq!(verdict(burst, arrivals, others), expected, "{burst} {arrivals:?} {others:?}");
    }
}

#[test]
fn a_quota_goes_by_the_key_that_declares_it() {
    for quota in [Quota::Registrations, Quota::Certificates, Quota::Polls, Quota::Renewals, Quota::HubConnections] {
        let key = quota.key();
        let text = format!("schema = 1\nname = 'x'\nfleet.devices = 1\nquotas.{key} = 7\n")
            + &stage("s", "provision", "arrival = 'at-once'");
        let scenario = Scenario::parse("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(quota.limit(&scenario.quotas), Some(7), "{key}");
    }
    assert_eq!(
        [QuotaVerdict::Kept, QuotaVerdict::Exceeded, QuotaVerdict::Unknown].map(QuotaVerdict::name),
        ["kept", "exceeded", "unknown"]
    );
}

proptest! {
    #[test]
    fn the_shortest_spread_fits_and_a_shorter_one_does_not(
        arrivals in 2u64..3_000,
        limit in 2u32..2_000,
        burst in 1u32..4,
        each in 1u32..=2,
    ) {
        let check = |window: FleetTime| {
            let mut meter = meter::Meter::new(Quota::Renewals, limit, burst, 1);
            for k in 0..arrivals {
                let at = u128::from(k) * window.as_nanos() / u128::from(arrivals);
                meter.arrives(FleetTime::from_nanos(u64::try_from(at).unwrap()), 0, each);
            }
            meter.check().unwrap()
        };
        let shortest = check(seconds(60)).shortest_spread.unwrap();
        let fits = check(shortest);
        prop_assert_eq!((fits.verdict, fits.over, fits.first_over), (QuotaVerdict::Kept, 0, None));
        if shortest > FleetTime::ZERO {
            prop_assert_eq!(check(shortest.mul_f64(0.99)).verdict, QuotaVerdict::Exceeded);
        }
    }

    #[test]
    fn a_stage_in_parts_asks_for_as_much_as_the_whole(seconds in prop::collection::vec(0u64..300, 1..200), limit in 1u32..50) {
        let mut times = seconds;
        times.sort_unstable();
        let meter = |stage_of: &dyn Fn(usize) -> usize| {
            let mut meter = meter::Meter::new(Quota::Renewals, limit, 1, 3);
            for (index, at) in times.iter().enumerate() {
                meter.arrives(FleetTime::from_secs(*at), stage_of(index), 1);
            }
            meter.check().unwrap()
        };
        let (whole, parts) = (meter(&|_| 0), meter(&|index| index % 3));
        prop_assert_eq!((whole.peak, whole.over, whole.first_over), (parts.peak, parts.over, parts.first_over));
        prop_assert_eq!(parts.peak_of.iter().map(|share| share.count).sum::<u64>(), parts.peak.unwrap());
        let within = |end: u64| times.iter().filter(|at| **at <= end && **at + 60 > end).count() as u64;
        prop_assert_eq!(whole.peak, times.iter().map(|end| within(*end)).max());
    }
}
