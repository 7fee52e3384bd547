//! Whether the devices' bootstrap certificates can be used, before anything is started: devices that cannot attest would
//! count as failures of the service, or of its TLS.

use std::path::PathBuf;
use std::time::SystemTime;

use rayon::prelude::*;

use crate::domain::{RegistrationId, Shard};
use crate::pki::bootstrap::{Folder, Unfit};
use crate::pki::store::StoreError;
use crate::scenario::{Attestation, Scenario};

/// Devices that cannot attest.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum BootstrapFilesError {
    /// Their certificates or keys are no good.
    #[error("{count} of {of} bootstrap certificates cannot be used, the first is that of {id}: {fault}")]
    #[diagnostic(help(
        "make them with `fleetstorm pki devices --scenario FILE`, in the folder of `fleet.bootstrap_dir` (--dir); \
         --only-missing makes those that are not there, --force makes all of them anew"
    ))]
    Unfit {
        /// How many.
        count: usize,
        /// Of how many that attest with one.
        of: usize,
        /// The first device.
        id: RegistrationId,
        /// What is wrong with its files.
        fault: Fault,
    },
    /// There are no threads to read them.
    #[error("cannot start threads to read the bootstrap certificates: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What is wrong with one.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the certificate says.
    #[error("{}: {source}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What.
        source: Unfit,
    },
}

/// Reads the bootstrap certificates of all devices of a shard that a stage provisions, on all cores.
///
/// # Errors
/// Some cannot be used at `now`.
pub fn check(scenario: &Scenario, shard: Shard, now: SystemTime) -> Result<(), BootstrapFilesError> {
    let fleet = &scenario.fleet;
    let attests = |class: usize| scenario.stages.iter().any(|s| s.kind.makes_keys() && s.classes.contains(&class));
    let folders: Vec<Option<Folder>> = fleet
        .classes
        .iter()
        .enumerate()
        .map(|(class, device)| match &device.attestation {
            Attestation::X509 { bootstrap_dir } if attests(class) => Some(Folder::new(bootstrap_dir)),
            Attestation::X509 { .. } | Attestation::SymmetricKey => None,
        })
        .collect();
    let devices: Vec<(&Folder, RegistrationId)> = shard
        .devices(fleet.devices)
        .filter_map(|device| {
            let folder = folders.get(fleet.mix.class_of(device))?.as_ref()?;
            Some((folder, fleet.registration_id.registration_id(device).ok()?))
        })
        .collect();
    let fault = |(folder, id): &(&Folder, RegistrationId)| -> Result<(), Fault> {
        let identity = folder.identity(id, fleet.crypto_provider)?;
        let unfit = |source| Fault::Unfit { path: folder.device_certificate(id), source };
        identity.check(id, now).map_err(unfit)
    };
    if devices.is_empty() {
        return Ok(());
    }
    let faulty = |(place, device)| fault(device).err().map(|fault| (place, fault));
    // All cores, apart from any other pool of the process.
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let faults: Vec<(usize, Fault)> = pool.install(|| devices.par_iter().enumerate().filter_map(faulty).collect());
    let (of, count) = (devices.len(), faults.len());
    match faults.into_iter().next().and_then(|(place, fault)| Some((devices.into_iter().nth(place)?.1, fault))) {
        None => Ok(()),
        Some((id, fault)) => Err(BootstrapFilesError::Unfit { count, of, id, fault }),
    }
}
