use std::net::IpAddr;
use std::path::PathBuf;

use crate::domain::{Origin, Setting};
use crate::rig::os_text;
use crate::rig::target::GivenKey;

/// What is known of a target beyond the scenario.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// Where hubs are, whatever name DPS assigns: HOST:PORT.
    pub hub_address: Option<String>,
    /// Addresses of this machine that devices connect from, in turn; those that are usual when there are none.
    pub source_addresses: Vec<IpAddr>,
    /// The id scope of a target that is not on this machine, as its confirmation.
    pub confirm_id_scope: Option<String>,
    /// Hubs that may be elsewhere, by name.
    pub confirm_hubs: Vec<String>,
    /// Settings of the embedded emulator, below those of the scenario.
    pub emulator_config: Option<PathBuf>,
    /// The fleetstorm binary that the embedded emulator is started from; this process's own by default.
    pub emulator_binary: Option<PathBuf>,
    /// Asks for more than the quotas of a target elsewhere on purpose.
    pub above_quota: bool,
    /// Key of the enrollment group, before that of any file. Not for an emulator that makes its own.
    pub group_key: GivenKey,
}

impl TargetOptions {
    /// Those that were given, for the record. The key is not among them.
    pub(in crate::rig) fn settings(&self) -> Vec<Setting> {
        let Self { hub_address, source_addresses, confirm_id_scope, confirm_hubs, .. } = self;
        let Self { emulator_config, above_quota, .. } = self;
        let hubs = (!confirm_hubs.is_empty()).then(|| confirm_hubs.join(","));
        let addresses: Vec<String> = source_addresses.iter().map(IpAddr::to_string).collect();
        let sources = (!addresses.is_empty()).then(|| addresses.join(","));
        let config = emulator_config.as_ref().map(|file| os_text::told(file.as_os_str()));
        let given = [
            ("hub_address", hub_address),
            ("source_address", &sources),
            ("confirm_id_scope", confirm_id_scope),
            ("confirm_hub", &hubs),
            ("emulator_config", &config),
            ("above_quota", &above_quota.then(|| "true".to_owned())),
        ];
        given.into_iter().filter_map(|(key, value)| Some(setting(key, value.clone()?))).collect()
    }
}

/// A setting of a run that is none of its scenario.
pub(in crate::rig) fn setting(key: &str, value: String) -> Setting {
    Setting { key: format!("run.{key}"), value, origin: Origin::CommandLine }
}
