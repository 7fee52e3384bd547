use crate::device::Settings;
use crate::domain::{Failure, RegistrationId};
use crate::measure::PhaseTimes;

/// Everything of an attempt that is computed ahead of need: SAS token, key pair, CSR.
#[derive(Debug)]
pub struct Prepared {}

impl Prepared {
    /// Times of `sas`, `keygen` and `csr`.
    pub fn phases(&self) -> PhaseTimes {
        todo!()
    }
}

/// Derives and signs the SAS token, makes a key pair and its CSR: CPU work without waiting, for a pool of threads.
/// `index` is the device's place in the fleet and selects its stream of random draws.
pub fn prepare(_settings: &Settings, _index: u32, _registration_id: &RegistrationId) -> Result<Prepared, Failure> {
    todo!()
}
