use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use rand_chacha::rand_core::Rng as _;
use rustls::ClientConfig;

use crate::device::{Credential, Link, Prepared, Settings, Source, Whereabouts};
use crate::domain::{AttemptFacts, Lateness, Phase, rng};
use crate::pki::tls::ClientTls;

/// The device's own end of its connections: one per device, kept for the whole run, used by one attempt at a time.
pub struct LocalEnd {
    /// Place of the device in the fleet.
    index: u32,
    /// Connections over an impaired network so far; each has a stream of random draws of its own.
    impaired: Cell<u32>,
    /// Only when TLS sessions are resumed.
    sessions: RefCell<Option<Box<Sessions>>>,
    /// Its attempt, while one goes on.
    attempt: Cell<Option<Box<GoingOn>>>,
}

/// An attempt that goes on, for those who look at it from outside.
#[derive(Default)]
struct GoingOn {
    /// Where it is counted.
    counts: Option<Rc<Whereabouts>>,
    phase: Option<Phase>,
    /// What it has found out so far; absent before its begin and after its end.
    facts: Option<AttemptFacts>,
}

/// A device that is counted where it is, until this is dropped.
pub struct Counted<'a>(&'a LocalEnd);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Some(mut attempt) = self.0.attempt.take() else { return };
        if let Some(counts) = attempt.counts.take() {
            counts.moves(attempt.phase, None);
        }
        // What was found out by an attempt that is being dropped is still asked for.
        self.0.attempt.set(Some(attempt).filter(|attempt| attempt.facts.is_some()));
    }
}

/// Configurations of TLS, each with the sessions that were had with it.
#[derive(Default)]
struct Sessions {
    dps: Option<Arc<ClientConfig>>,
    hub: Option<HubTls>,
}

/// How a device was known to its hub.
struct HubTls {
    /// The chain that it showed.
    chain: Arc<[Vec<u8>]>,
    config: Arc<ClientConfig>,
}

impl LocalEnd {
    /// That of device `index` of the fleet.
    pub fn new(_settings: &Settings, index: u32) -> Self {
        Self { index, impaired: Cell::new(0), sessions: RefCell::default(), attempt: Cell::default() }
    }

    /// Counts the attempt that begins now among `counts`, in the phase that it is in; in none before its first.
    pub fn counted(&self, counts: &Rc<Whereabouts>) -> Counted<'_> {
        self.attempt.set(Some(Box::new(GoingOn { counts: Some(Rc::clone(counts)), ..GoingOn::default() })));
        Counted(self)
    }

    /// An attempt begins, with what was found out before.
    pub(super) fn begins(&self, facts: &AttemptFacts) {
        let mut attempt = self.attempt.take().unwrap_or_default();
        attempt.facts = Some(*facts);
        self.attempt.set(Some(attempt));
    }

    /// The attempt is in this phase from now on, or between two, and has found out this so far.
    pub(super) fn tells(&self, phase: impl Into<Option<Phase>>, facts: &AttemptFacts) {
        let Some(mut attempt) = self.attempt.take() else { return };
        let phase = phase.into();
        if let Some(counts) = &attempt.counts {
            counts.moves(attempt.phase, phase);
        }
        attempt.phase = phase;
        attempt.facts = Some(*facts);
        self.attempt.set(Some(attempt));
    }

    /// The attempt did something at a time of its own; each is told as it happens.
    pub(super) fn did(&self, late: Option<Lateness>) {
        let Some(late) = late else { return };
        let Some(attempt) = self.attempt.take() else { return };
        if let Some(counts) = &attempt.counts {
            counts.did(late);
        }
        self.attempt.set(Some(attempt));
    }

    /// What the attempt had told when its work was dropped, or when it came to its end; nothing when none goes on.
    pub fn interrupted(&self) -> AttemptFacts {
        let Some(mut attempt) = self.attempt.take() else { return AttemptFacts::default() };
        let facts = attempt.facts.take();
        self.attempt.set(Some(attempt).filter(|attempt| attempt.counts.is_some()));
        facts.unwrap_or_default()
    }

    /// Forgets every TLS session, as a device does that lost power: the next handshakes are full ones.
    pub fn forget_sessions(&self) {
        self.sessions.take();
    }

    /// Where the device's connections come from.
    pub(super) const fn source<'a>(&self, settings: &'a Settings) -> Source<'a> {
        Source::new(&settings.source, self.index)
    }

    /// A fresh connection as the device's network makes it.
    pub(super) fn link<T>(&self, settings: &Settings, transport: T) -> Link<T> {
        Link::new(transport, settings.network, || {
            let number = self.impaired.get();
            self.impaired.set(number.wrapping_add(1));
            rng(settings.seed, "network", u64::from(self.index) | u64::from(number) << 32).next_u64()
        })
    }

    /// TLS with DPS: with the bootstrap certificate, when the device has one.
    pub(super) fn dps_tls(&self, settings: &Settings, prepared: &Prepared) -> Arc<ClientConfig> {
        let fresh = || match prepared.bootstrap() {
            None => settings.tls.anonymous(),
            Some(identity) => settings.tls.with_identity(&identity.chain, identity.key.clone()),
        };
        if !settings.tls_resumption {
            return fresh();
        }
        let mut sessions = self.sessions.borrow_mut();
        let known = &mut sessions.get_or_insert_default().dps;
        Arc::clone(known.get_or_insert_with(|| ClientTls::resuming(&fresh())))
    }

    /// TLS with the hub. Sessions that another certificate began are forgotten.
    pub(super) fn hub_tls(&self, settings: &Settings, credential: &Credential) -> Arc<ClientConfig> {
        let fresh = || {
            let shown = credential.presented_chain().len();
            settings.tls.with_shared_identity(Arc::clone(&credential.chain), shown, Arc::clone(&credential.key))
        };
        if !settings.tls_resumption {
            return fresh();
        }
        let mut sessions = self.sessions.borrow_mut();
        let known = &mut sessions.get_or_insert_default().hub;
        let of_this = known.take_if(|hub| Arc::ptr_eq(&hub.chain, &credential.chain));
        let begin = || HubTls { chain: Arc::clone(&credential.chain), config: ClientTls::resuming(&fresh()) };
        Arc::clone(&known.insert(of_this.unwrap_or_else(begin)).config)
    }
}

impl fmt::Debug for LocalEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnd").field("index", &self.index).finish_non_exhaustive()
    }
}
