use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::adr::Adr;
use super::clock::Clock;
use super::config::{Config, ConfigError};
use super::counters::{Event, Tally};
use super::fault::FaultInjector;
use super::hub::telemetry::Watchers;
use super::issuance::Issuance;
use super::registry::{Registry, lock};
use super::service_model::{HistogramError, ServiceModel};
use crate::domain::IdScope;
use crate::pki::chain::ChainError;
use crate::pki::key::KeyError;
use crate::pki::sas::SymmetricKey;
use crate::pki::trust::AuthoritySet;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) id_scope: IdScope,
    /// Primary key of the enrollment group that is there from the start.
    pub(crate) group_key: SymmetricKey,
    pub(crate) clock: Clock,
    pub(crate) tally: Tally,
    pub(crate) registry: Registry,
    pub(crate) adr: Adr,
    pub(crate) issuance: Issuance,
    /// How long things take and how many are allowed.
    pub(crate) model: ServiceModel,
    /// What goes wrong on purpose.
    pub(crate) faults: FaultInjector,
    /// Turns for TLS handshakes.
    pub(crate) handshakes: Semaphore,
    /// Those who watch device-to-cloud messages.
    pub(crate) watchers: Watchers,
    /// The authorities that the hub trusts since the last credential sync.
    trusted: RwLock<Arc<AuthoritySet>>,
    /// The certificates of those; locked while the authorities of registry or hub change.
    credentials: Mutex<Vec<Vec<u8>>>,
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
    #[error("cannot start the threads that sign certificates: {0}")]
    Threads(#[from] io::Error),
}

impl Core {
    pub(crate) fn new(mut config: Config) -> Result<Arc<Self>, CoreError> {
        config.check()?;
        let group_key = config.group.primary_key.get_or_insert_with(SymmetricKey::random).clone();
        let clock = Clock::default();
        let adr = Adr::new(&config, clock.now())?;
        let cas = if config.hub.synced { adr.issuing_cas() } else { Vec::new() };
        Ok(Arc::new(Self {
            id_scope: config.checked_id_scope()?,
            group_key,
            issuance: match config.adr.issue_inline {
                true => Issuance::inline(),
                false => Issuance::start(config.adr.issuance_threads, config.adr.issuance_queue)?,
            },
            handshakes: Semaphore::new(config.listen.handshakes_at_once),
            registry: Registry::new(&config, clock.now())?,
            tally: Tally::new(),
            watchers: Watchers::new(),
            model: ServiceModel::new(&config)?,
            faults: FaultInjector::new(config.seed, config.faults.clone(), Instant::now()),
            trusted: RwLock::new(Arc::new(AuthoritySet::new(&cas)?)),
            credentials: Mutex::new(cas),
            clock,
            adr,
            config,
        }))
    }

    /// Has the hub trust the issuing CAs that the registry has now, and no others.
    pub(crate) fn sync_credentials(&self) -> Result<(), CoreError> {
        let mut synced = lock(&self.credentials);
        self.trust(&mut synced, self.adr.issuing_cas())
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
        self.trust(&mut synced, left).map(|()| true)
    }

    fn trust(&self, synced: &mut Vec<Vec<u8>>, cas: Vec<Vec<u8>>) -> Result<(), CoreError> {
        let set = Arc::new(AuthoritySet::new(&cas)?);
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = set;
        *synced = cas;
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
    pub(crate) fn trusted(&self) -> Arc<AuthoritySet> {
        Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }
}
