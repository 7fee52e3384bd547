use rustls_pki_types::ServerName;

use super::protocol;
use crate::domain::{Failure, FailureClass};
use crate::protocol::payload::{RegistrationState, decode_chain};

/// What the service decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Host name of the hub: one that TLS can ask for.
    pub hub: String,
    /// Device id at the hub: one that topics can have.
    pub device_id: String,
    /// The issued chain in DER, leaf first; empty when the service issued none.
    pub chain: Vec<Vec<u8>>,
}

/// Longest device id in characters (Microsoft Learn, "Manage device identities").
const LONGEST_DEVICE_ID: usize = 128;

/// Longest operation id in characters. Those of the service have some 60.
const LONGEST_OPERATION_ID: usize = 1_024;

impl Assignment {
    /// From what DPS said.
    ///
    /// # Errors
    /// A failure of the class [`FailureClass::Protocol`] when hub or device are missing or cannot be what they are said to be, of
    /// [`FailureClass::Verification`] when the chain is none.
    pub(super) fn read(state: RegistrationState<'_>) -> Result<Self, Failure> {
        let (Some(hub), Some(device_id)) = (state.assigned_hub, state.device_id) else {
            return Err(protocol("DPS assigned without naming hub and device id"));
        };
        if ServerName::try_from(&*hub).is_err() {
            return Err(protocol("DPS assigned a hub whose name is no host name"));
        }
        if !fits_into_a_topic(&device_id, LONGEST_DEVICE_ID) {
            return Err(protocol("DPS assigned a device id that cannot be one: a topic could not have it"));
        }
        let chain = decode_chain(&state.issued_certificate_chain.unwrap_or_default())
            .map_err(|error| Failure::new(FailureClass::Verification, error.to_string()))?;
        Ok(Self { hub: hub.into_string(), device_id: device_id.into_string(), chain })
    }
}

/// The id of an operation, as requests for its status name it.
///
/// # Errors
/// A failure of the class [`FailureClass::Protocol`] when they could not.
pub(super) fn operation_id(id: &str) -> Result<(), Failure> {
    if fits_into_a_topic(id, LONGEST_OPERATION_ID) && !id.contains(['&', '?']) {
        Ok(())
    } else {
        Err(protocol("DPS named an operation that cannot be asked for: a topic could not have its id"))
    }
}

/// Whether an id can be a level of a topic, or a part of one.
fn fits_into_a_topic(id: &str, longest: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"/#+".contains(&byte);
    (1..=longest).contains(&id.len()) && id.bytes().all(fits)
}
