use std::collections::HashMap;
use std::time::Duration;

use crate::domain::Phase;

/// Devices that began and are not through, and since when they have been at it: what whoever cuts a stage off, or looks at one
/// that goes on, knows of them. Times are on the clock of the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct AtWork {
    devices: HashMap<u32, Open>,
}

/// The times of a device that are going on.
#[derive(Debug, Clone, Copy)]
struct Open {
    due: Duration,
    /// How long it took to get ready, once a device that stays connected is.
    ready: Option<Duration>,
    /// When it lost the connection that it wants back.
    lost: Option<Duration>,
    /// Time between attempts before the last of them, until it is ready.
    waited: Duration,
    /// When the last attempt ended, while there is no other.
    waits: Option<Duration>,
}

impl AtWork {
    /// A device begins, that was due then.
    pub(crate) fn begins(&mut self, device: u32, due: Duration) {
        self.devices.insert(device, Open { due, ready: None, lost: None, waited: Duration::ZERO, waits: None });
    }

    /// An attempt of it begins.
    pub(super) fn tries(&mut self, device: u32, at: Duration) {
        if let Some(open) = self.devices.get_mut(&device) {
            open.waited = open.waited_until(at);
            open.waits = None;
        }
    }

    /// An attempt of it ended.
    pub(super) fn waits(&mut self, device: u32, at: Duration) {
        if let Some(open) = self.devices.get_mut(&device) {
            open.waits = Some(at);
        }
    }

    /// How long it has waited between attempts so far.
    pub(super) fn waited(&self, device: u32) -> Duration {
        self.devices.get(&device).map(|open| open.waited).unwrap_or_default()
    }

    /// It is ready, and goes on: its times until then.
    pub(super) fn ready(&mut self, device: u32, at: Duration) -> Vec<(Phase, Duration)> {
        let Some(open) = self.devices.get_mut(&device) else { return Vec::new() };
        let times = open.times(at).collect();
        open.ready = Some(at.saturating_sub(open.due));
        times
    }

    /// It lost the connection that it wants back.
    pub(super) fn lost(&mut self, device: u32, at: Duration) {
        if let Some(open) = self.devices.get_mut(&device) {
            open.lost = Some(at);
        }
    }

    /// It has it back: how long that took.
    pub(super) fn recovered(&mut self, device: u32, at: Duration) -> Option<Duration> {
        let lost = self.devices.get_mut(&device)?.lost.take()?;
        Some(at.saturating_sub(lost))
    }

    /// It is through, or ends without: its times that went on until `until`, and how long it took to get what its stage wants.
    pub(super) fn ends(&mut self, device: u32, until: Duration) -> (Vec<(Phase, Duration)>, Option<Duration>) {
        let Some(open) = self.devices.remove(&device) else { return (Vec::new(), None) };
        let total = open.ready.unwrap_or_else(|| until.saturating_sub(open.due));
        (open.times(until).collect(), Some(total))
    }

    /// The times of all that go on, as far as they are seen at that time.
    pub(crate) fn seen(&self, at: Duration) -> impl Iterator<Item = (Phase, Duration)> {
        self.devices.values().flat_map(move |open| open.times(at))
    }
}

impl Open {
    fn waited_until(&self, at: Duration) -> Duration {
        self.waited + self.waits.map(|since| at.saturating_sub(since)).unwrap_or_default()
    }

    fn times(self, at: Duration) -> impl Iterator<Item = (Phase, Duration)> {
        let getting_ready = self.ready.is_none();
        let total = getting_ready.then(|| at.saturating_sub(self.due));
        let backoff = Some(self.waited_until(at)).filter(|waited| getting_ready && !waited.is_zero());
        let recover = self.lost.map(|lost| at.saturating_sub(lost));
        let times = [(Phase::Total, total), (Phase::Backoff, backoff), (Phase::Recover, recover)];
        times.into_iter().filter_map(|(phase, time)| Some((phase, time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_device_has_its_times_until_it_ends_whatever_attempts_it_takes() {
        let mut devices = AtWork::default();
        devices.begins(7, S(10));
        devices.tries(7, S(11));
        devices.waits(7, S(13));
        assert_eq!(devices.waited(7), S(0), "as far as other attempts came");
        assert_eq!(devices.seen(S(15)).collect::<Vec<_>>(), [(Phase::Total, S(5)), (Phase::Backoff, S(2))]);
        devices.tries(7, S(16));
        assert_eq!(devices.waited(7), S(3));
        devices.waits(7, S(18));
        assert_eq!(devices.ends(7, S(18)), (vec![(Phase::Total, S(8)), (Phase::Backoff, S(3))], Some(S(8))));
        assert_eq!(devices.ends(7, S(99)), (vec![], None), "once");
        assert_eq!(devices.seen(S(99)).count(), 0);
    }

    #[test]
    fn of_a_device_that_is_ready_only_what_it_lost_goes_on() {
        let mut devices = AtWork::default();
        devices.begins(7, S(10));
        devices.tries(7, S(10));
        devices.waits(7, S(12));
        assert_eq!(devices.ready(7, S(12)), [(Phase::Total, S(2))]);
        assert_eq!(devices.seen(S(50)).count(), 0);
        devices.lost(7, S(60));
        devices.tries(7, S(61));
        devices.waits(7, S(65));
        assert_eq!(devices.seen(S(70)).collect::<Vec<_>>(), [(Phase::Recover, S(10))]);
        assert_eq!(devices.recovered(7, S(75)), Some(S(15)));
        assert_eq!((devices.recovered(7, S(76)), devices.seen(S(80)).count()), (None, 0));
        devices.lost(7, S(90));
        assert_eq!(
            devices.ends(7, S(100)),
            (vec![(Phase::Recover, S(10))], Some(S(2))),
            "its total is that until it was ready"
        );
    }
}
