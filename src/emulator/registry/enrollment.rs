use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::SasToken;
use crate::pki::sas::SymmetricKey;

/// What DPS knows about devices before they come.
#[derive(Debug)]
pub(crate) struct Enrollment {
    /// Id of the group, or the registration id of an individual enrollment in lower case.
    pub(crate) id: Arc<str>,
    /// For one device or for many.
    pub(crate) scope: Scope,
    /// How its devices prove who they are.
    pub(crate) attestation: Attestation,
    /// Policy that signs the certificates of its devices; none when they get none.
    pub(crate) credential_policy: Option<Arc<str>>,
    /// Whether its devices may register.
    pub(crate) enabled: bool,
}

/// For one device or for many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// An enrollment group.
    Group,
    /// An individual enrollment.
    Individual {
        /// The device id at the hub, when it is not the registration id.
        device_id: Option<Arc<str>>,
    },
}

/// How devices prove who they are.
#[derive(Debug)]
pub(crate) enum Attestation {
    /// By SAS token. A group's keys are those that device keys are derived from.
    SymmetricKey {
        /// One key.
        primary: SymmetricKey,
        /// The other, equally good.
        secondary: SymmetricKey,
    },
}

impl Enrollment {
    /// Whether `token` was signed with one of the keys. Group keys are derived with the registration id as the device
    /// writes it and in lower case, because real devices do either.
    pub(crate) fn verifies(&self, token: &SasToken, registration_id: &str) -> bool {
        let Attestation::SymmetricKey { primary, secondary } = &self.attestation;
        let mut keys = [primary, secondary].into_iter();
        match self.scope {
            Scope::Individual { .. } => keys.any(|key| key.verifies(token)),
            Scope::Group => {
                let lower = registration_id.to_ascii_lowercase();
                let other = (lower != registration_id).then_some(lower.as_str());
                keys.any(|key| std::iter::once(registration_id).chain(other).any(|id| key.derive(id).verifies(token)))
            }
        }
    }

    /// The device id at the hub of the device that registers as `registration_id` (lower case).
    pub(crate) fn device_id(&self, registration_id: &Arc<str>) -> Arc<str> {
        match &self.scope {
            Scope::Individual { device_id: Some(device_id) } => Arc::clone(device_id),
            Scope::Individual { device_id: None } | Scope::Group => Arc::clone(registration_id),
        }
    }
}

/// All enrollments. Read at every registration, written from the control plane only.
#[derive(Debug, Default)]
pub(crate) struct Enrollments(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    individual: HashMap<Arc<str>, Arc<Enrollment>>,
    groups: Vec<Arc<Enrollment>>,
}

/// What a token proved.
#[derive(Debug, Clone)]
pub(crate) enum Match {
    /// The token is good for this enrollment.
    Enrollment(Arc<Enrollment>),
    /// There are enrollments that it could have been good for, but it is signed with another key.
    WrongKey,
    /// Nothing is enrolled that it could be good for.
    Unknown,
}

impl Enrollments {
    /// Adds or replaces an enrollment.
    pub(crate) fn put(&self, enrollment: Enrollment) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let enrollment = Arc::new(enrollment);
        match enrollment.scope {
            Scope::Individual { .. } => {
                tables.individual.insert(Arc::clone(&enrollment.id), enrollment);
            }
            Scope::Group => {
                tables.groups.retain(|group| group.id != enrollment.id);
                tables.groups.push(enrollment);
            }
        }
    }

    /// The enrollment that a SAS token proves: an individual one is preferred and final, then the groups in the order of
    /// their creation. Source: Microsoft Learn, "Symmetric key attestation"; order as for X.509.
    pub(crate) fn find_by_token(&self, token: &SasToken, registration_id: &str) -> Match {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let proved = |enrollment: &&Arc<Enrollment>| enrollment.verifies(token, registration_id);
        if let Some(individual) = tables.individual.get(registration_id.to_ascii_lowercase().as_str()) {
            return Some(individual).filter(proved).cloned().map_or(Match::WrongKey, Match::Enrollment);
        }
        match tables.groups.iter().find(proved) {
            Some(group) => Match::Enrollment(Arc::clone(group)),
            None if tables.groups.is_empty() => Match::Unknown,
            None => Match::WrongKey,
        }
    }
}
