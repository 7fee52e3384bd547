use super::HubError;
use crate::emulator::service::Service;

impl Service {
    /// Gives the hub the issuing CAs of all policies, and takes those from it that are no longer in use
    /// (`az iot adr ns credential sync`).
    ///
    /// # Errors
    /// [`HubError::Internal`] when the library cannot read an authority's certificate.
    pub fn sync_credentials(&self) -> Result<(), HubError> {
        self.core().sync_credentials().map_err(|error| HubError::Internal(error.to_string()))
    }

    /// Revokes a credential policy: its issuing CA is replaced by a new one, and the hub refuses the certificates of the
    /// old one from then on. It accepts those of the new one after the next [`Self::sync_credentials`].
    ///
    /// # Errors
    /// [`HubError::PolicyNotFound`]; [`HubError::Internal`] when the library fails.
    pub fn revoke_policy(&self, name: &str) -> Result<(), HubError> {
        match self.core().revoke_policy(name) {
            Ok(true) => Ok(()),
            Ok(false) => Err(HubError::PolicyNotFound(name.to_owned())),
            Err(error) => Err(HubError::Internal(error.to_string())),
        }
    }
}
