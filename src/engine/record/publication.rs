//! What a worker makes known of a stage while it works on it: five times a second a *view*, for those who watch and for
//! thresholds that end the run, and twice a second a *copy* of all that it recorded, for the case that the run is killed or
//! breaks. Both are swapped in: whoever records waits for nobody who reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{DueStep, Phase};
use crate::engine::record::recorder::Recorder;
use crate::engine::record::times::Times;
use crate::measure::{Counts, Histogram, Incidence, PhaseBuckets, PhaseHistograms};

/// How often there is a view, and whatever is shown of a run.
pub(crate) const VIEW_EVERY: Duration = Duration::from_millis(200);

/// How often there is a copy, and a record of the run so far is made of them.
pub(crate) const COPY_EVERY: Duration = Duration::from_millis(500);

/// Every so many views tell how times are distributed, which costs more.
const DETAIL_EVERY: u32 = 5;

/// Attempts in flight in each phase, in the order of [`Phase::ALL`].
pub(crate) type InPhases = [u64; Phase::COUNT];

/// What others want to know of a stage.
#[derive(Debug)]
pub(crate) struct Interest {
    /// Those that everybody looks at who watches, and those that a threshold waits for.
    times: Vec<Times>,
    pub(crate) distributions: bool,
    copies: bool,
}

impl Interest {
    /// `thresholds`: the times that they wait for; `distributions`: whether those of every phase are wanted once a second;
    /// `copies`: whether somebody keeps what was recorded.
    pub(crate) fn new(thresholds: impl IntoIterator<Item = Times>, distributions: bool, copies: bool) -> Self {
        let mut times = Times::TOTAL.to_vec();
        times.push(Times::Lateness);
        for wanted in thresholds {
            if !times.contains(&wanted) {
                times.push(wanted);
            }
        }
        Self { times, distributions, copies }
    }

    pub(crate) fn times(&self) -> &[Times] {
        &self.times
    }
}

/// A worker's counts and times of a stage so far.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) totals: Counts,
    pub(crate) attempts_ended: u64,
    pub(crate) connected: u64,
    pub(crate) in_phases: InPhases,
    pub(crate) all_due: bool,
    pub(crate) times: Vec<(Times, Histogram)>,
    pub(crate) detail: Option<Arc<Detail>>,
}

/// What is told once a second, when somebody wants it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Detail {
    pub(crate) phases: PhaseBuckets,
    pub(crate) lateness: Histogram,
    pub(crate) late_steps: [Histogram; DueStep::COUNT],
    /// Median time until a lost connection was there again.
    pub(crate) recover: Option<Duration>,
}

impl Detail {
    pub(crate) fn new(phases: &PhaseHistograms, lateness: &Histogram, late_steps: [Histogram; DueStep::COUNT]) -> Self {
        let recover = phases.succeeded(Phase::Recover).and_then(|times| times.quantile(0.5));
        Self { phases: PhaseBuckets::of(phases), lateness: lateness.clone(), late_steps, recover }
    }

    /// How late one in a hundred was of everything that was due but starts.
    pub(crate) fn late_p99(&self) -> [Option<Duration>; DueStep::COUNT] {
        self.late_steps.each_ref().map(|late| late.quantile(0.99))
    }
}

impl View {
    /// These times, when they are among those that are wanted.
    pub(crate) fn times(&self, wanted: Times) -> Option<&Histogram> {
        self.times.iter().find(|(times, _)| *times == wanted).map(|(_, histogram)| histogram)
    }

    /// How long devices take, of all of them who began.
    pub(crate) fn total(&self) -> Option<Incidence> {
        let [succeeded, failed, censored] = Times::TOTAL.map(|times| self.times(times));
        Incidence::new([succeeded?, failed?, censored?], self.totals.started)
    }

    /// Adds another worker's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        self.attempts_ended += other.attempts_ended;
        self.connected += other.connected;
        self.in_phases.iter_mut().zip(other.in_phases).for_each(|(all, of_worker)| *all += of_worker);
        self.all_due &= other.all_due;
        for (wanted, times) in &other.times {
            match self.times.iter_mut().find(|(known, _)| known == wanted) {
                Some((_, all)) => all.merge(times),
                None => self.times.push((*wanted, times.clone())),
            }
        }
        if let Some(detail) = &other.detail {
            let all = Arc::make_mut(self.detail.get_or_insert_default());
            all.phases.add(&detail.phases);
            all.lateness.merge(&detail.lateness);
            all.late_steps.iter_mut().zip(&detail.late_steps).for_each(|(all, of_worker)| all.merge(of_worker));
            all.recover = all.recover.max(detail.recover);
        }
    }
}

/// Where the newest of a worker's stage is, for all who read it.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    wanted: Arc<Interest>,
    newest: Arc<Mutex<Newest>>,
}

#[derive(Debug)]
struct Newest {
    view: Arc<View>,
    copy: Option<Arc<Recorder>>,
}

impl Publication {
    pub(crate) fn new(wanted: Arc<Interest>) -> Self {
        let view = View { detail: wanted.distributions.then(Arc::default), ..View::default() };
        Self { wanted, newest: Arc::new(Mutex::new(Newest { view: Arc::new(view), copy: None })) }
    }

    pub(crate) fn wanted(&self) -> &Interest {
        &self.wanted
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.newest().view)
    }

    /// All that was recorded, as if the stage had been cut off then; `None` before the first one.
    pub(crate) fn copy(&self) -> Option<Arc<Recorder>> {
        self.newest().copy.clone()
    }

    /// Held for as long as it takes to swap a pointer.
    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a publication that is its worker's.
#[derive(Debug)]
pub(crate) struct Publisher {
    publication: Publication,
    /// Devices of the stage that are this worker's.
    members: u64,
    /// When the next copy is due.
    next: Duration,
    /// The view before the one that is there, to be filled anew.
    spare: Arc<View>,
    /// Views so far.
    told: u32,
    detail: Option<Arc<Detail>>,
}

impl Publisher {
    pub(crate) fn new(publication: Publication, members: u64) -> Self {
        let next = if publication.wanted.copies { Duration::ZERO } else { Duration::MAX };
        Self { publication, members, next, spare: Arc::default(), told: 0, detail: None }
    }

    /// Whether a copy is due.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// Puts a copy in the place of the one before, when anybody wants one.
    pub(crate) fn copy(&mut self, recorder: &Recorder, now: Duration) {
        if !self.publication.wanted.copies {
            return;
        }
        self.next = now + COPY_EVERY;
        let copy = Arc::new(recorder.cut_off(now, self.members));
        let before = self.publication.newest().copy.replace(copy);
        // Outside the lock: nobody waits for whoever frees memory.
        drop(before);
    }

    pub(crate) fn view(&mut self, recorder: &Recorder, now: Duration, in_phases: InPhases, all_due: bool) {
        let wanted = &self.publication.wanted;
        if wanted.distributions && self.told.is_multiple_of(DETAIL_EVERY) {
            self.detail =
                Some(Arc::new(Detail::new(&recorder.phases, &recorder.lateness, recorder.late_steps.clone())));
        }
        self.told = self.told.wrapping_add(1);
        // Who still looks at it keeps it.
        if Arc::get_mut(&mut self.spare).is_none() {
            self.spare = Arc::default();
        }
        if let Some(view) = Arc::get_mut(&mut self.spare) {
            (view.totals, view.attempts_ended, view.connected) =
                (recorder.totals, recorder.attempts_ended, recorder.connected);
            (view.in_phases, view.all_due) = (in_phases, all_due);
            if view.times.is_empty() {
                view.times = wanted.times.iter().map(|times| (*times, Histogram::new())).collect();
            }
            for (times, histogram) in &mut view.times {
                times.copy_to(histogram, recorder, now);
            }
            view.detail.clone_from(&self.detail);
        }
        std::mem::swap(&mut self.publication.newest().view, &mut self.spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a recorder publishes of three devices, and where.
    fn published(wanted: Interest) -> (Recorder, Publication) {
        let publication = Publication::new(Arc::new(wanted));
        let mut recorder = Recorder::new();
        recorder.publish_in(publication.clone(), 3);
        (recorder, publication)
    }

    #[test]
    fn recording_alone_publishes_copies() {
        let (mut recorder, publication) = published(Interest::new([], false, true));
        recorder.attempt_started(0, Duration::ZERO, Duration::ZERO);
        let first = publication.copy().expect("the first one comes at once");
        assert_eq!((first.totals.attempts, first.totals.not_started), (0, 3));
        recorder.attempt_started(0, Duration::ZERO, COPY_EVERY / 2);
        assert!(Arc::ptr_eq(&first, &publication.copy().unwrap()), "it is not yet time for another");
        recorder.attempt_started(0, Duration::ZERO, COPY_EVERY);
        let second = publication.copy().unwrap();
        // As they were before it; what goes on is cut off.
        assert_eq!((second.totals.attempts, second.totals.failed_attempts.total(), second.attempts_ended), (2, 2, 2));
    }

    #[test]
    fn nobody_gets_a_copy_who_wants_none() {
        let (mut recorder, publication) = published(Interest::new([], false, false));
        recorder.attempt_started(0, Duration::ZERO, COPY_EVERY * 9);
        recorder.keep_now(COPY_EVERY * 9);
        assert!(publication.copy().is_none());
    }

    #[test]
    fn whoever_looks_at_a_view_keeps_it_while_newer_ones_come() {
        let (mut recorder, publication) = published(Interest::new([Times::Lateness], false, false));
        let mut seen = vec![publication.view()];
        for _ in 0..4 {
            recorder.attempt_started(0, Duration::ZERO, Duration::from_secs(1));
            recorder.show(Duration::from_secs(1), [0; Phase::COUNT], false);
            seen.push(publication.view());
        }
        let attempts: Vec<_> = seen.iter().map(|view| view.totals.attempts).collect();
        assert_eq!(attempts, [0, 1, 2, 3, 4]);
        let late = |view: &Arc<View>| view.times(Times::Lateness).map(Histogram::count);
        assert_eq!(seen.iter().map(late).collect::<Vec<_>>(), [None, Some(1), Some(2), Some(3), Some(4)]);
        // Once nobody looks any more, the two take turns.
        let places = [(); 4].map(|()| {
            seen.clear();
            recorder.show(Duration::from_secs(1), [0; Phase::COUNT], false);
            Arc::as_ptr(&publication.view())
        });
        assert_eq!((places[0], places[1]), (places[2], places[3]));
    }
}
