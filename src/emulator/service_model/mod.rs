//! What makes load meaningful: how long the service takes, how much it does at once, and how much it allows.
//!
//! Nothing here waits. Whoever serves a request asks when its answer is due, or whether there is one at all, and sends it
//! then. With the defaults every question is answered without a lock.

mod latency;
mod quota;
mod station;

use tokio::time::Instant;

use super::config::Config;
use crate::domain::TimeScale;
pub use latency::HistogramError;
pub(crate) use quota::Over;
use quota::QuotaBuckets;
use station::Station;

pub(crate) use crate::model::QueueFull;

/// A kind of work of the service, as in `[model]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum ServiceStep {
    Register,
    Assign,
    Poll,
    HubConnect,
    Telemetry,
    RenewalAccept,
    RenewalIssue,
}

/// The model of one emulator.
#[derive(Debug)]
pub(crate) struct ServiceModel {
    stations: [Station; 7],
    /// From when on times are counted.
    origin: Instant,
    /// What is over.
    pub(crate) quotas: QuotaBuckets,
}

impl ServiceModel {
    pub(crate) fn new(config: &Config, scale: TimeScale) -> Result<Self, HistogramError> {
        let [a, b, c, d, e, f, g] = config.model.steps().map(|(name, step)| Station::new(name, config.seed, step));
        Ok(Self {
            stations: [a?, b?, c?, d?, e?, f?, g?],
            origin: Instant::now(),
            quotas: QuotaBuckets::new(config.quotas.limits(config.quota), &config.quotas, scale),
        })
    }

    /// Begins anew: no work is going on, the first piece of work takes the first latency, nothing of any quota is used up.
    pub(crate) fn restart(&self) {
        self.stations.iter().for_each(Station::restart);
        self.quotas.restart();
    }

    /// Whether there is anything of which connections with the hub use up a part.
    pub(crate) fn bounds_hub_connections(&self) -> bool {
        self.quotas.bounds_hub_connections() || !self.stations[ServiceStep::HubConnect as usize].is_instant()
    }

    /// When work that comes now is done; `None` is at once.
    pub(crate) fn admit(&self, step: ServiceStep, now: Instant) -> Result<Option<Instant>, QueueFull> {
        let done = self.stations[step as usize].admit(now.duration_since(self.origin))?;
        Ok(done.map(|done| self.origin + done))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::emulator::config::{LatencySettings, StepModel};

    #[tokio::test(start_paused = true)]
    async fn every_step_has_the_station_of_its_name() {
        let mut config = Config::default();
        let step = |ms| StepModel { latency: LatencySettings::Fixed { ms }, ..StepModel::default() };
        let model = &mut config.model;
        model.register = step(1.0);
        model.assign = step(2.0);
        model.poll = step(3.0);
        model.hub_connect = step(4.0);
        model.telemetry = step(5.0);
        model.renewal_accept = step(6.0);
        model.renewal_issue = step(7.0);
        let (model, now) = (ServiceModel::new(&config, TimeScale::REAL).unwrap(), Instant::now());
        for (i, step) in [
            ServiceStep::Register,
            ServiceStep::Assign,
            ServiceStep::Poll,
            ServiceStep::HubConnect,
            ServiceStep::Telemetry,
            ServiceStep::RenewalAccept,
            ServiceStep::RenewalIssue,
        ]
        .into_iter()
        .enumerate()
        {
            let due = now + Duration::from_millis(i as u64 + 1);
            assert_eq!(model.admit(step, now), Ok(Some(due)), "{step:?}");
        }
    }

    #[test]
    fn connections_with_the_hub_are_bounded_by_a_quota_or_by_the_time_that_they_take() {
        let bounded = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            ServiceModel::new(&config, TimeScale::REAL).unwrap().bounds_hub_connections()
        };
        assert!(!bounded(|_| {}));
        assert!(!bounded(|config| config.quotas.renewals_per_minute = Some(1)));
        assert!(bounded(|config| config.quotas.hub_connections_per_second = Some(1)));
        assert!(bounded(|config| config.model.hub_connect.latency = LatencySettings::Fixed { ms: 1.0 }));
        assert!(!bounded(|config| config.model.telemetry.latency = LatencySettings::Fixed { ms: 1.0 }));
    }
}
