use crate::domain::FleetTime;
use crate::scenario::Policy;
use crate::settings::Section;
use crate::settings::expect::{Expect, fleet_time};

/// What the service allows.
const LONGEST_VALIDITY: FleetTime = FleetTime::from_secs(90 * 86_400);

pub(super) fn read(mut section: Section<'_>) -> Option<Policy> {
    let whole = |range| -> Expect<FleetTime> {
        fleet_time(range).then(|time| match time.length().subsec_nanos() {
            0 => Ok(time),
            _ => Err("certificates know whole seconds only".to_owned()),
        })
    };
    let validity = section.or("validity", "P30D", &whole(FleetTime::from_secs(1)..=LONGEST_VALIDITY));
    let renewal_window = section.or("renewal_window", "P7D", &whole(FleetTime::ZERO..=LONGEST_VALIDITY));
    if let (Some(validity), Some(window)) = (validity, renewal_window)
        && window > validity
    {
        let message = format!("of {} is longer than policy.validity, {}", window, validity);
        section.problem("renewal_window", &message, "make it at most as long as certificates are valid");
    }
    section.finish();
    Some(Policy { validity: validity?, renewal_window: renewal_window? })
}
