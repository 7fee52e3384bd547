use std::sync::Arc;
use std::time::SystemTime;

use super::enrollment::{Attested, Enrollment, X509Proof};
use super::revision::{Etag, Revision};
use crate::emulator::issuing::adr::Chain;

/// A device that registered: what DPS remembers of it.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The enrollment that let it in.
    pub(crate) enrollment: Arc<Enrollment>,
    /// The certificates that it showed, when it was let in by certificates.
    pub(crate) x509: Option<Arc<X509Proof>>,
    /// The registration id in lower case.
    pub(crate) registration_id: Arc<str>,
    /// The registration id as the device wrote it, when that is something else: its key may be derived from that.
    sent_id: Option<Box<str>>,
    /// Its id at the hub.
    pub(crate) device_id: Arc<str>,
    /// First registration.
    pub(crate) created: SystemTime,
    /// Last registration.
    pub(crate) updated: SystemTime,
    /// Its tag, new with every registration.
    pub(crate) etag: Etag,
}

impl Registration {
    /// A registration at `now`; `earlier` is what was there before.
    pub(crate) fn new(
        attested: impl Into<Attested>,
        registration_id: Arc<str>,
        now: SystemTime,
        earlier: Option<&Self>,
    ) -> Self {
        let Attested { enrollment, x509 } = attested.into();
        let device_id = enrollment.device_id(&registration_id);
        let created = earlier.map_or(now, |earlier| earlier.created);
        let etag = Etag::new();
        Self { enrollment, x509, registration_id, sent_id: None, device_id, created, updated: now, etag }
    }

    /// One that was stored; `ids` are the registration id and the device id.
    pub(crate) fn restore(
        enrollment: Arc<Enrollment>,
        x509: Option<Arc<X509Proof>>,
        (registration_id, device_id): (Arc<str>, Arc<str>),
        revision: Revision,
    ) -> Self {
        let Revision { created, updated, etag } = revision;
        Self { enrollment, x509, registration_id, sent_id: None, device_id, created, updated, etag }
    }

    /// With the registration id as the device wrote it.
    pub(crate) fn sent_as(mut self, id: &str) -> Self {
        self.sent_id = (*id != *self.registration_id).then(|| id.into());
        self
    }

    /// The registration id as the device wrote it.
    pub(crate) fn sent_id(&self) -> &str {
        self.sent_id.as_deref().unwrap_or(&self.registration_id)
    }

    /// Since when, and its tag.
    pub(crate) const fn revision(&self) -> Revision {
        Revision { created: self.created, updated: self.updated, etag: self.etag }
    }
}

/// What a device is told at the end of a registration.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The registration.
    pub(crate) registration: Registration,
    /// The certificates issued, when it sent a CSR and its enrollment has a policy.
    pub(crate) chain: Option<Chain>,
}
