use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::enrollment::Enrollment;
use crate::emulator::adr::Chain;

/// A device that registered: what DPS remembers of it.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The enrollment that let it in.
    pub(crate) enrollment: Arc<Enrollment>,
    /// The registration id in lower case.
    pub(crate) registration_id: Arc<str>,
    /// Its id at the hub.
    pub(crate) device_id: Arc<str>,
    /// First registration.
    pub(crate) created: SystemTime,
    /// Last registration.
    pub(crate) updated: SystemTime,
    etag: Uuid,
}

impl Registration {
    /// A registration at `now`; `earlier` is what was there before.
    pub(crate) fn new(
        enrollment: Arc<Enrollment>,
        registration_id: Arc<str>,
        now: SystemTime,
        earlier: Option<&Self>,
    ) -> Self {
        let device_id = enrollment.device_id(&registration_id);
        let created = earlier.map_or(now, |earlier| earlier.created);
        Self { enrollment, registration_id, device_id, created, updated: now, etag: Uuid::new_v4() }
    }

    /// The entity tag, in the service's form: base64 of a quoted guid-like text.
    pub(crate) fn etag(&self) -> String {
        let (a, b) = self.etag.as_u64_pair();
        STANDARD.encode(format!("\"{:08x}-0000-0100-0000-{:08x}0000\"", a >> 32, b >> 32))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::registry::test_group;

    #[test]
    fn etags_look_like_the_services() {
        let registration = Registration::new(test_group(), "d".into(), SystemTime::now(), None);
        let text = String::from_utf8(STANDARD.decode(registration.etag()).unwrap()).unwrap();
        assert_eq!((text.len(), &text[9..25]), (38, "-0000-0100-0000-"), "{text}");
    }
}
