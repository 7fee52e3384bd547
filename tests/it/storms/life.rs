//! From stage to stage: what devices carry with them, when renewals are due, what expires.

use std::time::Duration;

use fleetstorm::domain::{FailureClass, Fate, Known, Phase, Quantity};
use fleetstorm::measure::{RunRecord, RunStatus, StageRecord};

use super::lab::{outcome, outcome_behind, outcome_until, scenario};
use super::{sound, stage};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_fleet_provisions_renews_over_its_session_and_reconnects() {
    let outcome = outcome(&scenario(
        "fleet.devices = 20
         stage = [
             { name = 'rollout', kind = 'provision', arrival = 'at-once', keep_connected = true },
             { name = 'renewal', kind = 'renew', arrival = 'at-once', keep_connected = true },
             { name = 'outage', kind = 'reconnect', arrival = 'at-once' },
             { name = 'again', kind = 'reprovision', arrival = 'at-once' },
         ]",
    ));
    sound(&outcome);
    assert_eq!(outcome.status, RunStatus::Complete);
    for stage in &outcome.stages {
        assert_eq!((stage.totals.planned, stage.totals.succeeded), (20, 20), "{}: {:?}", stage.name, outcome.errors);
    }
    let count = |name, phase| stage(&outcome, name).phases.succeeded(phase).map_or(0, |h| h.count());
    // Over the session that it held; the connection that is made is that with the new certificate.
    assert_eq!((count("renewal", Phase::RenewAccept), count("renewal", Phase::RenewIssue)), (20, 20));
    assert_eq!((count("renewal", Phase::HubTls), count("renewal", Phase::Register)), (20, 0));
    assert_eq!(count("renewal", Phase::RenewTcp), 0);
    assert_eq!((count("outage", Phase::HubConnack), count("outage", Phase::Keygen)), (20, 0));
    assert_eq!((count("again", Phase::Register), count("again", Phase::HubConnack)), (20, 20));
    assert_eq!(outcome.health.peak_connected, 20);
}

#[test]
fn a_device_without_a_certificate_has_nothing_to_renew() {
    let outcome = outcome(&scenario(
        "fleet.devices = 30
         policy = { validity = 'PT1H', renewal_window = 'PT10M' }
         fleet.behaviour = { preset = 'one-attempt', repeats = 0 }
         emulator.faults.server_error = { probability = 0.5 }
         stage = [
             { name = 'rollout', kind = 'provision', arrival = 'at-once' },
             { name = 'renewal', kind = 'renew', arrival = { process = 'from-expiry', strategy = 'never' } },
             { name = 'reconnect', kind = 'reconnect', arrival = 'at-once' },
         ]",
    ));
    sound(&outcome);
    let rollout = stage(&outcome, "rollout").totals;
    assert!(rollout.succeeded > 0 && rollout.failed.total() > 0, "{rollout:?}");
    let renewal = stage(&outcome, "renewal").totals;
    assert_eq!((renewal.planned, renewal.skipped), (30, rollout.failed.total()));
    for name in ["renewal", "reconnect"] {
        assert_eq!(skips(stage(&outcome, name)), [("failed", Some("rollout"), rollout.failed.total())], "{name}");
    }
    // Never until it has expired, so that all came too late.
    assert_eq!(renewal.expired, rollout.succeeded);
    // Once expired, a certificate opens no hub: only DPS can help.
    let phases = &stage(&outcome, "renewal").phases;
    let count = |phase| phases.succeeded(phase).map_or(0, |times| times.count());
    assert_eq!((count(Phase::Register), count(Phase::RenewAccept)), (renewal.succeeded, 0));
    assert!(renewal.succeeded > 0, "{renewal:?}");
}

fn skips(stage: &StageRecord) -> Vec<(&str, Option<&str>, u64)> {
    stage.skips.iter().map(|skip| (skip.reason.name(), skip.provisioned_in.as_deref(), skip.devices)).collect()
}

#[test]
fn a_device_that_is_still_being_provisioned_or_not_even_that_is_told_from_one_that_failed() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 20, class = [{ name = 'a' }, { name = 'b' }] }
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         classes = ['a']
         arrival = { process = 'constant', rate = '1/s' }
         [[stage]]
         name = 'later'
         kind = 'provision'
         classes = ['b']
         arrival = 'at-once'
         [[stage]]
         name = 'renewal'
         kind = 'renew'
         with = 'rollout'
         delay = '6500ms'
         arrival = { process = 'from-expiry', strategy = 'window-opens' }
         [[stage]]
         name = 'reconnect'
         kind = 'reconnect'
         with = 'rollout'
         delay = '8500ms'
         arrival = 'at-once'",
    ));
    sound(&outcome);
    let going_on = ["renewal", "reconnect"].map(|name| {
        let skips = skips(stage(&outcome, name));
        let [("not_begun", Some("later"), 10), ("going_on", Some("rollout"), going_on)] = skips[..] else {
            panic!("{name}: {skips:?}")
        };
        going_on
    });
    // One comes each second.
    assert!(going_on[0] > going_on[1] && going_on[1] > 0, "{going_on:?}");
}

#[test]
fn renewals_are_due_where_each_certificate_puts_them() {
    let outcome = outcome(&scenario(
        "time_scale = '1d = 1s'
         policy = { validity = 'P30D', renewal_window = 'P7D' }
         fleet.devices = 50
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = { process = 'spread', over = '5d' }
         [[stage]]
         name = 'renewal'
         kind = 'renew'
         with = 'rollout'
         delay = '10d'
         arrival = { process = 'from-expiry', strategy = 'window-opens' }",
    ));
    sound(&outcome);
    let renewal = stage(&outcome, "renewal");
    assert_eq!((renewal.totals.succeeded, renewal.totals.expired), (50, 0), "{:?}", outcome.errors);
    // Ten devices on each of five days, 23 days after each got its certificate.
    let due: Vec<(u64, u64)> = renewal.intervals.iter().map(|i| (i.start.as_secs(), i.due)).collect();
    assert_eq!(due, [(23, 10), (24, 10), (25, 10), (26, 10), (27, 10)]);
}

#[test]
fn an_outage_of_the_authority_through_the_window_lets_certificates_expire() {
    let text = |outage: u64| {
        format!(
            "time_scale = '1d = 1s'
             policy = {{ validity = 'P30D', renewal_window = 'P7D' }}
             fleet.devices = 40
             [fleet.behaviour]
             preset = 'well-behaved'
             attempts = 0
             backoff = {{ first = '1h', longest = '1d' }}
             [emulator]
             faults.ca_outage = {{ from_seconds = 1987200, for_seconds = {outage}, effect = 'fail' }}
             [[threshold]]
             check = 'renewal.expired == 0'
             [[stage]]
             name = 'rollout'
             kind = 'provision'
             arrival = 'at-once'
             [[stage]]
             name = 'renewal'
             kind = 'renew'
             arrival = {{ process = 'from-expiry', strategy = 'uniform' }}"
        )
    };
    // Two days of it are waited out by some, ten are not.
    let short = outcome(&scenario(&text(86_400)));
    let long = outcome(&scenario(&text(10 * 86_400)));
    sound(&short);
    sound(&long);
    assert!(long.stages[1].totals.expired > short.stages[1].totals.expired, "{:?}", long.stages[1].totals);
    assert!(long.stages[1].totals.expired > 0 && !long.thresholds[0].met);
    assert_eq!(long.thresholds[0].observed, Some(Known::Is(Quantity::Number(long.stages[1].totals.expired as f64))));
}

#[test]
fn devices_that_operate_send_telemetry_renew_meanwhile_and_come_back_after_an_outage() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 10, behaviour = 'well-behaved' }
         emulator.faults.hub_outage = { from_seconds = 30, for_seconds = 5 }
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = 'at-once'
         telemetry = false
         [[stage]]
         name = 'life'
         kind = 'operate'
         arrival = 'at-once'
         duration = '60s'
         telemetry_every = '10s'
         [[stage]]
         name = 'renewal'
         kind = 'renew'
         with = 'life'
         delay = '10s'
         arrival = 'at-once'
         telemetry = false",
    ));
    sound(&outcome);
    let life = stage(&outcome, "life");
    assert_eq!((life.totals.succeeded, life.totals.disconnects), (10, 10), "{:?}", outcome.errors);
    // Six each, but for those that came due while the hub was away.
    assert!((45..=60).contains(&life.totals.telemetry), "{:?}", life.totals);
    let recovered = life.phases.succeeded(Phase::Recover).expect("they came back");
    assert_eq!(recovered.count(), 10);
    assert!(recovered.quantile(0.0).unwrap() >= 4 * SECOND, "{:?}", recovered.summary());
    assert!(life.totals.attempts > 20, "some tried while the hub was away: {:?}", life.totals);
    // The renewals were made over the sessions of the stage that goes on.
    let renewal = stage(&outcome, "renewal");
    assert_eq!(renewal.totals.succeeded, 10, "{:?}", outcome.errors);
    assert_eq!(renewal.phases.succeeded(Phase::RenewAccept).map(|h| h.count()), Some(10));
    assert_eq!(outcome.health.peak_connected, 10);
}

#[test]
fn a_run_that_is_stopped_accounts_for_the_stages_that_never_began() {
    let scenario = scenario(
        "fleet.devices = 8
         stage = [
             { name = 'rollout', kind = 'provision', arrival = { process = 'constant', rate = '1/s' } },
             { name = 'renewal', kind = 'renew', arrival = 'at-once' },
         ]",
    );
    let outcome = outcome_until(&scenario, 2 * SECOND);
    sound(&outcome);
    assert_eq!(outcome.status, RunStatus::Interrupted);
    let (rollout, renewal) = (outcome.stages[0].totals, outcome.stages[1].totals);
    assert!(rollout.started < 8 && rollout.not_started > 0, "{rollout:?}");
    assert_eq!((renewal.planned, renewal.not_started), (8, 8));
}

#[test]
fn a_count_of_what_was_not_reached_is_no_count_of_nothing() {
    let text = "fleet.devices = 8
         thresholds = [
             'renewal.expired == 0', 'renewal.failed == 0', 'renewal.disconnects == 0', 'all.failed.tls == 0',
             'rollout.expired == 0', 'renewal.not_started == 0',
         ]
         stage = [
             { name = 'rollout', kind = 'provision', arrival = { process = 'constant', rate = '1/s' } },
             { name = 'renewal', kind = 'renew', arrival = 'at-once' },
         ]";
    let told = |outcome: &RunRecord| -> Vec<(Option<Quantity>, bool)> {
        outcome.thresholds.iter().map(|result| (result.observed.and_then(Known::exact), result.met)).collect()
    };
    let (nothing, none) = ((None, false), (Some(Quantity::Number(0.0)), true));
    // Some of the rollout came, and no renewal: what the others would have met is not known.
    let early = outcome_until(&scenario(text), 2 * SECOND);
    assert_eq!(told(&early), [nothing, nothing, nothing, nothing, nothing, (Some(Quantity::Number(8.0)), false)]);
    let whole = outcome(&scenario(text));
    assert_eq!((whole.status, told(&whole)), (RunStatus::Complete, vec![none; 6]));
}

#[test]
fn a_stage_that_is_over_has_the_throughput_that_it_had() {
    let outcome = outcome(&scenario(
        "fleet.devices = 20
         [[threshold]]
         check = 'rollout.throughput > 2/s'
         abort_on_fail = true
         abort_after = '5s'
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = { process = 'constant', rate = '10/s' }
         [[stage]]
         name = 'life'
         kind = 'operate'
         arrival = 'at-once'
         duration = '1m'",
    ));
    sound(&outcome);
    assert_eq!(outcome.status, RunStatus::Complete, "{:?}", outcome.thresholds);
    assert!(outcome.thresholds[0].met, "{:?}", outcome.thresholds);
}

/// Ten devices of a stage of a minute that begins at once; the hub goes away after half a minute and stays away for so long.
fn life_with_an_outage(seconds: u64, threshold: &str) -> RunRecord {
    outcome(&scenario(&format!(
        "fleet = {{ devices = 10, behaviour = 'well-behaved' }}
         emulator.faults.hub_outage = {{ from_seconds = 30, for_seconds = {seconds} }}
         thresholds = ['{threshold}']
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = 'at-once'
         telemetry = false
         [[stage]]
         name = 'life'
         kind = 'operate'
         arrival = 'at-once'
         duration = '60s'"
    )))
}

#[test]
fn a_connection_that_is_not_back_by_the_end_is_no_survivor() {
    let observed = |outcome: &RunRecord| (outcome.thresholds[0].observed, outcome.thresholds[0].met);
    let all_back = life_with_an_outage(5, "life.recover.p99 < 60s");
    sound(&all_back);
    let (Some(Known::Is(_)), true) = observed(&all_back) else { panic!("{:?}", all_back.thresholds) };
    // Nobody comes back: all that is known is how long each was seen to be away.
    for (threshold, met) in [("life.recover.p99 < 60s", false), ("life.recover.p50 > 20s", true)] {
        let outcome = life_with_an_outage(90, threshold);
        sound(&outcome);
        let life = stage(&outcome, "life");
        let away = life.of_all(Phase::Recover).expect("connections were lost");
        assert_eq!((away.began(), away.ended(Fate::Censored), away.share()), (10, 10, 0.0), "{:?}", life.totals);
        // Until the end of the stage at least, whenever the device would have tried again.
        let seen = away.seen();
        assert!(seen >= 28 * SECOND, "{seen:?}");
        assert_eq!(observed(&outcome), (Some(Known::Above(Quantity::Time(seen))), met), "{threshold}");
        // They were connected before, and got that in time.
        let total = life.of_all(Phase::Total).expect("devices began");
        assert_eq!(total.ended(Fate::Succeeded), 10);
        assert!(total.max().exact().is_some_and(|longest| longest < 5 * SECOND), "{:?}", total.max());
    }
}

#[test]
fn a_threshold_may_end_a_run() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 100, behaviour = { preset = 'one-attempt', repeats = 0 } }
         emulator.faults.server_error = { probability = 1.0 }
         [[threshold]]
         check = 'rollout.error_rate < 10%'
         abort_on_fail = true
         abort_after = '2s'
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = { process = 'constant', rate = '10/s' }",
    ));
    sound(&outcome);
    assert_eq!(outcome.status, RunStatus::ThresholdFailed);
    let result = &outcome.thresholds[0];
    assert!(!result.met && result.stopped_at.is_some_and(|at| at >= 2 * SECOND && at < 3 * SECOND), "{result:?}");
    assert!(outcome.stages[0].totals.not_started > 70, "{:?}", outcome.stages[0].totals);
}

#[test]
fn an_authority_whose_clock_is_ahead_is_noted_and_one_that_is_far_ahead_issues_wrong_certificates() {
    let scenario = scenario(
        "fleet.devices = 5
         stage = [
             { name = 'rollout', kind = 'provision', arrival = 'at-once' },
             { name = 'renewal', kind = 'renew', arrival = 'at-once' },
         ]",
    );
    // The authority lets certificates begin a minute before it signs them.
    let little = outcome_behind(&scenario, 64 * SECOND);
    sound(&little);
    assert_eq!((little.stages[0].totals.succeeded, little.stages[1].totals.succeeded), (5, 5), "{:?}", little.errors);
    let note = little.notes.iter().find(|note| note.contains("compare the clocks")).expect("it is told");
    assert!(note.starts_with("10 certificates were not valid yet when they came"), "{note}");
    let far = outcome_behind(&scenario, 600 * SECOND);
    sound(&far);
    let wrong = FailureClass::Verification;
    assert_eq!(far.stages[0].totals.failed[wrong], 5);
    assert!(far.errors[0].message.contains("notBefore") && far.errors[0].message.contains("compare the clocks"));
    let agreed = outcome(&scenario);
    assert!(agreed.notes.iter().all(|note| !note.contains("clocks")), "{:?}", agreed.notes);
}
