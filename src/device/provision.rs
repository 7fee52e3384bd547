use std::sync::Arc;

use crate::device::{Connector, Prepared, Settings};
use crate::domain::Failure;
use crate::measure::PhaseTimes;
use crate::pki::chain::VerifiedLeaf;
use crate::pki::key::DeviceKey;

/// What a device owns once it was provisioned.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Host name of the assigned hub.
    pub hub: String,
    /// Device id at the hub.
    pub device_id: String,
    /// The issued chain, leaf first, DER.
    pub chain: Arc<[Vec<u8>]>,
    /// The key of the leaf.
    pub key: Arc<DeviceKey>,
    /// Serial number and validity of the leaf.
    pub leaf: VerifiedLeaf,
}

/// How an attempt went.
#[derive(Debug)]
pub struct Provisioned {
    /// Every phase that it had, those of [`Prepared`] included; `queued`, `total` and `total_raw` are the caller's.
    pub phases: PhaseTimes,
    /// Status polls sent.
    pub polls: u16,
    /// Answers 429 received.
    pub throttled: u16,
    /// The credential, or why there is none.
    pub result: Result<Credential, Failure>,
}

/// Registers with DPS, checks the issued chain, connects to the assigned hub with it and sends telemetry, as far as
/// `settings` ask for. The future may be dropped at any point.
pub async fn provision<C: Connector>(_settings: &Settings, _connector: &C, _prepared: Prepared) -> Provisioned {
    todo!()
}
