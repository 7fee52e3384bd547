use crate::device::Settings;
use crate::domain::FleetTime;
use crate::model::Waits;
use crate::protocol::registration_flow::RegistrationPolicy;
use crate::protocol::renewal_flow::RenewalPolicy;
use crate::scenario::{Behaviour, BehaviourPreset};

/// Makes devices behave within a conversation as a behaviour says. What it says of further attempts is the engine's business.
pub(super) fn lay_over(settings: &mut Settings, behaviour: &Behaviour) {
    let Behaviour {
        preset,
        repeats,
        honours_retry_after,
        default_wait,
        wait_jitter,
        attempts: _,
        backoff: _,
        caches_assignment: _,
        hub_attempts: _,
        answer_timeout,
        keep_alive,
    } = *behaviour;
    let waits = Waits {
        honours_retry_after,
        // azure-iot-sdk-c takes a longer one for one that was read wrongly.
        longest_retry_after: if preset == BehaviourPreset::SdkC { FleetTime::from_secs(300) } else { FleetTime::MAX },
        default_wait,
        jitter: wait_jitter,
        // Devices that were refused together shall not come back together; no SDK does that by itself.
        jitter_on_retry_after: preset == BehaviourPreset::WellBehaved,
    };
    // The service works in real time: in compressed time many questions fit into its work, so their number says nothing.
    let max_polls = if settings.time_scale.is_real() { settings.policy.max_polls } else { u16::MAX };
    settings.policy = RegistrationPolicy {
        waits,
        // azure-iot-device for Python waits 2 s whatever the first answer says.
        honours_first_retry_after: honours_retry_after && preset != BehaviourPreset::SdkPython,
        max_repeats: repeats,
        max_polls,
    };
    settings.renewal = RenewalPolicy { waits, max_repeats: repeats, ..settings.renewal };
    settings.timeouts.answer = answer_timeout;
    settings.keep_alive = keep_alive;
}
