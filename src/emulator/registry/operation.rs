use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::registration::Assignment;
use crate::domain::{FleetTime, TimeScale};
use crate::emulator::sharded::lock;

/// Id of an operation: `5.{16 hexadecimal digits}.{guid}`. The digits are the same for all operations of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OperationId {
    instance: u64,
    guid: Uuid,
}

impl OperationId {
    fn parse(text: &str) -> Option<Self> {
        let (instance, guid) = text.strip_prefix("5.")?.split_once('.')?;
        if instance.len() != 16 {
            return None;
        }
        Some(Self { instance: u64::from_str_radix(instance, 16).ok()?, guid: Uuid::try_parse(guid).ok()? })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "5.{:016x}.{}", self.instance, self.guid)
    }
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum OperationOutcome {
    /// The device has a hub, and a certificate if it asked for one.
    Assigned(Box<Assignment>),
    /// It has not.
    Failed {
        /// The service's code, such as 400000.
        code: u32,
        /// The reason in words.
        message: String,
        /// When.
        at: SystemTime,
    },
}

/// One registration in progress or done.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    /// The device's registration id, in lower case.
    pub(crate) registration_id: Arc<str>,
    /// Not done before.
    ready_at: Instant,
    outcome: OnceLock<OperationOutcome>,
    begun: Instant,
    /// When the device was first told how it ended.
    told: OnceLock<Instant>,
}

impl Operation {
    /// Ends it. The first end counts.
    pub(crate) fn finish(&self, outcome: OperationOutcome) {
        // An operation ends once; a second end would be a bug that must not change what the device was told.
        let _ = self.outcome.set(outcome);
    }

    /// How it ended, if it has.
    pub(crate) fn outcome(&self, now: Instant) -> Option<&OperationOutcome> {
        self.outcome.get().filter(|_| now >= self.ready_at)
    }
}

/// The operations of a DPS instance: bounded in number and in age.
#[derive(Debug)]
pub(crate) struct Operations {
    instance: u64,
    shards: Box<[Mutex<Shard>]>,
    count: AtomicUsize,
    max: usize,
    ttl: Duration,
}

#[derive(Debug, Default)]
struct Shard {
    live: HashMap<Uuid, Arc<Operation>>,
    /// In the order of their beginning.
    begun: VecDeque<(Instant, Uuid)>,
    /// In the order of their first final answer.
    told: VecDeque<(Instant, Uuid)>,
}

impl Operations {
    const SHARDS: usize = 64;
    /// A device that lost the final answer may ask again for so long; then the memory of the chain is given back.
    const TOLD_TTL: Duration = Duration::from_secs(30);

    pub(crate) fn new(max: usize, ttl: Duration) -> Self {
        Self {
            instance: Uuid::new_v4().as_u64_pair().0,
            shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            max,
            ttl,
        }
    }

    /// How long operations are kept that live so long: at least as long as machines need to ask for them, which is no longer
    /// than they live without a scale.
    pub(crate) fn real_ttl(ttl: FleetTime, scale: TimeScale) -> Duration {
        const LEAST: Duration = Duration::from_secs(30);
        scale.to_real(ttl).max(ttl.length().min(LEAST))
    }

    /// A new operation that is not done before `ready_at`; `None` when there are too many.
    pub(crate) fn begin(&self, registration_id: Arc<str>, now: Instant, ready_at: Instant) -> Option<Arc<Operation>> {
        let id = OperationId { instance: self.instance, guid: Uuid::new_v4() };
        let mut shard = self.shard(id.guid);
        self.expire_shard(&mut shard, now);
        if self.count.load(Ordering::Relaxed) >= self.max {
            // Which operations share a shard is random, and must not decide who is refused.
            drop(shard);
            self.expire(now);
            if self.count.load(Ordering::Relaxed) >= self.max {
                return None;
            }
            shard = self.shard(id.guid);
        }
        let operation = Arc::new(Operation {
            id,
            registration_id,
            ready_at,
            outcome: OnceLock::new(),
            begun: now,
            told: OnceLock::new(),
        });
        shard.live.insert(id.guid, Arc::clone(&operation));
        shard.begun.push_back((now, id.guid));
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(operation)
    }

    /// Forgets an operation that the device was not told of.
    pub(crate) fn cancel(&self, operation: &Operation) {
        if self.shard(operation.id.guid).live.remove(&operation.id.guid).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The operation of that id and device.
    pub(crate) fn find(&self, id: &str, registration_id: &str, now: Instant) -> Option<Arc<Operation>> {
        let id = OperationId::parse(id).filter(|id| id.instance == self.instance)?;
        let mine = |o: &&Arc<Operation>| *o.registration_id == *registration_id && !self.is_too_old(o, now);
        self.shard(id.guid).live.get(&id.guid).filter(mine).cloned()
    }

    fn is_too_old(&self, operation: &Operation, now: Instant) -> bool {
        let since_told = operation.told.get().map(|told| now.duration_since(*told));
        now.duration_since(operation.begun) >= self.ttl || since_told.is_some_and(|since| since >= Self::TOLD_TTL)
    }

    /// Notes that the device was told how it ended; true for the first time.
    pub(crate) fn told(&self, operation: &Operation, now: Instant) -> bool {
        let first = operation.told.set(now).is_ok();
        if first {
            self.shard(operation.id.guid).told.push_back((now, operation.id.guid));
        }
        first
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&self, now: Instant) {
        for shard in &self.shards {
            self.expire_shard(&mut lock(shard), now);
        }
    }

    fn shard(&self, guid: Uuid) -> std::sync::MutexGuard<'_, Shard> {
        let index = usize::try_from(guid.as_u128() % Self::SHARDS as u128).unwrap_or_default();
        lock(&self.shards[index])
    }

    fn expire_shard(&self, shard: &mut Shard, now: Instant) {
        let Shard { live, begun, told } = shard;
        for (queue, ttl) in [(begun, self.ttl), (told, Self::TOLD_TTL)] {
            while let Some((_, guid)) = queue.pop_front_if(|(since, _)| now.duration_since(*since) >= ttl) {
                if live.remove(&guid).is_some() {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> OperationOutcome {
        OperationOutcome::Failed { code: 400_000, message: String::new(), at: SystemTime::UNIX_EPOCH }
    }

    #[tokio::test(start_paused = true)]
    async fn operations_are_found_by_their_device_only_and_done_when_their_time_has_come() {
        let (now, operations) = (Instant::now(), Operations::new(10, Duration::from_secs(60)));
        let operation = operations.begin("a".into(), now, now + Duration::from_secs(1)).unwrap();
        let id = operation.id.to_string();
        assert!(operations.find(&id, "a", now).is_some());
        assert!(operations.find(&id, "b", now).is_none());
        assert!(operations.find("5.0000000000000000.none", "a", now).is_none());
        operation.finish(failed());
        assert!(operation.outcome(now).is_none());
        assert!(operation.outcome(now + Duration::from_secs(1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_was_cancelled_is_gone_and_makes_room() {
        let (now, operations) = (Instant::now(), Operations::new(1, Duration::from_secs(60)));
        let operation = operations.begin("a".into(), now, now).unwrap();
        assert!(operations.begin("b".into(), now, now).is_none());
        operations.cancel(&operation);
        operations.cancel(&operation);
        assert!(operations.find(&operation.id.to_string(), "a", now).is_none());
        assert!(operations.begin("b".into(), now, now).is_some() && operations.begin("c".into(), now, now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_by_number_and_age() {
        let (now, operations) = (Instant::now(), Operations::new(2, Duration::from_secs(60)));
        let first = operations.begin("a".into(), now, now).unwrap();
        assert!(operations.begin("b".into(), now, now).is_some());
        assert!(operations.begin("c".into(), now, now).is_none());
        assert!(operations.told(&first, now) && !operations.told(&first, now));
        let later = now + Operations::TOLD_TTL;
        assert!(operations.find(&first.id.to_string(), "a", later).is_none());
        operations.expire(later);
        assert!(operations.find(&first.id.to_string(), "a", now).is_none());
        assert!(operations.begin("c".into(), now, now).is_some());
        operations.expire(now + Duration::from_secs(60));
        assert_eq!(operations.count.load(Ordering::Relaxed), 0);
    }
}
