//! What each device asks of the service when it is due, by what became of it before: as if everything were done at once and
//! nothing refused.

use crate::domain::FleetTime;
use crate::engine::plan::quota_check::Quota;
use crate::scenario::{DeviceClass, Policy, Stage, StageKind};

/// What an arrival asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Demand {
    /// Registrations with DPS, each with a certificate.
    pub(super) registrations: u32,
    /// Renewals over the hub.
    pub(super) renewals: u32,
    /// Connections with the hub.
    pub(super) hub_connections: u32,
}

impl Demand {
    pub(super) const fn of(self, quota: Quota) -> u32 {
        match quota {
            Quota::Registrations | Quota::Certificates => self.registrations,
            Quota::Renewals => self.renewals,
            Quota::HubConnections => self.hub_connections,
            // Each device has its own.
            Quota::Polls => 0,
        }
    }
}

/// What is known of one device. Times count from the start of the run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DeviceDemand {
    /// When it got its certificate.
    certified: Option<FleetTime>,
    /// Until when it holds a connection with the hub.
    held_until: FleetTime,
    /// Until when that is a stage of its own, which takes the connection back after it was used.
    operates_until: FleetTime,
}

impl DeviceDemand {
    /// It is due at that time in a stage that begins at `begin`.
    pub(super) fn is_due(
        &mut self,
        stage: &Stage,
        class: &DeviceClass,
        policy: &Policy,
        begin: FleetTime,
        at: FleetTime,
    ) -> Demand {
        let held = self.held_until > at;
        if let Some(operate) = stage.operate
            && held
        {
            self.operates(stage, begin + operate.duration);
            return Demand::default();
        }
        let expired = self.certified.is_some_and(|certified| certified + policy.validity <= at);
        let by_dps = match stage.kind {
            StageKind::Provision | StageKind::Reprovision => true,
            StageKind::Renew => expired,
            // Who does not keep its assignment asks for it again.
            StageKind::Reconnect | StageKind::Operate => expired || !class.behaviour.caches_assignment,
        };
        let renews = stage.kind == StageKind::Renew && !by_dps;
        if by_dps || renews {
            self.certified = Some(at);
        }
        // One to ask over, and one with the new certificate. A device that goes to DPS gives up the hub first.
        let mut hub_connections = u32::from(renews && !held) + u32::from(stage.hub_connect);
        if self.operates_until > at && !stage.hub_connect && by_dps {
            // The stage that held the connection finds it gone.
            hub_connections += 1;
        }
        match stage.operate {
            Some(operate) => self.operates(stage, begin + operate.duration),
            None if self.operates_until > at => {}
            None if stage.keep_connected => self.held_until = FleetTime::MAX,
            None => self.held_until = FleetTime::ZERO,
        }
        Demand { registrations: u32::from(by_dps), renewals: u32::from(renews), hub_connections }
    }

    fn operates(&mut self, stage: &Stage, until: FleetTime) {
        self.operates_until = self.operates_until.max(until);
        self.held_until = if stage.keep_connected { FleetTime::MAX } else { self.operates_until };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::scenario::Scenario;

    /// What one device asks for in each of these stages, due at those seconds.
    fn asked(stages: &str, fleet: &str, due: &[u64]) -> Vec<(u32, u32, u32)> {
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = 1\n{fleet}\npolicy = {{ validity = '100s', renewal_window = '10s' }}\n{stages}"
        );
        let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
        let mut device = DeviceDemand::default();
        let class = &scenario.fleet.classes[0];
        let due = scenario.stages.iter().zip(due).map(|(stage, at)| {
            let at = FleetTime::from_secs(*at);
            let demand = device.is_due(stage, class, &scenario.policy, at, at);
            (demand.registrations, demand.renewals, demand.hub_connections)
        });
        due.collect()
    }

    fn stage(kind: &str, more: &str) -> String {
        let name = format!("s{}", more.len());
        format!("[[stage]]\nname = '{name}-{kind}'\nkind = '{kind}'\narrival = 'at-once'\n{more}\n")
    }

    #[test]
    fn connections_that_are_held_need_not_be_made() {
        let rollout = |more: &str| stage("provision", more);
        let kept = rollout("keep_connected = true") + &stage("renew", "") + &stage("renew", "hub_connect = true");
        assert_eq!(asked(&kept, "", &[0, 1, 2]), [(1, 0, 1), (0, 1, 1), (0, 1, 2)], "not kept any longer");
        let operates =
            rollout("") + &stage("operate", "duration = '10s'") + &stage("renew", "") + &stage("reconnect", "");
        assert_eq!(asked(&operates, "", &[0, 1, 2, 10])[3], (0, 0, 1), "it makes one of its own");
        assert_eq!(asked(&operates, "", &[0, 1, 2, 12]), [(1, 0, 1), (0, 0, 1), (0, 1, 1), (0, 0, 1)]);
        let renewals = rollout("")
            + &stage("operate", "duration = '10s'")
            + &stage("renew", "")
            + &stage("renew", "hub_connect = true");
        assert_eq!(asked(&renewals, "", &[0, 1, 2, 10])[3], (0, 1, 1), "held as long as the stage lasts");
        assert_eq!(asked(&renewals, "", &[0, 1, 2, 11])[3], (0, 1, 2), "and no longer");
        let given_up_late =
            rollout("") + &stage("operate", "duration = '10s'") + &stage("reprovision", "hub_connect = false");
        assert_eq!(asked(&given_up_late, "", &[0, 1, 11])[2], (1, 0, 0), "nobody is left to come back");
        let given_up =
            rollout("") + &stage("operate", "duration = '10s'") + &stage("reprovision", "hub_connect = false");
        assert_eq!(asked(&given_up, "", &[0, 1, 2])[2], (1, 0, 1), "it comes back");
        let held = rollout("keep_connected = true") + &stage("operate", "duration = '10s'");
        assert_eq!(asked(&held, "", &[0, 1])[1], (0, 0, 0));
        assert_eq!(asked(&rollout("hub_connect = false"), "", &[0]), [(1, 0, 0)]);
    }

    #[test]
    fn expired_certificates_and_lost_assignments_lead_to_dps() {
        let stages = |kind, more| stage("provision", "") + &stage(kind, more);
        assert_eq!(asked(&stages("renew", ""), "", &[0, 99])[1], (0, 1, 2));
        assert_eq!(asked(&stages("renew", ""), "", &[0, 100])[1], (1, 0, 1));
        assert_eq!(asked(&stages("operate", "duration = '10s'"), "", &[0, 100])[1], (1, 0, 1));
        assert_eq!(asked(&stages("reconnect", ""), "", &[0, 99])[1], (0, 0, 1));
        let forgets = "fleet.behaviour = { caches_assignment = false }";
        assert_eq!(asked(&stages("reconnect", ""), forgets, &[0, 9])[1], (1, 0, 1));
    }
}
