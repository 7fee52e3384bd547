use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::{FleetTime, IdScope};
use crate::emulator::clock::Clock;
use crate::emulator::config::{Config, ConfigError};
use crate::emulator::counters::{Event, Tally};
use crate::emulator::fault::{FaultInjector, PlannedFault};
use crate::emulator::issuing::adr::{Adr, AuthoritiesError};
use crate::emulator::issuing::issuance::Issuance;
use crate::emulator::issuing::record::{AuthoritiesRecord, AuthorityRecord, BrokenAuthority};
use crate::emulator::issuing::trusted::{AuthorityId, Trusted};
use crate::emulator::registry::{Change, DeviceLink, Journal, Registry, RegistryError, Watchers};
use crate::emulator::service_model::{HistogramError, ServiceModel};
use crate::emulator::sharded::lock;
use crate::emulator::state::{self, StateError, Stored};
use crate::emulator::transport::turns::Turns;
use crate::pki::chain::ChainError;
use crate::pki::csr::to_base64;
use crate::pki::issuing_ca::RootCa;
use crate::pki::key::KeyError;
use crate::pki::sas::SymmetricKey;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) id_scope: IdScope,
    /// Primary key of the enrollment group that is there from the start.
    pub(crate) group_key: SymmetricKey,
    pub(crate) clock: Clock,
    pub(crate) tally: Arc<Tally>,
    pub(crate) registry: Registry,
    pub(crate) adr: Adr,
    pub(crate) issuance: Issuance,
    /// How long things take and how many are allowed.
    pub(crate) model: ServiceModel,
    /// What goes wrong on purpose.
    pub(crate) faults: Arc<FaultInjector>,
    /// Turns for what TLS handshakes have to compute.
    pub(crate) turns: Arc<Turns>,
    /// Those who watch device-to-cloud messages.
    pub(crate) watchers: Watchers,
    /// The authorities that the hub trusts since the last credential sync.
    trusted: RwLock<Arc<Trusted>>,
    /// Those whose sessions a fault ended, and whether there is any.
    ended: RwLock<Vec<AuthorityId>>,
    any_ended: AtomicBool,
    /// Whether a fault revoked the policy since the run began.
    was_revoked: AtomicBool,
    /// The certificates of those; locked while the authorities of registry or hub change.
    credentials: Mutex<Vec<Vec<u8>>>,
    /// Root of the TLS server certificate, once one is needed.
    server_root: Mutex<Option<Arc<RootCa>>>,
    /// Where the state is kept, if it is.
    pub(crate) journal: Option<Journal>,
    /// Held while the authorities are recorded, so that the last record is the newest.
    recording: Mutex<()>,
}

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the hub cannot use the issuing CA: {0}")]
    Authority(#[from] ChainError),
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cannot start the threads that sign certificates: {0}")]
    Threads(#[from] io::Error),
}

impl From<BrokenAuthority> for CoreError {
    fn from(broken: BrokenAuthority) -> Self {
        Self::State(broken.into())
    }
}

impl From<AuthoritiesError> for CoreError {
    fn from(error: AuthoritiesError) -> Self {
        match error {
            AuthoritiesError::Key(error) => Self::Key(error),
            AuthoritiesError::Stored(broken) => broken.into(),
        }
    }
}

impl From<RegistryError> for CoreError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Config(error) => Self::Config(error),
            RegistryError::Authority(error) => Self::State(StateError::Record(format!("an authority ({error})"))),
        }
    }
}

impl Core {
    pub(crate) fn new(mut config: Config) -> Result<Arc<Self>, CoreError> {
        config.check().map_err(ConfigError::from)?;
        let (journal, mut stored) = match &config.state {
            Some(folder) => state::open(folder).map(|(journal, stored)| (Some(journal), stored))?,
            None => (None, Stored::default()),
        };
        let group_key = config
            .group
            .primary_key
            .get_or_insert_with(|| stored.group_key(&config.group.id).unwrap_or_else(SymmetricKey::random))
            .clone();
        let scale = config.time_scale;
        let clock = Clock::new(scale, config.virtual_time, stored.clock_offset_ms());
        let authorities = stored.authorities.as_ref();
        let adr = Adr::new(&config, clock.now(), authorities)?;
        let server_root = authorities.and_then(|stored| stored.server_root.as_ref());
        let server_root = server_root.map(|root| Ok(RootCa::from_parts(&root.der()?, &root.key)?));
        let server_root = server_root.transpose().map_err(|error: CoreError| error)?.map(Arc::new);
        let cas = match authorities {
            Some(stored) => stored.synced_cas()?,
            None if config.hub.synced => adr.issuing_cas(),
            None => Vec::new(),
        };
        let before = (stored.take_enrollments()?, stored.take_cas()?);
        let registry = Registry::new(&config, clock.now(), before, journal.clone())?;
        stored.restore_into(&registry)?;
        let core = Arc::new(Self {
            id_scope: IdScope::new(&config.id_scope).map_err(ConfigError::from)?,
            group_key,
            issuance: match config.adr.issue_inline {
                true => Issuance::inline(),
                false => Issuance::start(config.adr.issuance_threads, config.adr.issuance_queue)?,
            },
            turns: Turns::new(config.listen.handshakes_at_once),
            registry,
            tally: Arc::new(Tally::new()),
            watchers: Watchers::new(),
            model: ServiceModel::new(&config, scale)?,
            faults: Arc::new(FaultInjector::new(config.seed, scale, config.faults.clone(), Instant::now())),
            trusted: RwLock::new(Arc::new(Trusted::new(&cas)?)),
            ended: RwLock::default(),
            any_ended: AtomicBool::new(false),
            was_revoked: AtomicBool::new(false),
            credentials: Mutex::new(cas),
            server_root: Mutex::new(server_root),
            journal,
            recording: Mutex::new(()),
            clock,
            adr,
            config,
        });
        core.record_authorities()?;
        Ok(core)
    }

    /// The root of the TLS server certificate.
    pub(crate) fn server_root(&self) -> Result<Arc<RootCa>, KeyError> {
        let root = {
            let mut root = lock(&self.server_root);
            if let Some(root) = &*root {
                return Ok(Arc::clone(root));
            }
            let new = Arc::new(RootCa::for_servers("fleetstorm emulator TLS root", self.clock.now())?);
            *root = Some(Arc::clone(&new));
            new
        };
        self.record_authorities()?;
        Ok(root)
    }

    /// Moves the clock forward.
    pub(crate) fn advance_clock(&self, by: FleetTime) -> Result<(), KeyError> {
        self.clock.advance(by);
        self.clock_changed();
        self.record_authorities()
    }

    /// The measured part of a run began at `anchor`: the clock runs at the speed of the time scale, the times of the faults count from
    /// now, and nothing of any quota or capacity is used up. What faults did in an earlier run is undone.
    pub(crate) fn begin(&self, anchor: SystemTime) {
        let again = self.clock.begin(anchor);
        if again && self.was_revoked.swap(false, Ordering::AcqRel) && self.restore_policy().is_err() {
            // Only the library can fail, and there is nobody else to tell.
            self.tally.count(Event::FaultFailed);
        }
        self.model.restart();
        self.faults.restart(Instant::now());
        self.clock_changed();
    }

    /// An authority that a fault made was made in a time that may be to come again; the one that takes its place is trusted as the first
    /// one was.
    fn restore_policy(&self) -> Result<(), CoreError> {
        self.revoke_policy(&self.config.adr.policy)?;
        if self.config.hub.synced { self.sync_credentials() } else { Ok(()) }
    }

    /// Has the clock written if it moves by itself, so that it does not go back at the next start.
    pub(crate) fn record_clock(&self) -> Result<(), KeyError> {
        if self.clock.scale().is_real() { Ok(()) } else { self.record_authorities() }
    }

    /// Has all sessions with the hub look when their tokens run out.
    fn clock_changed(&self) {
        for session in self.registry.hub_sessions() {
            session.wake();
        }
    }

    /// Has authorities, what the hub trusts and the clock written, if state is kept.
    pub(crate) fn record_authorities(&self) -> Result<(), KeyError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let _recording = lock(&self.recording);
        let (root, policies) = self.adr.records()?;
        let server_root = lock(&self.server_root).clone();
        let server_root = server_root.map(|root| Ok(AuthorityRecord::new(root.der(), &root.key_pem()?)));
        let record = AuthoritiesRecord {
            root,
            policies,
            server_root: server_root.transpose().map_err(|error: KeyError| error)?,
            synced: lock(&self.credentials).iter().map(|der| to_base64(der)).collect(),
            clock_offset_ms: self.clock.lead_ms(),
        };
        journal.record(Change::Authorities(Box::new(record)));
        Ok(())
    }

    /// Waits until all changes so far are on the disk, if state is kept; false when that cannot be had.
    pub(crate) async fn durable(&self) -> bool {
        match &self.journal {
            None => true,
            Some(journal) => journal.durable().await,
        }
    }

    /// Has the hub trust the issuing CAs that the registry has now, and no others.
    pub(crate) fn sync_credentials(&self) -> Result<(), CoreError> {
        let mut synced = lock(&self.credentials);
        self.trust(&mut synced, self.adr.issuing_cas())?;
        drop(synced);
        Ok(self.record_authorities()?)
    }

    /// Whether the hub trusts an issuing CA (DER).
    pub(crate) fn is_synced(&self, ca: &[u8]) -> bool {
        lock(&self.credentials).iter().any(|synced| **synced == *ca)
    }

    /// Gives a policy a new issuing CA and has the hub forget the old one; false when there is no such policy.
    pub(crate) fn revoke_policy(&self, name: &str) -> Result<bool, CoreError> {
        let mut synced = lock(&self.credentials);
        let Some(revoked) = self.adr.replace_issuing_ca(name, self.clock.now())? else { return Ok(false) };
        let left = synced.iter().filter(|ca| **ca != revoked).cloned().collect();
        self.trust(&mut synced, left)?;
        drop(synced);
        self.record_authorities()?;
        Ok(true)
    }

    fn trust(&self, synced: &mut Vec<Vec<u8>>, cas: Vec<Vec<u8>>) -> Result<(), CoreError> {
        let set = Arc::new(Trusted::new(&cas)?);
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = set;
        *synced = cas;
        Ok(())
    }

    /// Whether a fault ended the sessions of those who have a certificate of this authority.
    pub(crate) fn has_ended(&self, authority: AuthorityId) -> bool {
        let ended = || self.ended.read().unwrap_or_else(PoisonError::into_inner).contains(&authority);
        self.any_ended.load(Ordering::Acquire) && ended()
    }

    /// Does what the plan of faults has for this moment.
    pub(crate) fn inject(&self, moment: PlannedFault) {
        let done = match moment {
            PlannedFault::EndHubSessions => {
                self.disconnect_hub();
                Ok(())
            }
            PlannedFault::RevokePolicy => self.inject_revocation(),
            PlannedFault::SyncCredentials if self.config.hub.synced => self.sync_credentials(),
            PlannedFault::SyncCredentials => Ok(()),
        };
        // Only the library can fail, and there is nobody else to tell.
        if done.is_err() {
            self.tally.count(Event::FaultFailed);
        }
    }

    fn inject_revocation(&self) -> Result<(), CoreError> {
        let name = &self.config.adr.policy;
        let Some(revoked) = self.adr.policy(name) else { return Ok(()) };
        self.revoke_policy(name)?;
        self.was_revoked.store(true, Ordering::Release);
        self.tally.count(Event::FaultPolicyRevoked);
        if self.faults.revocation_ends_sessions() {
            let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
            ended.push(AuthorityId::of(revoked.ca_der()));
            drop(ended);
            self.any_ended.store(true, Ordering::Release);
            self.registry.hub_sessions().iter().for_each(DeviceLink::wake);
        }
        Ok(())
    }

    /// Ends all sessions with the hub, as a fault; how many there were.
    pub(crate) fn disconnect_hub(&self) -> usize {
        let sessions = self.registry.hub_sessions();
        for session in &sessions {
            session.cut();
            self.tally.count(Event::FaultDisconnected);
        }
        sessions.len()
    }

    /// The authorities that the hub trusts.
    pub(crate) fn trusted(&self) -> Arc<Trusted> {
        Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
