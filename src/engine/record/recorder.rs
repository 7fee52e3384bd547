use std::time::Duration;

use crate::domain::{DueStep, Failure, FailureClass, Fate, Lateness, Phase, cause};
use crate::engine::record::at_work::AtWork;
use crate::engine::record::publication::{InPhases, Publication, Publisher};
use crate::engine::record::rows::RowBatch;
use crate::engine::record::skips::{Lack, Skips};
use crate::measure::{Attempt, CompactHistogram, Counts, ErrorRow, Histogram, Outcome, PhaseHistograms};

/// What one worker writes down of one stage. Owned by its thread: recording takes no lock and, once a phase was seen, no
/// memory. What it takes, it takes when a device of the stage begins, and gives back when the stage is over.
#[derive(Debug, Default)]
pub struct Recorder {
    pub(crate) totals: Counts,
    pub(crate) phases: PhaseHistograms,
    /// How late attempts started.
    pub(crate) lateness: Histogram,
    /// How late everything else was that was due.
    pub(crate) late_steps: [Histogram; DueStep::COUNT],
    pub(crate) seconds: Seconds,
    pub(crate) errors: Errors,
    pub(crate) skips: Skips,
    /// Attempts that ended.
    pub(crate) attempts_ended: u64,
    /// Devices that stay connected and are so now. Only for those who watch: no part of the record.
    pub(crate) connected: u64,
    /// When the last attempt ended.
    pub(crate) last_end: Duration,
    /// Devices that began and are not through.
    pub(crate) at_work: AtWork,
    /// Every attempt on its way to somebody who writes it down.
    pub(crate) rows: Option<RowBatch>,
    publisher: Option<Box<Publisher>>,
}

impl Recorder {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing recorded; every attempt will go to `rows` too, if there are any.
    pub(crate) fn with(rows: Option<RowBatch>) -> Self {
        Self { rows, ..Self::default() }
    }

    /// From now on others see what is recorded of a stage in which so many devices of the worker take part. Copies of it come with
    /// the work itself: nobody waits until a loop beside thousands of handshakes has its turn.
    pub(crate) fn publish_in(&mut self, publication: Publication, members: u64) {
        self.publisher = Some(Box::new(Publisher::new(publication, members)));
    }

    /// Publishes a copy when it is time. Only where what was recorded is consistent: before something is added.
    pub(crate) fn keep(&mut self, now: Duration) {
        if self.publisher.as_ref().is_some_and(|publisher| publisher.is_due(now)) {
            self.keep_now(now);
        }
    }

    /// Publishes a copy whatever time it is, when anybody wants one.
    pub(crate) fn keep_now(&mut self, now: Duration) {
        if let Some(mut publisher) = self.publisher.take() {
            publisher.copy(self, now);
            self.publisher = Some(publisher);
        }
    }

    /// Publishes a view of that moment: `in_phases` of the attempts, and whether all devices were due.
    pub(crate) fn show(&mut self, now: Duration, in_phases: InPhases, all_due: bool) {
        if let Some(mut publisher) = self.publisher.take() {
            publisher.view(self, now, in_phases, all_due);
            self.publisher = Some(publisher);
        }
    }

    /// Nothing more is published, and no attempt goes to whoever writes them down.
    pub(crate) fn close(&mut self) {
        (self.rows, self.publisher) = (None, None);
    }

    /// Counts what happens in a second: the only place that does, so that a stage is the sum of its seconds.
    fn count(&mut self, at: Duration, count: impl Fn(&mut Counts)) {
        count(&mut self.totals);
        count(&mut self.seconds.at(at).counts);
    }

    /// A device became due.
    pub fn due(&mut self, at: Duration) {
        self.seconds.at(at).due += 1;
    }

    /// A device could not start in time.
    pub fn dropped(&mut self, at: Duration) {
        self.count(at, |counts| counts.dropped += 1);
    }

    /// A device had nothing to do.
    pub(crate) fn skipped(&mut self, lack: Lack) {
        self.totals.skipped += 1;
        self.skips.count(lack);
    }

    /// Devices had nothing to do, of whom it was known beforehand.
    pub(crate) fn skipped_all(&mut self, devices: &Skips) {
        self.totals.skipped += devices.devices();
        self.skips.add(devices);
    }

    /// A device started, that was due then: its first attempt is about to. Exactly one [`Self::device_ended`] follows.
    pub fn started(&mut self, device: u32, due: Duration, at: Duration) {
        self.count(at, |counts| counts.started += 1);
        self.at_work.begins(device, due);
    }

    /// An attempt of a device started, that was due at that time. Exactly one [`Self::attempt_ended`] follows.
    pub fn attempt_started(&mut self, device: u32, due: Duration, at: Duration) {
        self.keep(at);
        self.at_work.tries(device, at);
        self.count(at, |counts| counts.attempts += 1);
        self.lateness.record(nanos(at.saturating_sub(due)));
    }

    /// A device did something at a time of its own. That it was done is what came of it, whatever comes of its attempt.
    pub fn did(&mut self, Lateness { step, by }: Lateness) {
        self.late_steps[step.index()].record(nanos(by));
        self.phases.record_one(Phase::Late, Fate::Succeeded, nanos(by));
    }

    /// An attempt ended. Calls come in the order of `attempt.ended`.
    pub fn attempt_ended(&mut self, attempt: &Attempt, failure: Option<&Failure>) {
        self.keep(attempt.ended);
        self.last_end = self.last_end.max(attempt.ended);
        self.phases.record_attempt(attempt);
        self.at_work.waits(attempt.device, attempt.ended);
        self.attempts_ended += 1;
        self.seconds.at(attempt.ended).attempts_ended += 1;
        let facts = &attempt.facts;
        self.count(attempt.ended, |counts| {
            counts.throttled += u64::from(facts.throttled);
            counts.polls += u64::from(facts.polls);
            counts.retry_after_max = counts.retry_after_max.max(facts.retry_after_max);
            if let Outcome::Failed(class) = attempt.outcome {
                counts.failed_attempts[class] += 1;
            }
        });
        if let Some(failure) = failure {
            self.errors.count(failure, attempt.ended, 1);
        }
        if let Some(rows) = &mut self.rows {
            rows.push(attempt);
        }
    }

    /// How long a device has waited between its attempts so far.
    pub(crate) fn waited(&self, device: u32) -> Duration {
        self.at_work.waited(device)
    }

    /// A device that stays connected is so for the first time, and goes on.
    pub(crate) fn ready(&mut self, device: u32, at: Duration) {
        for (phase, time) in self.at_work.ready(device, at) {
            self.phases.record_one(phase, Fate::Succeeded, nanos(time));
        }
    }

    /// A device is through, or ended without, after one attempt or several. `seen_until`: until when it is known to be
    /// at it, if it was cut: that may be later than now.
    pub fn device_ended(&mut self, device: u32, at: Duration, outcome: Outcome, seen_until: Duration) {
        self.last_end = self.last_end.max(at);
        self.count(at, |counts| match outcome {
            Outcome::Success => counts.succeeded += 1,
            Outcome::Failed(class) => counts.failed[class] += 1,
        });
        let fate = outcome.fate_of_device();
        let (times, total) = self.at_work.ends(device, if fate == Fate::Censored { seen_until } else { at });
        for (phase, time) in times {
            self.phases.record_one(phase, fate, nanos(time));
        }
        if let Some(total) = total.filter(|_| outcome == Outcome::Success) {
            self.seconds.record_total(at, nanos(total));
        }
    }

    /// A device was found with an expired certificate.
    pub fn expired(&mut self, at: Duration) {
        self.count(at, |counts| counts.expired += 1);
    }

    /// A device that ended by a failure which might have passed was allowed no further attempt.
    pub fn gave_up(&mut self, at: Duration) {
        self.count(at, |counts| counts.gave_up += 1);
    }

    /// A held connection was lost.
    pub fn disconnected(&mut self, at: Duration) {
        self.last_end = self.last_end.max(at);
        self.count(at, |counts| counts.disconnects += 1);
    }

    /// A device lost the connection that it wants to hold: [`Self::recovered`] follows, or its end.
    pub fn lost(&mut self, device: u32, at: Duration) {
        self.disconnected(at);
        self.at_work.lost(device, at);
    }

    /// The connection that a device lost is there again.
    pub fn recovered(&mut self, device: u32, at: Duration) {
        if let Some(took) = self.at_work.recovered(device, at) {
            self.phases.record_one(Phase::Recover, Fate::Succeeded, nanos(took));
        }
    }

    /// What was recorded, without the rows on their way to somebody else.
    pub(crate) fn copy(&self) -> Self {
        let Self {
            totals,
            phases,
            lateness,
            late_steps,
            seconds,
            errors,
            skips,
            attempts_ended,
            connected,
            last_end,
            at_work,
            ..
        } = self;
        Self {
            totals: *totals,
            phases: phases.clone(),
            lateness: lateness.clone(),
            late_steps: late_steps.clone(),
            seconds: seconds.clone(),
            errors: errors.clone(),
            skips: skips.clone(),
            attempts_ended: *attempts_ended,
            connected: *connected,
            last_end: *last_end,
            at_work: at_work.clone(),
            rows: None,
            publisher: None,
        }
    }

    /// A copy, as if the stage of `members` devices had been cut off at that time: those that are not through are cut or not
    /// started.
    pub(crate) fn cut_off(&self, at: Duration, members: u64) -> Self {
        let mut cut = self.copy();
        let totals = &self.totals;
        let devices = totals.started.saturating_sub(totals.succeeded + totals.failed.total());
        let attempts = totals.attempts.saturating_sub(cut.attempts_ended);
        for (phase, time) in std::mem::take(&mut cut.at_work).seen(at) {
            cut.phases.record_one(phase, Fate::Censored, nanos(time));
        }
        cut.count(at, |counts| {
            counts.failed[FailureClass::Cut] += devices;
            counts.failed_attempts[FailureClass::Cut] += attempts;
        });
        cut.totals.planned = members;
        cut.totals.not_started = 0;
        cut.totals.not_started = members.saturating_sub(cut.totals.accounted());
        cut.attempts_ended += attempts;
        cut.seconds.at(at).attempts_ended += attempts;
        if attempts > 0 {
            let failure = Failure::new(FailureClass::Cut, "it was going on when the record was cut off");
            cut.errors.count(&failure, at, attempts);
        }
        if devices > 0 {
            cut.last_end = cut.last_end.max(at);
        }
        cut
    }

    /// So many telemetry messages were due and could not be sent.
    pub(crate) fn missed(&mut self, at: Duration, messages: u64) {
        if messages > 0 {
            self.count(at, |counts| counts.messages_missed += messages);
        }
    }

    /// A telemetry message was acknowledged.
    pub fn telemetry(&mut self, at: Duration, took: Duration) {
        self.keep(at);
        self.last_end = self.last_end.max(at);
        self.count(at, |counts| counts.telemetry += 1);
        self.phases.record_one(Phase::TelemetryAck, Fate::Succeeded, nanos(took));
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts per second of the run, and the latencies of each second; only of those in which something happened, so that a stage
/// that begins late takes no more than one that begins at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seconds {
    counts: BySecond<Second>,
    /// Latencies of the seconds that are over.
    finished: BySecond<CompactHistogram>,
    /// The second that is going on, and its latencies.
    current: (u64, Histogram),
}

/// Something of seconds of the run by their number, in order.
type BySecond<T> = Vec<(u64, T)>;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    pub(crate) counts: Counts,
    pub(crate) due: u64,
    pub(crate) attempts_ended: u64,
}

impl Seconds {
    fn at(&mut self, time: Duration) -> &mut Second {
        let second = time.as_secs();
        let place = match self.counts.last() {
            Some((last, _)) if *last == second => self.counts.len() - 1,
            _ => self.place(second),
        };
        &mut self.counts[place].1
    }

    fn place(&mut self, second: u64) -> usize {
        let place = self.counts.partition_point(|(known, _)| *known < second);
        if self.counts.get(place).is_none_or(|(known, _)| *known != second) {
            self.counts.insert(place, (second, Second::default()));
        }
        place
    }

    fn record_total(&mut self, at: Duration, nanos: u64) {
        let second = at.as_secs();
        if second > self.current.0 {
            self.finish();
            self.current.0 = second;
        }
        self.current.1.record(nanos);
    }

    fn finish(&mut self) {
        let (second, latencies) = &mut self.current;
        if latencies.count() > 0 {
            self.finished.push((*second, CompactHistogram::new(latencies)));
            latencies.clear();
        }
    }

    /// Counts, and latencies, by the number of the second, in order.
    pub(crate) fn into_parts(mut self) -> (BySecond<Second>, BySecond<CompactHistogram>) {
        self.finish();
        (self.counts, self.finished)
    }
}

/// Distinct failures. Messages name no device and no request, so there are few; should there be many, the rest is counted together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors {
    rows: Vec<ErrorRow>,
}

impl Errors {
    /// Most different ones. Codes are a peer's as well as words are, so that what comes beyond is told apart by its class alone.
    const MOST: usize = 500;
    const OTHER: &str = "(other codes and messages of this class)";

    pub(crate) fn count(&mut self, failure: &Failure, at: Duration, times: u64) {
        let row = ErrorRow {
            class: failure.class,
            code: failure.code,
            message: String::new(),
            count: times,
            first: at,
            last: at,
        };
        self.add(&row, &cause(&failure.message));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for row in &other.rows {
            self.add(row, &row.message);
        }
    }

    /// Counts `row` under `message`, which is copied only when it is new.
    fn add(&mut self, row: &ErrorRow, message: &str) {
        let rows = &mut self.rows;
        let place = |rows: &[ErrorRow], code: u32, message: &str| {
            rows.iter().position(|r| r.class == row.class && r.code == code && r.message == message)
        };
        let (code, message, known) = match place(rows, row.code, message) {
            None if rows.len() >= Self::MOST => (0, Self::OTHER, place(rows, 0, Self::OTHER)),
            known => (row.code, message, known),
        };
        match known.and_then(|place| rows.get_mut(place)) {
            Some(known) => {
                known.count += row.count;
                known.first = known.first.min(row.first);
                known.last = known.last.max(row.last);
            }
            None => rows.push(ErrorRow { code, message: message.to_owned(), ..row.clone() }),
        }
    }

    /// Most frequent first.
    pub(crate) fn into_rows(mut self) -> Vec<ErrorRow> {
        self.rows.sort_by(|a, b| (b.count, a.class, a.code, &a.message).cmp(&(a.count, b.class, b.code, &b.message)));
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::rows::{self, Received};
    use crate::measure::PhaseTimes;

    #[test]
    fn every_attempt_that_ends_goes_to_whoever_wants_them_one_by_one() {
        let (sink, source, lost) = rows::rows();
        let mut recorder = Recorder::with(Some(RowBatch::new(sink)));
        for device in 0..3 {
            recorder.attempt_ended(&Attempt { device, ..Attempt::that(Outcome::Success, PhaseTimes::new()) }, None);
        }
        // A copy that is put aside hands nothing over a second time.
        drop(recorder.copy());
        drop(recorder);
        let Received::Rows(rows) = source.next(Duration::ZERO) else { panic!("no rows") };
        assert_eq!(rows.iter().map(|row| row.device).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(matches!(source.next(Duration::ZERO), Received::End));
        assert_eq!(lost.load(std::sync::atomic::Ordering::Relaxed), 0);
    }

    #[test]
    fn only_seconds_with_a_success_have_latencies() {
        let mut recorder = Recorder::new();
        for (at, outcome) in [(3, Outcome::Success), (5, Outcome::Failed(FailureClass::Tls)), (9, Outcome::Success)] {
            let (device, at) = (at as u32, Duration::from_secs(at));
            recorder.started(device, at.saturating_sub(Duration::from_millis(1)), at);
            recorder.device_ended(device, at, outcome, at);
        }
        let (counts, latencies) = recorder.seconds.into_parts();
        assert_eq!(counts.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [3, 5, 9]);
        let latencies: Vec<_> = latencies.iter().map(|(second, times)| (*second, times.decode().count())).collect();
        assert_eq!(latencies, [(3, 1), (9, 1)]);
    }

    #[test]
    fn failures_are_told_apart_by_class_code_and_words() {
        let mut errors = Errors::default();
        for (class, code, message, at) in [
            (FailureClass::Rejected, 401_002, "no", 3),
            (FailureClass::Rejected, 401_002, "no", 1),
            (FailureClass::Rejected, 401_003, "no", 2),
            (FailureClass::Rejected, 401_002, "never", 2),
            (FailureClass::Protocol, 401_002, "no", 2),
        ] {
            errors.count(&Failure { class, code, message: message.to_owned() }, Duration::from_secs(at), 2);
        }
        let rows = errors.into_rows();
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [4, 2, 2, 2]);
        assert_eq!((rows[0].first, rows[0].last), (Duration::from_secs(1), Duration::from_secs(3)));
        let mut others: Vec<_> = rows[1..].iter().map(|row| (row.class, row.code, row.message.as_str())).collect();
        others.sort_unstable_by_key(|(_, code, message)| (*code, *message));
        assert_eq!(
            others,
            [
                (FailureClass::Rejected, 401_002, "never"),
                (FailureClass::Protocol, 401_002, "no"),
                (FailureClass::Rejected, 401_003, "no")
            ]
        );
    }

    #[test]
    fn failures_that_a_peer_invents_are_counted_in_bounded_memory() {
        let mut errors = Errors::default();
        let mut count = |class, code, message: &str| {
            errors.count(&Failure { class, code, message: message.to_owned() }, Duration::ZERO, 1);
        };
        for number in 0..2_000 {
            count(FailureClass::Rejected, number, "so it is");
            count(FailureClass::Protocol, 0, &format!("word{}", "x".repeat(number as usize)));
        }
        let mut all = Errors::default();
        all.merge(&errors);
        all.merge(&errors);
        for (errors, counted) in [(errors, 4_000), (all, 8_000)] {
            let rows = errors.into_rows();
            assert!(rows.len() <= Errors::MOST + FailureClass::ALL.len(), "{}", rows.len());
            assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), counted);
            assert!(rows[0].message == Errors::OTHER && rows[0].code == 0, "{:?}", rows[0]);
            assert!(rows.iter().all(|row| row.message.len() <= 600));
        }
    }
}
