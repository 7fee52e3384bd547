use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A stream of random numbers of its own for every `name` and `index`: `rng(seed, "arrival", 0)`,
/// `rng(seed, "device", i)`. Adding a consumer shifts nobody else's draws, and device `i` is the same device however the
/// fleet is split.
///
/// The three become the key of ChaCha8, each in its own bytes, so no two streams are the same. `name` counts up to its
/// 16th byte.
pub fn rng(seed: u64, name: &str, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let (numbers, text) = key.split_at_mut(16);
    numbers[..8].copy_from_slice(&seed.to_le_bytes());
    numbers[8..].copy_from_slice(&index.to_le_bytes());
    for (place, byte) in text.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn streams_are_repeatable_and_differ_in_every_part() {
        let first = |seed, name, index| rng(seed, name, index).next_u64();
        assert_eq!(first(7, "device", 3), first(7, "device", 3));
        let streams = [first(7, "device", 3), first(8, "device", 3), first(7, "devices", 3), first(7, "device", 4)];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[i + 1..].iter().all(|b| a != b));
        }
    }
}
