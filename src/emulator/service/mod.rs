//! All of the emulator without sockets; [`cloud`] is what back ends do with its hub.

mod cloud;
mod start_error;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use cloud::{CloudToDevice, ConnectionState, DeviceInfo, HubError, MethodResult, TwinInfo};
pub use start_error::StartError;

use super::config::{Config, Faults};
use super::core::Core;
use super::counters::Counters;
use super::https;
use super::session;
use super::transport::conversation::End;
use super::transport::held::PausableStream;
use super::transport::room::Place;
use crate::domain::FleetTime;
use crate::pki::sas::SymmetricKey;
use crate::settings::Problems;

/// DPS, hub and device registry without sockets: serves whatever byte stream it is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    core: Arc<Core>,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(End);

impl Service {
    /// New authorities, new keys where `config` has none, nothing registered.
    ///
    /// # Errors
    /// A value of `config` cannot be, or keys or threads could not be made.
    pub fn new(config: Config) -> Result<Self, StartError> {
        Ok(Self { core: Core::new(config)? })
    }

    /// Serves MQTT on `stream` until it ends. `certificates` are those of the peer of mutual TLS, leaf first; the caller
    /// has checked that the peer has the leaf's key.
    pub async fn serve_connection<S>(&self, stream: S, certificates: Vec<CertificateDer<'static>>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ended(session::serve(Arc::clone(&self.core), self.held(stream), certificates, Place::default()).await)
    }

    /// Serves HTTPS and MQTT over WebSocket on `stream`, below TLS, until it ends. `certificates` as for
    /// [`Self::serve_connection`].
    pub async fn serve_https<S>(&self, stream: S, certificates: Vec<CertificateDer<'static>>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        https::serve(Arc::clone(&self.core), self.held(stream), certificates, Place::default()).await;
    }

    fn held<S>(&self, stream: S) -> PausableStream<S> {
        PausableStream::new(&self.core.faults, &self.core.tally, stream)
    }

    /// Primary key of the enrollment group.
    pub fn group_key(&self) -> &SymmetricKey {
        &self.core.group_key
    }

    /// DER of the root of the authorities that issue device certificates.
    pub fn issuing_root(&self) -> &[u8] {
        self.core.adr.root_der()
    }

    /// Moves the wall clock of DPS, hub and authorities forward, so that tokens and certificates expire. Waiting times
    /// are not touched.
    pub fn advance_clock(&self, by: FleetTime) {
        // Only the record of it can fail, and the next one has it too.
        let _ = self.core.advance_clock(by);
    }

    /// What time it is for DPS, hub and authorities.
    pub fn now(&self) -> SystemTime {
        self.core.clock.now()
    }

    /// The measured part began at `anchor`, by the system's clock (or that of `Config::virtual_time`): from there on the
    /// wall clock runs at the speed of `Config::time_scale`, `anchor + (now - anchor) * scale`, however late this is
    /// called; before, it runs at real speed. The times of the fault plan begin now, and nothing of any quota or capacity is
    /// used up. Every run that is told so begins anew: its time counts from its own anchor.
    pub fn begin(&self, anchor: SystemTime) {
        self.core.begin(anchor);
    }

    /// Waits until all changes so far are on the disk, if state is kept; false when that cannot be had within 10 s.
    pub async fn durable(&self) -> bool {
        self.core.durable().await
    }

    /// Why the state cannot be written at present.
    pub fn state_failure(&self) -> Option<String> {
        self.core.journal.as_ref()?.failure()
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> Faults {
        self.core.faults.plan(Instant::now()).0
    }

    /// Changes what goes wrong on purpose; all times count from now, all dice are new.
    ///
    /// # Errors
    /// A value that cannot be.
    pub fn set_faults(&self, faults: Faults) -> Result<(), Problems> {
        faults.check()?;
        self.core.faults.set(faults, Instant::now());
        Ok(())
    }

    /// Ends all connections with the hub, as a fault; how many there were.
    pub fn disconnect_hub(&self) -> usize {
        self.core.disconnect_hub()
    }

    /// Does what is to be done from time to time: forgets what is too old, and injects the faults that have a moment.
    /// Never ends; [`Emulator::run`](super::Emulator::run) does it too.
    pub async fn tend(&self) {
        tend(&self.core).await;
    }

    /// What happened until now.
    pub fn counters(&self) -> Counters {
        self.core.tally.snapshot()
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// How often what is too old is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

async fn tend(core: &Core) {
    let keep_house = async {
        let mut tick = interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = tick.tick().await;
            core.registry.operations.expire(now);
            core.model.quotas.expire(now);
        }
    };
    let inject = async {
        loop {
            core.inject(core.faults.next_moment().await);
        }
    };
    tokio::join!(biased; inject, keep_house);
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            End::Left => "the peer left",
            End::Closed => "the peer closed the connection",
            End::Refused => "CONNECT was refused",
            End::Violation => "the peer broke a rule of the protocol",
            End::TimedOut => "the peer was silent for too long",
            End::TakenOver => "its device connected again",
            End::Expired => "its token expired",
            End::Dismissed => "its device was disabled or deleted, or its certificate revoked",
            End::Throttled => "there was too much to do",
            End::Injected => "a fault was injected",
            End::Broken => "the connection broke",
        })
    }
}
