use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: FleetTime = FleetTime::from_secs(1);

fn due(arrival: &Arrival, devices: u32, seed: u64, stage: u16) -> Vec<FleetTime> {
    arrival.due_offsets(devices, seed, stage).expect("not from expiry").collect()
}

fn point(at: u64, rate: u32) -> RatePoint {
    RatePoint { at: FleetTime::from_secs(at), rate: Rate::per_second_exact(rate) }
}

/// Every process that needs no certificates, for at least 2,000 devices.
fn processes() -> impl Strategy<Value = Arrival> {
    let rate = || (1u32..5_000).prop_map(Rate::per_second_exact);
    let millis = |range: std::ops::Range<u64>| range.prop_map(FleetTime::from_millis);
    let replay = prop::collection::vec(0u32..1_000_000, 2_000..2_100).prop_map(|rows| {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        Arrival::Replay(Replay::parse(Path::new("a.csv"), &text).unwrap())
    });
    prop_oneof![
        Just(Arrival::AtOnce),
        rate().prop_map(|rate| Arrival::Constant { rate }),
        (rate(), rate(), 1u64..100).prop_map(|(from, to, at)| Arrival::Ramp {
            points: vec![
                RatePoint { at: FleetTime::ZERO, rate: from },
                RatePoint { at: FleetTime::from_secs(at), rate: to },
            ]
        }),
        rate().prop_map(|rate| Arrival::Poisson { rate }),
        (rate(), rate(), millis(0..60_000), millis(1..60_000)).prop_map(|(rate, peak, at, lasts)| Arrival::Spike {
            rate,
            peak,
            at,
            lasts
        }),
        (millis(1..600_000), 0u32..=1_000)
            .prop_map(|(over, part)| Arrival::Spread { over, jitter: over.mul_f64(f64::from(part) / 1_000.0) }),
        replay,
    ]
}

proptest! {
    #[test]
    fn every_device_gets_one_due_time_in_order_and_the_same_for_the_same_seed(
        arrival in processes(),
        devices in 0u32..2_000,
        seed in any::<u64>(),
    ) {
        let offsets = due(&arrival, devices, seed, 3);
        prop_assert_eq!(offsets.len(), devices as usize);
        prop_assert!(offsets.is_sorted());
        prop_assert_eq!(&offsets, &due(&arrival, devices, seed, 3));
        let random = matches!(arrival, Arrival::Poisson { .. })
            || matches!(arrival, Arrival::Spread { jitter, .. } if jitter > FleetTime::from_millis(10));
        if random && devices > 10 {
            prop_assert_ne!(&offsets, &due(&arrival, devices, seed, 4));
            prop_assert_ne!(&offsets, &due(&arrival, devices, seed ^ 1, 3));
        } else if !random && !matches!(arrival, Arrival::Spread { .. }) {
            prop_assert_eq!(&offsets, &due(&arrival, devices, !seed, 4));
        }
    }

    #[test]
    fn a_poisson_process_has_the_rate_that_it_is_given(rate in 1u32..100_000, seed in any::<u64>()) {
        // The n-th arrival has a standard deviation of √n intervals: six of them never happen.
        let devices = 10_000;
        let last = due(&Arrival::Poisson { rate: Rate::per_second_exact(rate) }, devices, seed, 0).pop().unwrap();
        let intervals = last.as_secs_f64() * f64::from(rate);
        prop_assert!((intervals - f64::from(devices)).abs() < 600.0, "{intervals}");
    }

    #[test]
    fn a_spread_stays_in_its_window_and_moves_no_device_further_than_told(
        millis in 1u64..1_000_000,
        part in 0u32..=1_000,
        devices in 1u32..2_000,
        seed in any::<u64>(),
    ) {
        let over = FleetTime::from_millis(millis);
        let jitter = over.mul_f64(f64::from(part) / 1_000.0);
        let offsets = due(&Arrival::Spread { over, jitter }, devices, seed, 0);
        // Sorting brings no device further from its place than moving did.
        for (index, offset) in (0u32..).zip(&offsets) {
            let place = over.mul_f64(f64::from(index) / f64::from(devices));
            prop_assert!(*offset <= over);
            prop_assert!(offset.length().abs_diff(place.length()) <= jitter.length() + Duration::from_micros(1), "{offset:?} from {place:?}");
        }
    }

    #[test]
    fn a_spike_makes_the_area_under_its_rate(rate in 0u32..100, more in 1u32..100, at in 0u32..20, lasts in 1u32..20) {
        let spike = Arrival::Spike {
            rate: Rate::per_second_exact(rate),
            peak: Rate::per_second_exact(rate + more),
            at: at * SECOND,
            lasts: lasts * SECOND,
        };
        let counts = [rate * at, (rate + more) * lasts, rate * 10];
        let offsets = due(&spike, counts.iter().sum(), 1, 0);
        let ends = [at, at + lasts, at + lasts + 10].map(|end| end * SECOND);
        let before = ends.map(|end| offsets.partition_point(|due| *due < end));
        prop_assert_eq!(before[0], counts[0] as usize);
        prop_assert_eq!(before[1] - before[0], counts[1] as usize);
        prop_assert_eq!(before[2] - before[1], counts[2] as usize);
    }
}

#[test]
fn poisson_intervals_are_exponential() {
    let offsets = due(&Arrival::Poisson { rate: Rate::per_second_exact(1) }, 20_000, 5, 0);
    let longer = offsets.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > SECOND).count() as f64 / 20_000.0;
    assert!((longer - (-1.0f64).exp()).abs() < 0.02, "{longer} of all intervals are longer than the mean");
}

#[test]
fn a_spread_holds_only_what_may_be_overtaken() {
    let mut spread = Spread::new(1_000 * SECOND, SECOND, 100_000, Box::new(rng(1, "arrival", 0)));
    let mut most = 0;
    let mut moved = 0;
    while spread.next().is_some() {
        most = most.max(spread.held());
        moved += 1;
    }
    assert_eq!(moved, 100_000);
    assert!(most <= 201, "{most} held at a time, but only 200 lie within two seconds");
}

#[test]
fn a_spread_moves_devices_as_far_as_told_both_ways() {
    let (over, jitter) = (1_000 * SECOND, 10 * SECOND);
    // So far apart that none overtakes another.
    let moved = |device: u32| -> Vec<f64> {
        let offsets = (0..400).map(|seed| due(&Arrival::Spread { over, jitter }, 10, seed, 0)[device as usize]);
        offsets.map(|offset| offset.as_secs_f64() - 100.0 * f64::from(device)).collect()
    };
    let within = |all: &[f64], range: std::ops::Range<f64>| all.iter().filter(|by| range.contains(by)).count();
    let fifth = moved(5);
    let quarters = [(-10.0..-5.0), (-5.0..0.0), (0.0..5.0), (5.0..10.0)].map(|quarter| within(&fifth, quarter));
    assert!(quarters.iter().all(|count| (60..140).contains(count)), "{quarters:?} of 400 in each quarter");
    let first = moved(0);
    let halves = [(0.0..5.0), (5.0..10.0)].map(|half| within(&first, half));
    assert!(
        halves.iter().sum::<usize>() == 400 && halves[0].abs_diff(200) < 80,
        "{halves:?}: turned back at the begin"
    );
}

#[test]
fn a_ramp_from_zero_makes_half_the_area_of_its_square() {
    let ramp = Arrival::Ramp { points: vec![point(0, 0), point(10, 100)] };
    let within = |seconds| due(&ramp, 10_000, 1, 0).iter().filter(|d| **d < seconds * SECOND).count();
    assert_eq!((within(5), within(10), within(20)), (125, 500, 1_500));
}

#[test]
fn a_replay_brings_the_first_devices_when_it_is_longer_than_the_fleet() {
    let replay = Replay::parse(Path::new("a.csv"), "3\n1\n2\n9\n").unwrap();
    assert_eq!(due(&Arrival::Replay(replay.clone()), 3, 1, 0), [FleetTime::ZERO, SECOND, 2 * SECOND]);
    assert_eq!(due(&Arrival::Replay(replay), 9, 1, 0).len(), 4);
}

#[test]
fn arrivals_are_said_in_words() {
    use crate::scenario::RenewalStrategy as Strategy;
    let day = FleetTime::from_secs(86_400);
    let rate = Rate::per_second_exact;
    let expiry = |strategy, skew| Arrival::FromExpiry(RenewalTiming { strategy, clock_skew: skew });
    let replay = Replay::parse(Path::new("gate.csv"), "0\n90").unwrap();
    let words = [
        Arrival::AtOnce,
        Arrival::Constant { rate: rate(100) },
        Arrival::Ramp { points: vec![point(0, 20), point(90, 600)] },
        Arrival::Poisson { rate: rate(5) },
        Arrival::Spike { rate: rate(10), peak: rate(500), at: 60 * SECOND, lasts: 30 * SECOND },
        Arrival::Spread { over: day, jitter: FleetTime::ZERO },
        Arrival::Spread { over: day, jitter: 600 * SECOND },
        Arrival::Replay(replay),
        expiry(Strategy::WindowOpens, FleetTime::ZERO),
        expiry(Strategy::Fraction(0.8), FleetTime::ZERO),
        expiry(Strategy::Uniform, 300 * SECOND),
        expiry(Strategy::Suggested { from: 7 * day, until: 3 * day }, FleetTime::ZERO),
        expiry(Strategy::Never, FleetTime::ZERO),
    ]
    .map(|arrival| arrival.to_string())
    .join("\n");
    insta::assert_snapshot!(words, @"
    at once
    constant 100/s
    ramp 20/s at 0s → 600/s at 90s
    Poisson, 5/s on average
    10/s with a spike to 500/s at 1min for 30s
    spread over 1d
    spread over 1d, each moved by up to 10min
    replay of gate.csv (its first column, no header), 2 arrivals within 90s
    when the renewal window opens
    after 80 % of the certificate's life
    anywhere in the renewal window, clocks wrong by up to 5min
    where the server suggests, 7d to 3d before expiry
    once the certificate has expired
    ");
}
