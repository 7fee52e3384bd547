use proptest::prelude::*;
use rand::SeedableRng as _;

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;

fn histogram(seconds: impl IntoIterator<Item = f64>) -> Histogram {
    let mut histogram = Histogram::new();
    seconds.into_iter().for_each(|time| histogram.record((time * 1e9) as u64));
    histogram
}

/// Of those through, failed and censored after so many seconds.
fn of(through: &[f64], failed: &[f64], censored: &[f64]) -> Incidence {
    let [through, failed, censored] = [through, failed, censored].map(|times| histogram(times.iter().copied()));
    Incidence::new([&through, &failed, &censored], 0).expect("somebody began")
}

/// The steps in whole seconds and thousandths.
fn steps(times: &Incidence) -> Vec<(u64, u64)> {
    times.steps().map(|(time, share)| (time.as_secs_f64().round() as u64, (share * 1e3).round() as u64)).collect()
}

/// A time within the three digits that histograms keep.
fn near(known: Known<Duration>, seconds: f64) -> bool {
    known.exact().is_some_and(|time| (time.as_secs_f64() / seconds - 1.0).abs() < 2e-3)
}

#[test]
fn when_all_are_seen_to_get_through_it_is_the_plain_share() {
    let times = histogram((1..=1_000).map(|n| f64::from(n) / 100.0));
    let empty = Histogram::new();
    let all = Incidence::new([&times, &empty, &empty], 1_000).unwrap();
    for quantile in [0.001, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
        assert_eq!(all.quantile(quantile).exact(), times.quantile(quantile), "{quantile}");
    }
    assert_eq!((all.min(), all.max()), (Known::Is(Duration::from_millis(10)), Known::Is(S(10))));
    assert!(near(all.mean(), 5.005), "{:?}", all.mean());
    assert!((all.share() - 1.0).abs() < 1e-9);
}

#[test]
fn when_nobody_fails_it_is_one_minus_the_estimate_of_kaplan_and_meier() {
    // Remission of 21 patients under 6-MP, in weeks (Freireich and others 1963), the example of every textbook.
    let seen = [6.0, 6.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0];
    let censored = [6.0, 9.0, 10.0, 11.0, 17.0, 19.0, 20.0, 25.0, 32.0, 32.0, 34.0, 35.0];
    let published = [(6, 143), (7, 193), (10, 247), (13, 310), (16, 373), (22, 462), (23, 552)];
    let times = of(&seen, &[], &censored);
    assert_eq!(steps(&times), published);
    assert!(near(times.quantile(0.5), 23.0));
    assert_eq!(times.quantile(0.6), Known::Above(S(35)), "more than half an end is not known");
    assert_eq!((times.max(), times.min()), (Known::Above(S(35)), Known::Is(S(6))));
}

#[test]
fn whoever_failed_keeps_a_share_and_never_gets_through() {
    // By hand: of five at work one comes, of four one fails, one is not seen further, and of two one comes.
    let times = of(&[1.0, 4.0], &[2.0, 5.0], &[3.0]);
    assert_eq!(steps(&times), [(1, 200), (4, 500)]);
    assert_eq!(times.quantile(0.51), Known::Above(S(5)));
    // Nobody is censored: it is the plain share of all.
    let times = of(&[1.0; 97], &[0.5; 3], &[]);
    assert!(near(times.quantile(0.97), 1.0) && times.quantile(0.98) == Known::Above(S(1)));
    assert_eq!((times.share() * 100.0).round(), 97.0);
}

#[test]
fn those_who_have_not_come_back_by_the_end_are_no_survivors() {
    // 2,902 of 3,000 connections come back within 56.9 s; 98 had not when the stage ended, 62 s after they were lost.
    let back: Vec<f64> = (1..=2_902).map(|n| f64::from(n) / 2_902.0 * 56.9).collect();
    let times = of(&back, &[], &[62.0; 98]);
    assert_eq!(times.quantile(0.99), Known::Above(S(62)));
    assert!(near(times.quantile(0.95), 0.95 * 3_000.0 / 2_902.0 * 56.9));
    let survivors = histogram(back);
    assert!(survivors.quantile(0.99).unwrap() < S(57), "which is what would flatter");
}

#[test]
fn those_of_whom_nothing_was_kept_are_never_through() {
    let (times, empty) = (histogram([1.0; 90]), Histogram::new());
    let all = Incidence::new([&times, &empty, &empty], 100).unwrap();
    assert!(near(all.quantile(0.9), 1.0) && all.quantile(0.91) == Known::Above(S(1)));
    assert_eq!((all.began(), all.max()), (100, Known::Above(S(1))));
    assert_eq!(Incidence::new([&empty; 3], 0), None);
    let nobody = Incidence::new([&empty; 3], 5).unwrap();
    assert_eq!((nobody.quantile(0.5), nobody.share()), (Known::Above(Duration::ZERO), 0.0));
    assert_eq!(nobody.mean(), Known::Above(Duration::ZERO));
}

#[test]
fn beyond_the_range_of_histograms_nothing_more_is_known() {
    let times = of(&[1.0, 3_599.0, 7_200.0, 9_000.0], &[], &[]);
    assert!(near(times.quantile(0.5), 3_599.0));
    assert_eq!(times.quantile(0.75), Known::Above(Duration::from_nanos(Histogram::HIGHEST)));
    assert_eq!(times.max(), Known::Is(S(9_000)), "the largest is kept as it was");
}

#[test]
fn a_mean_is_no_less_than_what_was_seen_of_everybody() {
    let times = of(&[1.0, 2.0], &[], &[4.0, 4.0]);
    let Known::Above(least) = times.mean() else { panic!("it is not known") };
    assert!((least.as_secs_f64() - 2.75).abs() < 0.01, "a quarter of 1, 2, 4 and 4 each: {least:?}");
}

/// A fleet of which everything is known: times until a device gets through and until it fails are exponential, and each
/// device is seen for a time of its own, evenly drawn.
struct Fleet {
    /// Per second.
    come: f64,
    fail: f64,
    /// Until when somebody is seen at most, in seconds.
    longest: f64,
}

impl Fleet {
    const DEVICES: usize = 2_000;
    const SEEDS: u64 = 60;
    const ALL: [Self; 4] = [
        Self { come: 1.0, fail: 0.0, longest: 3.0 },
        Self { come: 1.0, fail: 0.05, longest: 4.0 },
        Self { come: 0.5, fail: 0.5, longest: 10.0 },
        Self { come: 2.0, fail: 0.1, longest: 1.0 },
    ];

    /// The share through after that time.
    fn truth(&self, time: f64) -> f64 {
        let both = self.come + self.fail;
        self.come / both * (1.0 - (-both * time).exp())
    }

    /// How long each device of a seed took, by its fate.
    fn drawn(&self, seed: u64) -> [Vec<f64>; Fate::COUNT] {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || random.random::<f64>();
        let mut times = [const { Vec::new() }; Fate::COUNT];
        let both = self.come + self.fail;
        for _ in 0..Self::DEVICES {
            let (ends, seen) = (-(1.0 - draw()).ln() / both, draw() * self.longest);
            let fate = match (ends < seen, draw() < self.come / both) {
                (true, true) => Fate::Succeeded,
                (true, false) => Fate::Failed,
                (false, _) => Fate::Censored,
            };
            times[fate as usize].push(ends.min(seen));
        }
        times
    }

    /// The time at which shares are looked at.
    fn at(&self) -> f64 {
        self.longest / 2.0
    }

    /// Over all seeds: the mean of the share that is told and its largest error, and the mean of the share of survivors.
    fn told(&self) -> (f64, f64, f64) {
        let at = self.at();
        let (mut mean, mut worst, mut survivors) = (0.0, 0.0_f64, 0.0);
        for seed in 0..Self::SEEDS {
            let [through, failed, censored] = self.drawn(seed);
            let in_time = through.iter().filter(|time| **time <= at).count() as f64 / through.len() as f64;
            let times = of(&through, &failed, &censored);
            let until = times.steps().take_while(|(time, _)| time.as_secs_f64() <= at);
            let told = until.last().map_or(0.0, |(_, share)| share);
            mean += told / Self::SEEDS as f64;
            survivors += in_time / Self::SEEDS as f64;
            worst = worst.max((told - self.truth(at)).abs());
        }
        (mean, worst, survivors)
    }
}

#[test]
fn of_fleets_that_are_known_it_tells_the_truth_where_survivors_flatter() {
    for fleet in &Fleet::ALL {
        let truth = fleet.truth(fleet.at());
        let (mean, worst, survivors) = fleet.told();
        // The standard error of one fleet is about 0.015, that of their mean 0.002.
        assert!((mean - truth).abs() < 0.006 && worst < 0.07, "{truth}: {mean} {worst}");
        assert!(survivors - truth > (5.0 * (mean - truth).abs()).max(0.03), "{truth}: {survivors}");
    }
}

/// What docs/trust.md says of it: made anew with FLEETSTORM_BLESS=1.
#[test]
fn the_table_of_the_page_on_trust_is_what_comes_out() {
    let mut table = String::from(
        "| gets through, fails (per s) | seen until | after | truth | told, mean | largest error of a fleet | survivors say |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for fleet in &Fleet::ALL {
        let (mean, worst, survivors) = fleet.told();
        let truth = fleet.truth(fleet.at());
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        table += &format!(
            "| {}, {} | {} s | {} s | {} | {} | {} | {} |\n",
            fleet.come,
            fleet.fail,
            fleet.longest,
            fleet.at(),
            percent(truth),
            percent(mean),
            percent(worst),
            percent(survivors)
        );
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/trust.md");
    let (begin, end) = ("<!-- incidence: begin -->\n", "<!-- incidence: end -->");
    let there = std::fs::read_to_string(path).unwrap();
    let (before, rest) = there.split_once(begin).expect("where the table begins");
    let (_, after) = rest.split_once(end).expect("where it ends");
    let made = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("FLEETSTORM_BLESS").is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    assert!(there == made, "docs/trust.md is not up to date: run this test once with FLEETSTORM_BLESS=1");
}

fn times() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((1_u32..5_000).prop_map(|hundredths| f64::from(hundredths) / 100.0), 0..40)
}

proptest! {
    #[test]
    fn it_rises_to_no_more_than_who_might_be_through_and_no_less_than_who_are(
        through in times(), failed in times(), censored in times(), missing in 0_u64..5,
    ) {
        let by_fate = [&through, &failed, &censored].map(|times| histogram(times.iter().copied()));
        let seen = (through.len() + failed.len() + censored.len()) as u64;
        let [a, b, c] = &by_fate;
        let Some(all) = Incidence::new([a, b, c], seen + missing) else {
            prop_assert_eq!(seen + missing, 0);
            return Ok(());
        };
        let shares: Vec<f64> = all.steps().map(|(_, share)| share).collect();
        prop_assert!(shares.is_sorted());
        let began = all.began() as f64;
        let (least, most) = (through.len() as f64 / began, (through.len() + censored.len()) as f64 / began);
        prop_assert!(all.share() > least - 1e-9 && all.share() < most + 1e-9, "{} in {least}..{most}", all.share());
        // A percentile is known exactly when the share is reached, and then at a time at which somebody got through.
        for quantile in [0.1, 0.5, 0.9, 0.99, 1.0] {
            let known = all.quantile(quantile);
            prop_assert_eq!(known.exact().is_some(), all.share() + 1e-9 >= quantile && !through.is_empty());
            prop_assert!(known.least() <= all.seen());
        }
        // Whoever is seen for longer changes nothing before.
        let longer = histogram(censored.iter().map(|time| time + 100.0));
        let patient = Incidence::new([a, b, &longer], seen + missing).unwrap();
        prop_assert!(patient.share() <= all.share() + 1e-9);
    }
}
