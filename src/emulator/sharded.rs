use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, also after a thread panicked while it held the lock: every critical section here leaves the data whole.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map from ids to `V` behind many locks, so that connections on several threads seldom meet. The locks are held for
/// moments and never across an await.
#[derive(Debug)]
pub(crate) struct Sharded<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
}

type Shard<V> = HashMap<Arc<str>, V>;

impl<V> Sharded<V> {
    const SHARDS: usize = 64;

    pub(crate) fn new() -> Self {
        Self { shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// The locked part of the map that `id` belongs to.
    pub(crate) fn shard(&self, id: &str) -> MutexGuard<'_, Shard<V>> {
        let index = usize::try_from(self.hasher.hash_one(id) % Self::SHARDS as u64).unwrap_or_default();
        lock(&self.shards[index])
    }

    /// Forgets the values that `keep` does not want.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        for shard in &self.shards {
            lock(shard).retain(|_, value| keep(value));
        }
    }

    /// Copies of the values that are `wanted`, in no order.
    pub(crate) fn select(&self, wanted: impl Fn(&str, &V) -> bool) -> Vec<V>
    where
        V: Clone,
    {
        let mut found = Vec::new();
        for shard in &self.shards {
            found.extend(lock(shard).iter().filter(|(id, value)| wanted(id, value)).map(|(_, value)| value.clone()));
        }
        found
    }

    /// A copy of the value of `id`.
    pub(crate) fn get(&self, id: &str) -> Option<V>
    where
        V: Clone,
    {
        self.shard(id).get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_values_apart() {
        let map = Sharded::new();
        for i in 0..1000 {
            map.shard(&format!("d{i}")).insert(format!("d{i}").into(), i);
        }
        assert_eq!((map.get("d777"), map.get("d1000")), (Some(777), None));
    }
}
