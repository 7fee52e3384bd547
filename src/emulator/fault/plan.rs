use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::time::Instant;

use super::Drawn;
use crate::domain::TimeScale;
use crate::emulator::config::{Faults, fleet_time};

/// What is to go wrong, and when by the runtime's clock.
#[derive(Debug)]
pub(super) struct FaultPlan {
    pub(super) since: Instant,
    pub(super) faults: Faults,
    pub(super) ca_outage: Range<Instant>,
    pub(super) hub_outage: Range<Instant>,
    pub(super) pause: Range<Instant>,
    /// When each of those that are drawn begins and ends; for ever without an end.
    windows: [(Instant, Option<Instant>); Drawn::COUNT],
    /// In order.
    moments: Vec<(Instant, PlannedFault)>,
    /// How many of them are over.
    over: AtomicUsize,
    occasions: [AtomicU64; Drawn::COUNT],
}

/// Something that happens at a moment of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlannedFault {
    /// The hub ends all its connections.
    EndHubSessions,
    /// The credential policy is revoked.
    RevokePolicy,
    /// The hub learns of the new issuing CA.
    SyncCredentials,
}

impl FaultPlan {
    /// All times count from `since`.
    pub(super) fn new(faults: Faults, scale: TimeScale, since: Instant) -> Self {
        let after = |from: Instant, seconds: f64| from + scale.to_real(fleet_time(seconds));
        let range = |from: f64, length: f64| after(since, from)..after(after(since, from), length);
        let window = |from: f64, length: Option<f64>| {
            let begin = after(since, from);
            (begin, length.map(|length| after(begin, length)))
        };
        let Faults {
            drop_before_puback: before,
            drop_after_puback: behind,
            delayed_result: result,
            server_error: error,
            ca_outage,
            hub_disconnect,
            hub_outage,
            pause,
            policy_revoked,
            slow_handshake: handshake,
        } = &faults;
        let hub_away = range(hub_outage.from_seconds, hub_outage.for_seconds);
        let mut moments = Vec::new();
        for at in &policy_revoked.at_seconds {
            let revoked = after(since, *at);
            moments.push((revoked, PlannedFault::RevokePolicy));
            moments.push((after(revoked, policy_revoked.sync_after_seconds), PlannedFault::SyncCredentials));
        }
        moments.extend(hub_disconnect.at_seconds.iter().map(|at| (after(since, *at), PlannedFault::EndHubSessions)));
        moments.extend((!hub_away.is_empty()).then_some((hub_away.start, PlannedFault::EndHubSessions)));
        // Stable: of those at the same moment the revocation comes before what follows from it.
        moments.sort_by_key(|(at, _)| *at);
        Self {
            since,
            ca_outage: range(ca_outage.from_seconds, ca_outage.for_seconds),
            hub_outage: hub_away,
            pause: range(pause.from_seconds, pause.for_seconds),
            windows: [
                window(before.from_seconds, before.for_seconds),
                window(behind.from_seconds, behind.for_seconds),
                window(result.from_seconds, result.for_seconds),
                window(error.from_seconds, error.for_seconds),
                window(handshake.from_seconds, handshake.for_seconds),
            ],
            moments,
            over: AtomicUsize::new(0),
            occasions: std::array::from_fn(|_| AtomicU64::new(0)),
            faults,
        }
    }

    /// Whether the window of a fault that is drawn is open.
    pub(super) fn is_in_window(&self, drawn: Drawn, now: Instant) -> bool {
        let (begin, end) = self.windows[drawn as usize];
        begin <= now && end.is_none_or(|end| now < end)
    }

    /// How many occasions there were for it before.
    pub(super) fn occasion(&self, drawn: Drawn) -> u64 {
        self.occasions[drawn as usize].fetch_add(1, Ordering::Relaxed)
    }

    /// When the next moment is.
    pub(super) fn upcoming(&self) -> Option<Instant> {
        self.moments.get(self.over.load(Ordering::Relaxed)).map(|(at, _)| *at)
    }

    /// The next moment, which is over with that.
    pub(super) fn take(&self) -> Option<PlannedFault> {
        self.moments.get(self.over.fetch_add(1, Ordering::Relaxed)).map(|(_, moment)| *moment)
    }
}
