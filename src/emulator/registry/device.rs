use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use uuid::Uuid;

use super::registration::Registration;
use super::sharded::lock;
use crate::emulator::subscriptions::Subscriptions;

/// Ends of a session that others hold: they change its device and wake it, and it looks for itself. Nothing is sent
/// through it, so that ten thousand idle sessions cost next to nothing.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    number: u64,
    wake: Arc<Notify>,
}

impl Link {
    /// A link unlike all others.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), wake: Arc::new(Notify::new()) }
    }

    /// Makes the session look.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until somebody calls [`Self::wake`]; a call in advance counts.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// A device identity of the hub.
#[derive(Debug)]
pub(crate) struct Device {
    /// The device id.
    pub(crate) id: Arc<str>,
    state: Mutex<State>,
}

/// What changes about a device.
#[derive(Debug)]
pub(crate) struct State {
    /// Whether it may connect.
    pub(crate) enabled: bool,
    /// The identifier that its certificates carry; a new one revokes them all.
    pub(crate) unique_id: Uuid,
    /// SHA-256 of the certificate that it attested with at DPS, when it has no other: it may connect with this one.
    pub(crate) thumbprint: Option<Box<str>>,
    /// How it came here; its SAS key follows from that.
    pub(crate) registration: Registration,
    /// Its session, when it is connected.
    pub(crate) session: Option<Link>,
    /// Filters and granted QoS of its session; kept beyond it when the device asked for a persistent one.
    pub(crate) subscriptions: Subscriptions,
    /// A persistent session is there.
    pub(crate) persistent: bool,
    /// Device-to-cloud messages received.
    pub(crate) telemetry: u64,
}

impl Device {
    /// A device that has just been provisioned for the first time.
    pub(crate) fn new(registration: Registration) -> Self {
        Self {
            id: Arc::clone(&registration.device_id),
            state: Mutex::new(State {
                enabled: true,
                unique_id: Uuid::new_v4(),
                thumbprint: None,
                registration,
                session: None,
                subscriptions: Subscriptions::default(),
                persistent: false,
                telemetry: 0,
            }),
        }
    }

    /// Reads or changes it under its lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut lock(&self.state))
    }

    /// Whether `link` is still the session of the device.
    pub(crate) fn is_session(&self, link: &Link) -> bool {
        self.with(|state| state.session.as_ref() == Some(link))
    }
}
