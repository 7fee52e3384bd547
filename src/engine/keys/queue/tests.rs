use proptest::prelude::*;

use super::*;
use crate::domain::Shard;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn split(workers: u32) -> Split {
    Split { shard: Shard::WHOLE, workers }
}

fn lane(begins: Begins, due: &[u64], workers: u32) -> Lane {
    let list: Vec<(Duration, u32)> = due.iter().map(|at| MS(*at)).zip(0..).collect();
    let devices = list.len() as u64;
    Lane::new(begins, Box::new(list.into_iter()), devices, split(workers))
}

/// Stages in the order in which keys are made when nobody takes any.
fn order(queue: &mut KeyQueue) -> Vec<usize> {
    std::iter::from_fn(|| queue.next(None)).map(|wanted| wanted.stage).collect()
}

#[test]
fn a_key_that_is_due_now_does_not_wait_for_those_of_another_stage_that_are_due_later() {
    let mut queue = KeyQueue::new(3, 100);
    queue.add(1, lane(Begins::At(MS(10)), &[0; 50], 1));
    queue.add(0, lane(Begins::At(MS(0)), &[0, 5, 10, 15], 1).running(true));
    // Foreseen for before all others, but it is not known whether it comes then.
    queue.add(2, lane(Begins::NotBefore(MS(0)), &[0; 3], 1));
    assert_eq!(order(&mut queue), [&[0; 3][..], &[1; 50], &[0], &[2; 3]].concat());
}

#[test]
fn stages_that_lack_keys_take_turns_and_quick_ones_never_wait() {
    let queue = || {
        let mut queue = KeyQueue::new(3, 100);
        queue.add(0, lane(Begins::At(MS(0)), &[0, 1, 2, 3], 1).running(true));
        queue.add(1, lane(Begins::At(MS(9)), &[0, 1, 2, 91], 1).running(true));
        queue.add(2, lane(Begins::At(MS(50)), &[0, 1], 1).quick(true));
        queue
    };
    assert_eq!(order(&mut queue()), [2, 2, 0, 0, 0, 0, 1, 1, 1, 1]);
    let mut late = queue();
    // Those of stage 1 are due at 9, 10, 11 and 100 ms.
    let overdue = std::iter::from_fn(|| late.next(Some(MS(20)))).map(|wanted| wanted.stage);
    assert_eq!(overdue.collect::<Vec<_>>(), [2, 2, 0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn a_stage_is_moved_up_when_its_begin_is_known() {
    let mut queue = KeyQueue::new(2, 100);
    queue.add(0, lane(Begins::At(MS(0)), &[0, 10, 20, 30], 1).running(true));
    queue.add(1, lane(Begins::NotBefore(MS(5)), &[0, 1], 1));
    assert_eq!([queue.next(None), queue.next(None)].map(|wanted| wanted.unwrap().stage), [0, 0]);
    queue.begins(1, MS(12));
    assert_eq!(order(&mut queue), [1, 1, 0, 0]);
}

#[test]
fn a_worker_that_has_the_turn_gets_its_key_however_many_keys_of_others_are_ahead() {
    let mut queue = KeyQueue::new(1, 1);
    queue.add(0, lane(Begins::At(MS(0)), &[0; 6], 2).closed(1).running(true));
    let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
    assert_eq!([next(), next()], [Some((0, 0)), None]);
    queue.passed(0, 0);
    let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
    assert_eq!([next(), next()], [Some((1, 1)), None], "the one that may be ahead is the other worker's");
    queue.waits(0, 0);
    assert!(queue.has_next());
    let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
    assert_eq!([next(), next()], [Some((2, 0)), None]);
    queue.passed(0, 0);
    queue.waits(0, 0);
    let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
    assert_eq!([next(), next(), next()], [Some((3, 1)), Some((4, 0)), None], "with those before it");
}

#[test]
fn of_a_closed_workload_only_those_that_have_a_turn_are_due() {
    let mut queue = KeyQueue::new(2, 100);
    queue.add(0, lane(Begins::At(MS(0)), &[0; 6], 1).closed(2).running(true));
    queue.add(1, lane(Begins::At(MS(10)), &[0, 1], 1));
    assert_eq!(order(&mut queue), [0, 0, 1, 1, 0, 0, 0, 0]);
    queue.passed(0, 0);
    assert!(!queue.has_next());
}

#[test]
fn stages_that_have_begun_have_keys_ahead_of_their_own_and_others_share_what_is_left() {
    let mut queue = KeyQueue::new(4, 4);
    queue.add(0, lane(Begins::At(MS(0)), &[0; 3], 1).running(true));
    queue.add(1, lane(Begins::At(MS(5)), &[0; 9], 1));
    queue.add(2, lane(Begins::At(MS(9)), &[0; 9], 1));
    queue.add(3, lane(Begins::At(MS(9)), &[0; 5], 1).whole(true));
    assert_eq!(queue.expected(), (9, 5));
    assert_eq!(order(&mut queue), [0, 0, 0, 1, 3, 3, 3, 3, 3]);
    // One that is taken makes room for one.
    queue.passed(0, 0);
    assert_eq!(order(&mut queue), [1]);
    queue.runs(1);
    assert_eq!(order(&mut queue), [1, 1]);
    queue.close(1, 0);
    assert_eq!(order(&mut queue), [2, 2]);
}

#[test]
fn each_stage_that_has_begun_has_as_many_ahead_as_there_may_be() {
    let mut queue = KeyQueue::new(2, 2);
    queue.add(0, lane(Begins::At(MS(0)), &[0; 5], 1).running(true));
    queue.add(1, lane(Begins::At(MS(0)), &[0; 5], 1).running(true));
    assert_eq!(queue.expected(), (4, 0));
    assert_eq!(order(&mut queue), [0, 0, 1, 1]);
    // Those that are made are among those that were expected.
    assert_eq!(queue.expected(), (4, 0));
}

#[test]
fn what_is_expected_is_the_same_while_it_is_made_and_less_once_it_is_taken() {
    let whole = lane(Begins::At(MS(0)), &[0; 5], 1).whole(true);
    assert!(whole.is_whole() && !lane(Begins::At(MS(0)), &[0; 5], 1).is_whole());
    let mut queue = KeyQueue::new(1, 100);
    queue.add(0, whole);
    for _ in 0..3 {
        assert_eq!(queue.expected(), (5, 5));
        queue.next(None).unwrap();
    }
    queue.passed(0, 0);
    assert_eq!(queue.expected(), (4, 4));
}

proptest! {
    /// Whatever is taken, dropped and closed when: every device's key is made once, in order, unless it had passed before,
    /// and never are more ahead than may be.
    #[test]
    fn every_key_is_made_once_in_the_order_of_due_times(
        dues in prop::collection::vec(prop::collection::vec(0u64..50, 0..40), 1..4),
        workers in 1u32..4,
        most in 1u64..20,
        moves in prop::collection::vec((0usize..4, 0usize..4, 0u8..8), 0..300),
    ) {
        let mut queue = KeyQueue::new(dues.len(), most);
        let mut left = Vec::new();
        for (stage, due) in dues.iter().enumerate() {
            let mut due = due.clone();
            due.sort_unstable();
            queue.add(stage, lane(Begins::At(MS(0)), &due, workers).running(stage % 2 == 0));
            let of = |worker: u32| (0..).take(due.len()).filter(move |device| device % workers == worker);
            left.push((0..workers).map(|worker| of(worker).collect::<Vec<u32>>()).collect::<Vec<_>>());
        }
        let mut made = vec![vec![0u64; workers as usize]; dues.len()];
        let mut passed = made.clone();
        let mut closed = vec![vec![false; workers as usize]; dues.len()];
        let mut last = MS(0);
        let mut took = false;
        for (stage, worker, kind) in moves {
            let (stage, worker) = (stage % dues.len(), worker % workers as usize);
            match kind {
                0..=3 => if let Some(wanted) = queue.next(None) {
                    let NextKey { stage, device, worker, place } = wanted;
                    prop_assert_eq!(left[stage][worker][place as usize], device);
                    prop_assert!(place >= made[stage][worker] && place >= passed[stage][worker]);
                    prop_assert!(!closed[stage][worker]);
                    made[stage][worker] = place + 1;
                    let mut due = dues[stage].clone();
                    due.sort_unstable();
                    let at = MS(due[device as usize]);
                    prop_assert!(took || at >= last, "as long as nothing is taken, what is due first comes first");
                    last = at;
                    let ahead: u64 = (0..workers as usize)
                        .map(|worker| made[stage][worker].saturating_sub(passed[stage][worker])).sum();
                    prop_assert!(ahead <= most);
                },
                4..=6 => {
                    if passed[stage][worker] < left[stage][worker].len() as u64 && !closed[stage][worker] {
                        passed[stage][worker] += 1;
                        queue.passed(stage, worker);
                        took = true;
                    }
                }
                _ => {
                    closed[stage][worker] = true;
                    passed[stage][worker] = passed[stage][worker].max(made[stage][worker]);
                    queue.close(stage, worker);
                    took = true;
                }
            }
        }
    }
}
