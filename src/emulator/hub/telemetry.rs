use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::Device;

/// Takes a device-to-cloud message: it is counted, nothing more.
pub(crate) fn receive(core: &Core, device: &Device) {
    device.with(|state| state.telemetry += 1);
    core.tally.count(Event::Telemetry);
}
