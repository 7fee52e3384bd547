use std::time::Duration;

/// How long work waits at most, stage by stage, when it is done one after the other in the order in which it is due; and when all is done.
/// What is due: when, of which of so many stages, and what it takes.
pub(super) fn of(mut due: Vec<(Duration, usize, Duration)>, stages: usize) -> (Vec<Duration>, Duration) {
    due.sort_unstable();
    let (mut longest, mut free) = (vec![Duration::ZERO; stages], Duration::ZERO);
    for (at, stage, takes) in due {
        free = free.max(at).saturating_add(takes);
        longest[stage] = longest[stage].max(free - at);
    }
    (longest, free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_keeps_up_waits_for_nothing_but_the_work_itself() {
        let due = (0..100).map(|number| (ms(10 * number), 0, ms(10))).collect();
        assert_eq!(of(due, 1), (vec![ms(10)], ms(1_000)));
        assert_eq!(of(Vec::new(), 2), (vec![Duration::ZERO; 2], Duration::ZERO));
    }

    #[test]
    fn what_comes_too_fast_waits_ever_longer_and_stages_beside_each_other_share_the_cores() {
        let due = |stage: usize| (0..100).map(move |number| (ms(10 * number), stage, ms(8)));
        assert_eq!(of(due(0).collect(), 2), (vec![ms(8), Duration::ZERO], ms(998)));
        let (longest, done) = of(due(0).chain(due(1)).collect(), 2);
        assert_eq!((longest, done), (vec![ms(602), ms(610)], ms(1_600)));
        // A pause lets it catch up.
        assert_eq!(of(vec![(ms(0), 0, ms(50)), (ms(10), 0, ms(5)), (ms(500), 1, ms(5))], 2).0, [ms(50), ms(5)]);
    }
}
