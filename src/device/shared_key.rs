use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::device::Settings;
use crate::device::prepare::generator;
use crate::domain::Failure;
use crate::pki::key::DeviceKey;

/// The one key of all devices of a class whose keys are [`KeySource::Shared`](crate::domain::KeySource::Shared), made when it
/// is first needed. Clones share it: a class of its own needs [`SharedKey::default`].
#[derive(Clone, Default)]
pub struct SharedKey(Arc<Mutex<Option<Arc<DeviceKey>>>>);

impl SharedKey {
    /// The key, and whether it was made now. A key of another algorithm than that of `settings` is replaced.
    pub(super) fn get(&self, settings: &Settings) -> Result<(Arc<DeviceKey>, bool), Failure> {
        // Whoever comes while it is made waits for it. Making it cannot leave anything half done.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = shared.as_ref().filter(|key| key.algorithm() == settings.algorithm) {
            return Ok((Arc::clone(key), false));
        }
        let key = DeviceKey::generate(settings.algorithm, settings.provider).map_err(|error| generator(&error))?;
        Ok((Arc::clone(shared.insert(Arc::new(key))), true))
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey([redacted])")
    }
}
