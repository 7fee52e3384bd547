use std::collections::VecDeque;

use crate::domain::FleetTime;
use crate::engine::plan::quota_check::{Quota, QuotaCheck, QuotaVerdict, StageCount};
use crate::model::{TokenBucket, TokenRate};

/// Measures what arrivals ask of one quota: against its bucket, which is told the fleet's time, and as the most within one period.
#[derive(Debug)]
pub(super) struct Meter {
    quota: Quota,
    limit: u32,
    bucket: TokenBucket,
    /// By stage.
    of: Vec<OfStage>,
    /// What came within the last period: when, from which stage, how many tokens.
    window: VecDeque<(FleetTime, usize, u64)>,
    within: u64,
    peak: Option<(u64, FleetTime)>,
    first_over: Option<FleetTime>,
    /// Most tokens of one arrival.
    each: u32,
    /// From the moment on from which others may come at any time.
    since: Option<Since>,
}

/// What those whose time is known leave to others from some moment on.
#[derive(Debug, Clone, Copy)]
struct Since {
    /// Fewest tokens left.
    fewest: u64,
    /// Most within one period that ends then or later.
    most: u64,
}

/// What one stage has to do with it, in tokens unless it says otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct OfStage {
    arrivals: u64,
    needed: u64,
    within: u64,
    at_peak: u64,
    /// Arrivals.
    over: u64,
    /// Of arrivals whose time is not known.
    untimed: u64,
}

impl Meter {
    pub(super) fn new(quota: Quota, limit: u32, burst: u32, stages: usize) -> Self {
        Self {
            quota,
            limit,
            bucket: TokenBucket::full(TokenRate::new(limit, quota.period().length(), burst)),
            of: vec![OfStage::default(); stages],
            window: VecDeque::new(),
            within: 0,
            peak: None,
            first_over: None,
            each: 0,
            since: None,
        }
    }

    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    /// One arrival after another, in order of time.
    pub(super) fn arrives(&mut self, at: FleetTime, stage: usize, tokens: u32) {
        if !self.asks(stage, tokens) {
            return;
        }
        self.forget(at);
        let asked = u64::from(tokens);
        match self.window.back_mut() {
            Some((last, of, count)) if *last == at && *of == stage => *count += asked,
            _ => self.window.push_back((at, stage, asked)),
        }
        self.within += asked;
        self.of[stage].within += asked;
        if self.peak.is_none_or(|(peak, _)| self.within > peak) {
            self.peak = Some((self.within, at));
            for of in &mut self.of {
                of.at_peak = of.within;
            }
        }
        let refused = !(0..tokens).all(|_| self.bucket.take(at.length()).is_ok());
        self.of[stage].over += u64::from(refused);
        if refused || self.within > self.bucket.rate().most() {
            self.first_over.get_or_insert(at);
        }
        self.watch(at);
    }

    /// An arrival at any time from then on.
    pub(super) fn may_arrive(&mut self, from: FleetTime, stage: usize, tokens: u32) {
        if self.asks(stage, tokens) {
            self.forget(from);
            self.since.get_or_insert(Since { fewest: u64::MAX, most: 0 });
            self.of[stage].untimed += u64::from(tokens);
            self.watch(from);
        }
    }

    fn asks(&mut self, stage: usize, tokens: u32) -> bool {
        let of = &mut self.of[stage];
        of.arrivals += u64::from(tokens > 0);
        of.needed += u64::from(tokens);
        self.each = self.each.max(tokens);
        tokens > 0
    }

    /// What came a period or longer ago.
    fn forget(&mut self, at: FleetTime) {
        while self.window.front().is_some_and(|(oldest, ..)| *oldest + self.quota.period() <= at) {
            if let Some((_, stage, tokens)) = self.window.pop_front() {
                self.within -= tokens;
                self.of[stage].within -= tokens;
            }
        }
    }

    fn watch(&mut self, at: FleetTime) {
        if let Some(Since { fewest, most }) = &mut self.since {
            *fewest = (*fewest).min(self.bucket.tokens(at.length()));
            *most = (*most).max(self.within);
        }
    }

    /// The most within one period, and when the last of it comes.
    pub(super) const fn peak(&self) -> Option<(u64, FleetTime)> {
        self.peak
    }

    /// What it comes to; `None` when nothing was asked for.
    pub(super) fn check(self) -> Option<QuotaCheck> {
        let shares = |count: fn(&OfStage) -> u64| -> Vec<StageCount> {
            let shares = self.of.iter().enumerate().map(|(stage, of)| StageCount { stage, count: count(of) });
            shares.filter(|share| share.count > 0).collect()
        };
        let sum = |count: fn(&OfStage) -> u64| self.of.iter().map(count).sum::<u64>();
        let (needed, over, untimed) = (sum(|of| of.needed), sum(|of| of.over), sum(|of| of.untimed));
        let fits =
            self.since.is_none_or(|since| untimed <= since.fewest && since.most + untimed <= self.bucket.rate().most());
        let verdict = match self.first_over {
            Some(_) => QuotaVerdict::Exceeded,
            None if fits => QuotaVerdict::Kept,
            None => QuotaVerdict::Unknown,
        };
        let peak_of = shares(|of| of.at_peak);
        // Those whose coming together matters.
        let together = |of: &&OfStage| of.at_peak > 0 || of.untimed > 0;
        let arrivals: u64 = self.of.iter().filter(together).map(|of| of.arrivals).sum();
        (needed > 0).then(|| QuotaCheck {
            quota: self.quota,
            limit: self.limit,
            period: self.quota.period(),
            most: self.bucket.rate().most(),
            needed,
            verdict,
            peak: self.peak.map(|(peak, _)| peak),
            peak_at: self.peak.map(|(_, at)| at),
            peak_of,
            untimed: shares(|of| of.untimed),
            over,
            over_of: shares(|of| of.over),
            first_over: self.first_over,
            together: arrivals,
            shortest_spread: self.bucket.rate().shortest_spread(arrivals, self.each).map(FleetTime::new),
            later: None,
        })
    }
}
