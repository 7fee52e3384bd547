//! Whether there is time to make keys before they are needed: the CPU that they take against the cores, in the order in which a
//! run makes them: quick ones first, then as devices are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::cli::command::plan::keys::Cost;
use crate::domain::KeySource;
use crate::engine::Plan;
use crate::scenario::{DeviceClass, Scenario, Stage, Workload};

/// What becomes of keys when nothing else takes CPU on as many cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyTime {
    pub(super) cores: usize,
    /// How long keys are made before the run begins, `limits.prepare` at most unless all are wanted before.
    pub(super) before: Duration,
    /// Stages whose devices wait for keys longer than is harmless, in order.
    pub(super) late: Vec<LateKeys>,
}

/// Keys of a stage that come too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LateKeys {
    pub(super) stage: usize,
    /// Whether it begins with the run.
    pub(super) first: bool,
    /// The longest that a key comes after its device is due, if none is dropped.
    pub(super) longest: Duration,
    /// Devices whose keys come later than is harmless, those that are dropped among them.
    pub(super) devices: u64,
    /// Devices that are dropped, as their keys come later than `max_lateness`.
    pub(super) dropped: u64,
}

/// A key that is needed: when its device is due, when it is ordered (from the moment on at which the first could be
/// made), and of which class it is.
type Job = (Duration, Duration, usize);

impl KeyTime {
    /// For the part of the fleet that the plan is about. Stages of which it is not known when their devices come are left out.
    pub(super) fn of(scenario: &Scenario, plan: &Plan, cores: usize) -> Self {
        let waiting = simulate(scenario, plan, cores, false);
        let dropping = simulate(scenario, plan, cores, true);
        let late = waiting.iter().zip(&dropping).enumerate().filter(|(_, (_, dropping))| dropping.devices > 0);
        let late = late.map(|(stage, (waiting, dropping))| LateKeys {
            stage,
            first: plan.schedule.begins_with_run(stage),
            longest: waiting.longest,
            devices: dropping.devices,
            dropped: dropping.dropped,
        });
        Self { cores, before: before(scenario, plan, cores), late: late.collect() }
    }
}

/// How long making keys takes before the run begins.
fn before(scenario: &Scenario, plan: &Plan, cores: usize) -> Duration {
    let mut shared = vec![false; scenario.fleet.classes.len()];
    let (mut all, mut wanted) = (Duration::ZERO, Duration::ZERO);
    for (index, share) in shares(scenario, plan).into_iter().enumerate() {
        let whole = all_before(scenario, index);
        let count = if whole { usize::MAX } else { share };
        for (_, device) in plan.schedule.who_is_due(index).take(count) {
            let cost = cost(scenario, scenario.fleet.mix.class_of(device), &mut shared);
            all += cost;
            wanted += if whole { cost } else { Duration::ZERO };
        }
    }
    let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
    (all / cores).min(scenario.limits.prepare.max(wanted / cores))
}

/// What the key of one more device of a class takes. One key serves all devices of a class that shares it.
fn cost(scenario: &Scenario, class: usize, shared: &mut [bool]) -> Duration {
    let DeviceClass { key_algorithm, keys, .. } = &scenario.fleet.classes[class];
    let Cost { key, csr } = Cost::of(*key_algorithm, scenario.fleet.crypto_provider);
    let made = *keys == KeySource::Shared && std::mem::replace(&mut shared[class], true);
    if made { csr } else { key + csr }
}

/// How many keys of each stage may be made before the run: stages that begin with it have as many as may be ahead of need, the
/// others share what these leave of that. Stages whose keys are all made before are apart.
fn shares(scenario: &Scenario, plan: &Plan) -> Vec<usize> {
    let most = scenario.limits.keys_ahead as usize;
    let first: Vec<_> = (0..plan.stages.len()).map(|stage| plan.schedule.begins_with_run(stage)).collect();
    let devices = |index: usize| match may_be_before(&scenario.stages[index]) && !all_before(scenario, index) {
        true => plan.stages[index].devices as usize,
        false => 0,
    };
    let reserved: usize = (0..first.len()).filter(|index| first[*index]).map(|index| devices(index).min(most)).sum();
    let mut room = most.saturating_sub(reserved);
    let share = |(index, first): (usize, bool)| {
        if first {
            return devices(index).min(most);
        }
        let share = devices(index).min(room);
        room -= share;
        share
    };
    first.into_iter().enumerate().map(share).collect()
}

/// Whether a stage makes keys that may be made before the run: renewals follow from certificates that are not there yet.
pub(super) fn may_be_before(stage: &Stage) -> bool {
    stage.kind.makes_keys() && stage.renewal_timing().is_none()
}

/// Whether the run waits for all keys of a stage before it begins.
fn all_before(scenario: &Scenario, index: usize) -> bool {
    let stage = &scenario.stages[index];
    may_be_before(stage) && scenario.any_class_of(stage, |class| class.keys == KeySource::PreGenerated)
}

/// What one way of going about it makes of a stage.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    longest: Duration,
    devices: u64,
    dropped: u64,
}

/// `drops`: what is too late is not made.
fn simulate(scenario: &Scenario, plan: &Plan, cores: usize, drops: bool) -> Vec<Effect> {
    let mut outcomes = vec![Effect::default(); scenario.stages.len()];
    // Classes whose one key is made.
    let mut shared = vec![false; scenario.fleet.classes.len()];
    let shares = shares(scenario, plan).into_iter().enumerate();
    let mut sources: Vec<_> = shares.map(|(stage, share)| jobs(scenario, plan, stage, share)).collect();
    // Keys that are made in no time never wait for those that are not.
    let is_slow = |stage| scenario.any_class_of(stage, |class| class.key_algorithm.rsa_bits().is_some());
    let slow: Vec<bool> = scenario.stages.iter().map(is_slow).collect();
    // The next of every stage, by when it is ordered; and what is ordered, by when it is due.
    let (mut coming, mut ordered) = (BinaryHeap::new(), BinaryHeap::new());
    let entry = |stage: usize, (due, ordered, class): Job| Reverse((ordered, stage, due, class));
    for (stage, source) in sources.iter_mut().enumerate() {
        coming.extend(source.next().map(|job| entry(stage, job)));
    }
    // When each core is free.
    let mut free: BinaryHeap<_> = (0..cores.max(1)).map(|_| Reverse(Duration::ZERO)).collect();
    let mut now = Duration::ZERO;
    while let Some(Reverse(idle)) = free.pop() {
        now = now.max(idle);
        if let (Some(Reverse((next, ..))), true) = (coming.peek(), ordered.is_empty()) {
            now = now.max(*next);
        }
        while coming.peek().is_some_and(|Reverse((at, ..))| *at <= now)
            && let Some(Reverse((_, stage, due, class))) = coming.pop()
        {
            ordered.push(Reverse((slow[stage], due, stage, class)));
            coming.extend(sources[stage].next().map(|job| entry(stage, job)));
        }
        let Some(Reverse((_, due, stage, class))) = ordered.pop() else { break };
        let max_lateness = match &scenario.stages[stage].workload {
            Workload::Open { max_lateness, .. } => *max_lateness,
            Workload::Closed { .. } => Duration::MAX,
        };
        let gone = drops && now > due.saturating_add(max_lateness);
        let ends = now + cost(scenario, class, &mut shared);
        free.push(Reverse(if gone { now } else { ends }));
        let late = ends.saturating_sub(due);
        let outcome = &mut outcomes[stage];
        outcome.longest = outcome.longest.max(late);
        outcome.devices += u64::from(late > scenario.limits.harmless_lateness);
        outcome.dropped += u64::from(late > max_lateness);
    }
    outcomes
}

/// The keys of a stage, in the order in which its devices are due; none when it makes none, or the target decides when its
/// devices come. `share` of them may be made before the run.
fn jobs<'a>(scenario: &'a Scenario, plan: &'a Plan, index: usize, share: usize) -> Box<dyn Iterator<Item = Job> + 'a> {
    let (stage, limits) = (&scenario.stages[index], &scenario.limits);
    let (Some(start), true) = (plan.stages[index].start, stage.kind.makes_keys()) else {
        return Box::new(std::iter::empty());
    };
    if all_before(scenario, index) {
        return Box::new(std::iter::empty());
    }
    // The run begins when the first keys are there, but not later than that.
    let start = limits.prepare + start;
    let due = move || plan.schedule.who_is_due(index);
    let real = move |offset| start + scenario.time_scale.to_real(offset);
    // So many are ordered before the run and when the stage begins, and one more whenever one is taken.
    let ahead = (limits.keys_ahead as usize).saturating_sub(share);
    let first = std::iter::repeat_n(Duration::ZERO, share).chain(std::iter::repeat_n(start, ahead));
    let ordered = first.chain(due().map(move |(at, _)| real(at)));
    let class = |device| scenario.fleet.mix.class_of(device);
    Box::new(due().zip(ordered).map(move |((at, device), ordered)| (real(at), ordered, class(device))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Like `late-keys`: few ECDSA keys at once, RSA keys a second later, beside each other.
    fn late(more: &[(&str, &str)], cores: usize) -> Vec<LateKeys> {
        time(more, cores).late
    }

    fn time(more: &[(&str, &str)], cores: usize) -> KeyTime {
        let stage = |name: &str, class: &str, start: &str| {
            format!(
                "[[stage]]\nname = '{name}'\nkind = 'provision'\nclasses = ['{class}']\n{start}\n\
                 arrival = {{ process = 'spread', over = '2s' }}\n"
            )
        };
        let text = format!(
            "schema = 1\nname = 'late'\nlimits = {{ prepare = '1s' }}\n[fleet]\ndevices = 60\n[[fleet.class]]\nname = 'ecc'\n\
             [[fleet.class]]\nname = 'rsa'\nkey_algorithm = 'rsa-4096'\n[[fleet.class]]\nname = 'rsab'\n\
             key_algorithm = 'rsa-4096'\n{}{}{}",
            stage("first", "ecc", ""),
            stage("second", "rsa", "with = 'first'\ndelay = '1s'"),
            stage("third", "rsab", "with = 'first'\ndelay = '1s'"),
        );
        let sets: Vec<_> = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let scenario = Scenario::parse("x.toml", &text, &sets).unwrap();
        KeyTime::of(&scenario, &Plan::new(&scenario, 1), cores)
    }

    #[test]
    fn keys_of_later_stages_take_the_time_that_there_is() {
        // 40 keys of 0.6 s on two cores are 12 s of work; the last is due at 2.9 s, and there is a second before.
        let found = late(&[], 2);
        assert_eq!(found.iter().map(|late| late.stage).collect::<Vec<_>>(), [1, 2], "the first stage is in time");
        let longest = found.iter().map(|late| late.longest).max().unwrap();
        assert!((8 * SECOND..9 * SECOND).contains(&longest), "{found:?}");
        let (devices, dropped) =
            found.iter().fold((0, 0), |(all, gone), late| (all + late.devices, gone + late.dropped));
        // By 8.9 s, when the last gives up, two cores make 29 keys.
        assert!(devices > 30 && (6..=16).contains(&dropped), "{found:?}");
        assert_eq!(late(&[], 64), [], "enough cores");
    }

    #[test]
    fn keys_of_later_stages_are_made_before_the_run_as_far_as_they_may_be_ahead() {
        let prepare = ("limits.prepare", "20s");
        assert_eq!(late(&[prepare], 2), [], "twelve seconds of twenty");
        // Those that begin with the run are 20.
        let found = late(&[prepare, ("limits.keys_ahead", "25")], 2);
        assert_eq!(found.iter().map(|late| late.stage).collect::<Vec<_>>(), [1, 2], "{found:?}");
    }

    #[test]
    fn how_long_keys_are_made_before_the_run_is_known() {
        let before = |more: &[(&str, &str)]| time(more, 2).before;
        assert_eq!(before(&[]), SECOND, "limits.prepare is over");
        assert!((11 * SECOND..13 * SECOND).contains(&before(&[("limits.prepare", "20s")])));
        assert!((11 * SECOND..13 * SECOND).contains(&before(&[("fleet.keys", "pre-generated")])), "all of them");
    }

    #[test]
    fn each_remedy_helps() {
        for (key, value) in [
            ("limits.prepare", "20s"),
            ("stage.second.delay", "20s"),
            ("stage.second.arrival.over", "30s"),
            ("fleet.class.rsa.key_algorithm", "ecdsa-p384"),
            ("fleet.class.rsa.keys", "shared"),
        ] {
            let less = |found: &[LateKeys]| found.iter().map(|late| late.devices).sum::<u64>();
            assert!(less(&late(&[(key, value)], 2)) < less(&late(&[], 2)), "{key}");
        }
        let early = [("stage.second.delay", "13s"), ("stage.third.delay", "13s")];
        assert_eq!(late(&early, 2), []);
    }

    #[test]
    fn what_begins_with_the_run_is_made_before() {
        let together = [("stage.second.delay", "0s"), ("stage.third.delay", "0s")];
        let enough = ("limits.prepare", "20s");
        assert_eq!(late(&[together[0], together[1], enough], 2), [], "twelve seconds of twenty");
        let prepare = ("limits.prepare", "2s");
        let found = late(&[together[0], together[1], prepare], 2);
        assert!(found.iter().all(|late| late.first) && found.len() == 2, "they are in nobody's way: {found:?}");
        let made = ("fleet.keys", "pre-generated");
        assert_eq!(late(&[together[0], together[1], prepare, made], 2), []);
        // No more are made ahead than that.
        let ahead = ("limits.keys_ahead", "1");
        assert!(!late(&[together[0], together[1], enough, ahead], 2).is_empty());
    }
}
