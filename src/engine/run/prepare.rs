//! What is made ready before stages begin: the keys of all of them, and who is due when.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{interval, timeout};

use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::keys::KeySupply;
use crate::engine::keys::queue::Lane;
use crate::engine::plan::due::DueList;
use crate::engine::plan::schedule::{self, Begins};
use crate::engine::plan::setup::StageSetup;
use crate::engine::record::publication::VIEW_EVERY;
use crate::engine::record::skips::Skips;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::crew::by_worker;
use crate::engine::watch::progress::Progress;
use crate::scenario::{KeySource, Stage, Workload};

/// A stage before it begins.
pub(crate) enum PreparedStage {
    Ordered(Ordered),
    /// It begins with the run, so that nothing of it is left for then.
    Ready(Ready),
}

/// A stage whose keys are being made.
pub(crate) struct Ordered {
    setup: Arc<StageSetup>,
    /// By worker; `None` when its devices need none.
    supplies: Vec<Option<KeySupply>>,
}

/// A stage that may begin.
pub(crate) struct Ready {
    pub(crate) setup: Arc<StageSetup>,
    pub(crate) parts: Vec<WorkerPart>,
    /// Who is due when; `None` when devices come as others are done.
    pub(crate) list: Option<DueList>,
}

/// A worker's part of it.
pub(crate) struct WorkerPart {
    pub(crate) members: Vec<u32>,
    /// Those of them that will not become due.
    pub(crate) unlisted: Skips,
    pub(crate) keys: Option<KeySupply>,
}

impl Conductor {
    /// Has the keys of all stages made, and waits until as many are there as may be ahead of need, the time for it is over, or
    /// the run is stopped. Renewals follow from the certificates that are there when their stage begins, so that their keys
    /// are not made before.
    pub(crate) async fn prepare(&self) -> Vec<Option<PreparedStage>> {
        let prepare = |(index, stage): (usize, &Stage)| {
            if stage.renewal_timing().is_some() {
                return None;
            }
            let begins = self.plan.schedule.foreseen_begin(index);
            let ordered = self.order(index, begins, None);
            Some(match begins {
                Begins::At(Duration::ZERO) => PreparedStage::Ready(self.line_up(index, ordered)),
                _ => PreparedStage::Ordered(ordered),
            })
        };
        let ordered = self.scenario.stages.iter().enumerate().map(prepare).collect();
        self.enough_keys().await;
        ordered
    }

    /// Has the keys of a stage made. `renewals`: due times by device, in order, where the plan does not know them.
    fn order(&self, index: usize, begins: Begins, renewals: Option<Vec<(Duration, u32)>>) -> Ordered {
        let setup = Arc::new(StageSetup::new(index, &self.scenario, &self.classes));
        let workers = self.crew.split().workers as usize;
        if !setup.stage.kind.makes_keys() {
            return Ordered { setup, supplies: (0..workers).map(|_| None).collect() };
        }
        let lane = self.lane(index, begins, renewals);
        let supplies = self.works.supply(&setup, lane, workers).into_iter().map(Some).collect();
        Ordered { setup, supplies }
    }

    /// Which keys a stage needs, and how urgently.
    fn lane(&self, index: usize, begins: Begins, renewals: Option<Vec<(Duration, u32)>>) -> Lane {
        let stage = &self.scenario.stages[index];
        // Renewals are known when their stage has begun.
        let known_before = renewals.is_none();
        let (devices, list): (_, DueList) = match renewals {
            Some(renewals) => (renewals.len() as u64, Box::new(renewals.into_iter())),
            None => (self.plan.stages[index].devices.into(), self.plan.schedule.due_list(index)),
        };
        let lane = Lane::new(begins, list, devices, self.crew.split())
            .running(!known_before || begins == Begins::At(Duration::ZERO))
            .whole(known_before && self.scenario.any_class_of(stage, |class| class.keys == KeySource::PreGenerated))
            .quick(!self.scenario.any_class_of(stage, |class| class.key_algorithm.rsa_bits().is_some()));
        match stage.workload {
            Workload::Closed { concurrency } => lane.closed(self.plan.shard.of(concurrency).into()),
            Workload::Open { .. } => lane,
        }
    }

    async fn enough_keys(&self) {
        let (wanted, whole) = self.works.expected();
        if wanted == 0 {
            return;
        }
        let started = tokio::time::Instant::now();
        let show = async {
            let mut every = interval(VIEW_EVERY);
            loop {
                every.tick().await;
                if let Some(progress) = &self.progress {
                    // As long as nothing else is said, a run is in the part of preparation.
                    progress.send_replace(Progress {
                        elapsed: started.elapsed(),
                        keys_ready: self.works.made(),
                        keys_wanted: wanted,
                        ..Progress::default()
                    });
                }
            }
        };
        let limit = self.scenario.limits.prepare;
        let enough = async {
            let in_time = timeout(limit, self.works.wait_for(wanted)).await.is_ok();
            self.works.wait_for_whole(whole).await;
            in_time
        };
        let in_time = tokio::select! {
            biased;
            () = self.halt.cancelled() => true,
            in_time = enough => in_time,
            () = show => true,
        };
        let made = self.works.made();
        if !in_time && made < wanted {
            self.board.note(format!(
                "{made} of {wanted} keys were made before the run, as limits.prepare = {} was over; the others are made \
                 while devices come, and cost CPU there",
                humantime::format_duration(limit),
            ));
        }
    }

    /// A stage that has its keys made, and whose arrivals the plan knows.
    pub(crate) fn line_up(&self, index: usize, ordered: Ordered) -> Ready {
        let Ordered { setup, supplies } = ordered;
        let members = by_worker(self.plan.schedule.members(index), self.crew.split());
        let part = |(members, keys)| WorkerPart { members, unlisted: Skips::default(), keys };
        let closed = matches!(setup.stage.workload, Workload::Closed { .. });
        let list = (!closed).then(|| self.plan.schedule.due_list(index));
        Ready { setup, parts: members.into_iter().zip(supplies).map(part).collect(), list }
    }

    /// The renewals of a stage that begins at that time, due where each device's own certificate puts them.
    pub(crate) async fn renewals(&self, index: usize, clock: RunClock, begins: Duration) -> Result<Ready, EngineError> {
        let split = self.crew.split();
        let members = by_worker(self.plan.schedule.members(index), split);
        let (certified, unlisted) = self.crew.certificates(members.clone()).await?;
        let scale = self.scenario.time_scale;
        // By the wall clock, which went on while workers were asked.
        let now = self.wall_clock();
        let began = scale.to_fleet(clock.now().saturating_sub(begins)).before(now).unwrap_or(now);
        let due = schedule::renewals(&self.scenario, self.plan.seed, index, certified, began);
        let due: Vec<_> = due.into_iter().map(|(at, device)| (scale.to_real(at), device)).collect();
        let Ordered { setup, supplies } = self.order(index, Begins::At(begins), Some(due.clone()));
        let parts = members.into_iter().zip(unlisted).zip(supplies);
        let parts = parts.map(|((members, unlisted), keys)| WorkerPart { members, unlisted, keys });
        Ok(Ready { setup, parts: parts.collect(), list: Some(Box::new(due.into_iter())) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::engine::keys::queue::KeyQueue;
    use crate::engine::scene;
    use crate::engine::watch::progress::RunPart;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const AT_ONCE: &str = "arrival = 'at-once'\n";

    /// One more stage.
    fn then(kind: &str, lines: &str) -> String {
        format!("[[stage]]\nname = 'then'\nkind = '{kind}'\n{AT_ONCE}{lines}\n")
    }

    /// What there is to be made of two stages of five devices, at most so many ahead of need; and whether they renew.
    async fn queue(lines: &str, most: u64, stages: [(Begins, bool); 2]) -> KeyQueue {
        let conductor = scene::conductor(scene::scenario(5, lines), (None, 2), None).await;
        let mut queue = KeyQueue::new(2, most);
        for (index, (begins, renews)) in stages.into_iter().enumerate() {
            let renewals = renews.then(|| (0..5).map(|device| (S(1), device)).collect());
            queue.add(index, conductor.lane(index, begins, renewals));
        }
        queue
    }

    #[tokio::test]
    async fn stages_that_begin_with_the_run_have_keys_ahead_of_their_own_and_so_have_renewals_that_are_known() {
        let (zero, later) = (Begins::At(S(0)), Begins::At(S(10)));
        let two = format!("{AT_ONCE}{}", then("provision", ""));
        assert_eq!(queue(&two, 2, [(zero, false), (zero, false)]).await.expected(), (4, 0));
        assert_eq!(queue(&two, 2, [(zero, false), (later, false)]).await.expected(), (2, 0));
        assert_eq!(queue(&two, 2, [(later, false), (Begins::NotBefore(S(0)), false)]).await.expected(), (2, 0));
        let renewals = format!("{AT_ONCE}{}", then("renew", ""));
        assert_eq!(queue(&renewals, 2, [(zero, false), (later, true)]).await.expected(), (4, 0));
    }

    #[tokio::test]
    async fn pre_generated_keys_are_all_made_before_but_those_of_renewals_that_are_not_known_then() {
        let zero = Begins::At(S(0));
        for (keys, expected) in [("pre-generated", (7, 5)), ("fresh", (4, 0)), ("seeded", (4, 0))] {
            let class = format!("[[fleet.class]]\nname = 'a'\nshare = 1\nkeys = '{keys}'");
            let lines = format!("{AT_ONCE}{}{class}", then("renew", ""));
            assert_eq!(queue(&lines, 2, [(zero, false), (zero, true)]).await.expected(), expected, "{keys}");
        }
    }

    #[tokio::test]
    async fn keys_that_take_long_wait_for_those_that_do_not() {
        let class =
            |name, algorithm| format!("[[fleet.class]]\nname = '{name}'\nshare = 1\nkey_algorithm = '{algorithm}'\n");
        let first = async |of_first: &'static str, of_second: &'static str| {
            let (a, b) = (class("a", of_first), class("b", of_second));
            let lines = format!("classes = ['a']\n{AT_ONCE}{}{a}{b}", then("provision", "classes = ['b']"));
            // What is due first is the first stage's.
            let mut queue = queue(&lines, 100, [(Begins::At(S(0)), false), (Begins::At(S(10)), false)]).await;
            queue.next(None).unwrap().stage
        };
        assert_eq!(first("ecdsa-p256", "ecdsa-p384").await, 0);
        assert_eq!(first("rsa-2048", "rsa-3072").await, 0);
        assert_eq!(first("rsa-2048", "ecdsa-p384").await, 1);
    }

    #[tokio::test]
    async fn nothing_of_a_stage_that_begins_with_the_run_is_left_for_then() {
        let beside = |kind, delay: &str| {
            then(kind, &format!("with = 's'\ndelay = '{delay}'")).replace("then", &format!("{kind}-{delay}"))
        };
        let lines = [beside("provision", "0s"), beside("provision", "1s"), beside("reconnect", "1s")];
        let lines = format!("{AT_ONCE}{}", lines.concat());
        let renewals =
            "[[stage]]\nname = 'renewals'\nkind = 'renew'\narrival = { process = 'from-expiry', strategy = 'uniform' }";
        let conductor = scene::conductor(scene::scenario(5, &(lines + renewals)), (None, 9), None).await;
        let prepared: Vec<_> = conductor
            .prepare()
            .await
            .into_iter()
            .map(|prepared| match prepared {
                None => "not known",
                Some(PreparedStage::Ready(ready)) if ready.parts.iter().all(|part| part.keys.is_some()) => "ready",
                Some(PreparedStage::Ordered(ordered)) if ordered.supplies.iter().all(Option::is_some) => "ordered",
                Some(PreparedStage::Ordered(ordered)) if ordered.supplies.iter().all(Option::is_none) => "needs none",
                Some(_) => "in part",
            })
            .collect();
        assert_eq!(prepared, ["ready", "ready", "ordered", "needs none", "not known"]);
        for (workload, has_due_times) in [(AT_ONCE, true), ("workload = 'closed'\nconcurrency = 2", false)] {
            let conductor = scene::conductor(scene::scenario(5, workload), (None, 9), None).await;
            let Some(PreparedStage::Ready(ready)) = conductor.prepare().await.remove(0) else { panic!("it is ready") };
            assert_eq!(ready.list.is_some(), has_due_times, "{workload}");
        }
    }

    /// What is shown and noted of a run whose first stage has so many of its five devices' keys made, and never more.
    async fn enough(made: u32) -> (Progress, Vec<String>, Duration) {
        let scenario = scene::scenario(5, &format!("{AT_ONCE}[limits]\nprepare = '1s'"));
        let (sender, shown) = watch::channel(Progress::default());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let conductor = scene::conductor(scenario, (Some(pool), 9), Some(sender)).await;
        let setup = Arc::new(StageSetup::new(0, &conductor.scenario, &conductor.classes));
        let list = (0..made).map(|device| (S(0), device));
        let lane = Lane::new(Begins::At(S(0)), Box::new(list), 5, scene::ALONE);
        let _supplies = conductor.works.supply(&setup, lane, 1);
        conductor.works.wait_for(made.into()).await;
        let began = tokio::time::Instant::now();
        conductor.enough_keys().await;
        let shown = shown.borrow().clone();
        (shown, conductor.board.notes(), began.elapsed())
    }

    fn note(made: u32, wanted: u32) -> String {
        format!(
            "{made} of {wanted} keys were made before the run, as limits.prepare = 1s was over; the others are made while \
             devices come, and cost CPU there"
        )
    }

    /// What is noted when the keys of the first stage, which are pre-generated, come only after two seconds; and those of the second
    /// never, when there is one.
    async fn late(second: bool, halts: bool) -> Vec<String> {
        let scenario = scene::scenario(5, &format!("{AT_ONCE}{}[limits]\nprepare = '1s'", then("provision", "")));
        let (pool, gate) = scene::gated_pool();
        let conductor = scene::conductor(scenario, (Some(pool), 9), None).await;
        let supply = |stage, lane| {
            let setup = Arc::new(StageSetup::new(stage, &conductor.scenario, &conductor.classes));
            conductor.works.supply(&setup, lane, 1)
        };
        let _first = supply(0, conductor.lane(0, Begins::At(S(0)), None).whole(true));
        let never = Lane::new(Begins::At(S(5)), Box::new(std::iter::empty()), 5, scene::ALONE);
        let _second = second.then(|| supply(1, never));
        if halts {
            conductor.halt.cancel();
        }
        tokio::spawn(async move {
            tokio::time::sleep(S(2)).await;
            drop(gate);
        });
        conductor.enough_keys().await;
        conductor.board.notes()
    }

    #[tokio::test(start_paused = true)]
    async fn pre_generated_keys_are_waited_for_beyond_the_limit_and_only_what_is_missing_then_is_noted() {
        assert_eq!(late(false, false).await, Vec::<String>::new());
        assert_eq!(late(true, false).await, [note(5, 10)]);
        assert_eq!(late(true, true).await, Vec::<String>::new(), "a run that is stopped makes no more");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_waited_for_as_long_as_the_limit_allows_and_what_is_left_to_be_made_is_noted() {
        let (shown, notes, took) = enough(2).await;
        assert_eq!((shown.part, shown.keys_ready, shown.keys_wanted), (RunPart::Prepare, 2, 5));
        // Five times a second; the runtime's timers are good to a millisecond.
        let millis = |time: Duration| time.as_millis() / 10;
        assert!((80..=100).contains(&millis(shown.elapsed)) && millis(took) == 100, "{shown:?} {took:?}");
        assert_eq!(notes, [note(2, 5)]);
        let (_, notes, took) = enough(5).await;
        assert_eq!((notes, took), (Vec::new(), Duration::ZERO));
    }
}
