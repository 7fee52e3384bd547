/// Environment variable with the place that is to panic, in builds with debug assertions only.
const PLACE: &str = "FLEETSTORM_TEST_PANIC";

/// Panics when a test asks for it: at `place` of the program, by the variable `FLEETSTORM_TEST_PANIC`. Nothing else can show that a
/// defect costs nothing that was measured. Builds without debug assertions have none of it.
pub fn injected_panic(place: &str) {
    if cfg!(debug_assertions) && std::env::var_os(PLACE).is_some_and(|wanted| wanted == place) {
        panic!("asked for by {PLACE}={place}");
    }
}
