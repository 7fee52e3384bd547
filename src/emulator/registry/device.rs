use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use uuid::Uuid;

use super::calls::Calls;
use super::enrollment::Enrollment;
use super::inbox::Inbox;
use super::registration::Registration;
use super::renewal::Renewal;
use super::twin::{Notification, Twin};
use crate::emulator::registry::Subscriptions;
use crate::emulator::sharded::lock;

/// Ends of a session that others hold: they change its device and wake it, and it looks for itself. Nothing is sent
/// through it, so that ten thousand idle sessions cost next to nothing.
#[derive(Debug, Clone)]
pub(crate) struct DeviceLink {
    number: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    wake: Notify,
    cut: AtomicBool,
    proven: AtomicBool,
}

impl DeviceLink {
    /// A link unlike all others.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), shared: Arc::default() }
    }

    /// Links made later have higher ones.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Makes the session look.
    pub(crate) fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Its peer has proved who it is.
    pub(crate) fn prove(&self) {
        self.shared.proven.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn is_proven(&self) -> bool {
        self.shared.proven.load(Ordering::Relaxed)
    }

    /// Makes the session end, as a fault.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether the session is to end.
    pub(crate) fn is_cut(&self) -> bool {
        self.shared.cut.load(Ordering::Relaxed)
    }

    /// Waits until somebody calls [`Self::wake`]; a call in advance counts.
    pub(crate) async fn woken(&self) {
        self.shared.wake.notified().await;
    }
}

impl PartialEq for DeviceLink {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// A device identity of the hub.
#[derive(Debug)]
pub(crate) struct Device {
    /// The device id.
    pub(crate) id: Arc<str>,
    state: Mutex<DeviceState>,
}

/// What changes about a device.
#[derive(Debug)]
pub(crate) struct DeviceState {
    /// Whether it may connect.
    pub(crate) enabled: bool,
    /// It was deleted: whoever still holds it must let it go.
    pub(crate) deleted: bool,
    /// It changed and waits to be written to the state.
    pub(crate) unsaved: bool,
    /// The identifier that its certificates carry; a new one revokes them all.
    pub(crate) unique_id: Uuid,
    /// SHA-256 of the certificate that it attested with at DPS, when it has no other: it may connect with this one.
    pub(crate) thumbprint: Option<Box<str>>,
    /// How it came here; its SAS key follows from that.
    pub(crate) registration: Registration,
    /// Its session, when it is connected.
    pub(crate) session: Option<DeviceLink>,
    /// Filters and granted QoS of its session; kept beyond it when the device asked for a persistent one.
    pub(crate) subscriptions: Subscriptions,
    /// A persistent session is there.
    pub(crate) persistent: bool,
    /// Device-to-cloud messages received.
    pub(crate) telemetry: u64,
    /// Its twin, once somebody asked for it.
    twin: Option<Box<Twin>>,
    /// Changes of desired properties that its session has not been told of.
    changes: VecDeque<Notification>,
    /// Cloud-to-device messages.
    pub(crate) inbox: Inbox,
    /// Direct method calls.
    pub(crate) calls: Calls,
    /// Its certificate renewal, the last one begun.
    pub(crate) renewal: Option<Box<Renewal>>,
    /// The packet id under which the result of a renewal was last sent.
    pub(crate) renewal_packet_id: u16,
}

impl Device {
    /// A device that has just been provisioned for the first time.
    pub(crate) fn new(registration: Registration) -> Self {
        // Checked when the enrollment was stored.
        let initial = registration.enrollment.other.get(Enrollment::INITIAL_TWIN).and_then(|t| Twin::initial(t).ok());
        Self {
            id: Arc::clone(&registration.device_id),
            state: Mutex::new(DeviceState {
                enabled: true,
                deleted: false,
                unsaved: false,
                unique_id: Uuid::new_v4(),
                thumbprint: None,
                registration,
                session: None,
                subscriptions: Subscriptions::default(),
                persistent: false,
                telemetry: 0,
                twin: initial.map(Box::new),
                changes: VecDeque::new(),
                inbox: Inbox::default(),
                calls: Calls::default(),
                renewal: None,
                renewal_packet_id: 0,
            }),
        }
    }

    /// Reads or changes it under its lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut DeviceState) -> R) -> R {
        f(&mut lock(&self.state))
    }

    /// Changes it and makes its session look.
    pub(crate) fn with_session<R>(&self, f: impl FnOnce(&mut DeviceState) -> R) -> R {
        let (result, session) = self.with(|state| (f(state), state.session.clone()));
        if let Some(session) = session {
            session.wake();
        }
        result
    }
}

impl DeviceState {
    /// Changes of desired properties that wait for a session at most; a device that misses older ones sees a gap in the
    /// versions.
    const MAX_CHANGES: usize = 50;

    /// A session begins; the earlier one, which is to end, and whether the device finds a session that it left. A clean
    /// session drops what was kept: subscriptions and messages.
    pub(crate) fn begin_session(&mut self, link: DeviceLink, clean: bool) -> (Option<DeviceLink>, bool) {
        let present = self.persistent && !clean;
        if !present {
            self.subscriptions = Subscriptions::default();
        }
        if clean {
            self.inbox.clear();
        }
        self.persistent = !clean;
        let earlier = self.session.replace(link);
        self.release();
        self.inbox.begin_session();
        if let Some(renewal) = &mut self.renewal {
            renewal.begin_session();
        }
        (earlier, present)
    }

    /// A session ends. Nothing happens when another one has taken its place.
    pub(crate) fn end_session(&mut self, link: &DeviceLink) {
        if self.session.as_ref() == Some(link) {
            self.session = None;
            self.release();
            if !self.persistent {
                self.subscriptions = Subscriptions::default();
            }
        }
    }

    /// Its twin.
    pub(crate) fn twin(&mut self) -> &mut Twin {
        self.twin.get_or_insert_default()
    }

    /// Its twin as it is to be stored.
    pub(crate) fn stored_twin(&self) -> Option<&Twin> {
        self.twin.as_deref()
    }

    /// Gives it the twin that was stored.
    pub(crate) fn restore_twin(&mut self, twin: Option<Twin>) {
        self.twin = twin.map(Box::new);
    }

    /// Has the session told of a change of the desired properties.
    pub(crate) fn notify(&mut self, change: Notification) {
        if self.changes.len() == Self::MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    /// A change to tell the session of.
    pub(crate) fn next_change(&mut self) -> Option<Notification> {
        self.changes.pop_front()
    }

    /// Lets go of what lives no longer than a session.
    fn release(&mut self) {
        self.calls.end_session();
        self.changes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::test_group;
    use super::*;

    #[test]
    fn a_session_that_takes_no_changes_is_told_of_the_last_ones() {
        let registration = Registration::new(test_group(), "d".into(), SystemTime::UNIX_EPOCH, None);
        let device = Device::new(registration);
        device.with(|state| {
            for version in 1..=60 {
                state.notify(Notification { version, body: String::new() });
            }
            let told: Vec<u64> = std::iter::from_fn(|| state.next_change()).map(|change| change.version).collect();
            assert_eq!(told, (11..=60).collect::<Vec<_>>());
        });
    }
}
