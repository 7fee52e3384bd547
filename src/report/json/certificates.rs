use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure;
use crate::report::json::values::{Count, Moment};

/// Certificates of the devices at the end of the run.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Certificates {
    /// Devices that have none.
    without: Count,
    /// Those that had expired when the run ended; they are in the bins too.
    expired: Count,
    /// Width of every bin in seconds.
    bin_s: u64,
    bins: Vec<Bin>,
}

/// Certificates that expire from then on, for the length of a bin; the fleet's wall clock.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Bin {
    expires_from: Moment,
    certificates: Count,
}

impl Certificates {
    pub(super) fn of(certificates: &measure::Certificates) -> Self {
        let bin =
            |bin: measure::ExpiryBin| Bin { expires_from: Moment(bin.from), certificates: Count(bin.certificates) };
        Self {
            without: Count(certificates.without),
            expired: Count(certificates.expired),
            bin_s: certificates.width().as_secs(),
            bins: certificates.bins().map(bin).collect(),
        }
    }

    pub(super) fn into_certificates(self) -> Result<measure::Certificates, String> {
        let Self { without, expired, bin_s, bins } = self;
        let bins = bins.into_iter().map(|Bin { expires_from, certificates }| (expires_from.0, certificates.0));
        measure::Certificates::from_parts(without.0, expired.0, Duration::from_secs(bin_s), bins)
            .ok_or_else(|| format!("certificates: bins of {bin_s} s do not lie as this version lays them"))
    }
}
