use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Widths of bins, in seconds: each is a multiple of the one before. Beyond the last one they double.
const WIDTHS: [u64; 13] = [1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, DAY];

/// When the certificates of a fleet expire, as its devices had them at the end of a run; on the fleet's wall clock.
///
/// They are counted in at most [`Certificates::MOST_BINS`] bins of one width, that lie on multiples of it since 1970. Every
/// width divides the wider ones, so that the parts of a fleet can be added without loss, in any order, without anybody
/// knowing the range of all beforehand: the result has the narrowest width with which the whole range fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificates {
    /// Devices that have none.
    pub without: u64,
    /// Those that had expired when the run ended; they are in the bins too.
    pub expired: u64,
    /// Position in the sequence of widths.
    step: u32,
    /// Certificates by number of the bin; bins without any are not there.
    bins: BTreeMap<u64, u64>,
}

/// Certificates that expire within a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryBin {
    /// Start, included; the fleet's wall clock.
    pub from: SystemTime,
    /// End, not included.
    pub to: SystemTime,
    /// Devices whose certificate expires in it.
    pub certificates: u64,
}

impl Certificates {
    /// Most bins, those between others without a certificate included.
    pub const MOST_BINS: u64 = 200;

    /// Counts the certificate of one device; a second is as exact as certificates are, and the year 9999 their end.
    pub fn count(&mut self, not_after: SystemTime, now: SystemTime) {
        let seconds = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(MOST_SECONDS);
        self.expired += u64::from(not_after <= now);
        *self.bins.entry(seconds / width(self.step)).or_default() += 1;
        self.fit();
    }

    /// Adds those of other devices.
    pub fn add(&mut self, other: &Self) {
        let Self { without, expired, step, bins } = other;
        self.without += without;
        self.expired += expired;
        self.widen(*step);
        let fold = width(self.step) / width(*step);
        for (bin, certificates) in bins {
            *self.bins.entry(bin / fold).or_default() += certificates;
        }
        self.fit();
    }

    /// Devices with a certificate.
    pub fn certificates(&self) -> u64 {
        self.bins.values().sum()
    }

    /// Width of each bin.
    pub fn width(&self) -> Duration {
        Duration::from_secs(width(self.step))
    }

    /// The bins in the order of time, from the first certificate that expires to the last; those in between in which none
    /// does are listed too.
    pub fn bins(&self) -> impl Iterator<Item = ExpiryBin> + '_ {
        let width = width(self.step);
        let range = self.range().map(|(first, last)| first..=last);
        range.into_iter().flatten().map(move |bin| {
            let moment = |bin: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(bin.saturating_mul(width));
            let certificates = self.bins.get(&bin).copied().unwrap_or_default();
            ExpiryBin { from: moment(bin), to: moment(bin + 1), certificates }
        })
    }

    /// What was stored: `None` unless `width` is one of ours and each of `bins` (start, certificates) lies on it.
    pub fn from_parts(
        without: u64,
        expired: u64,
        width_of_bins: Duration,
        bins: impl IntoIterator<Item = (SystemTime, u64)>,
    ) -> Option<Self> {
        let step = (0..=LAST_STEP).find(|step| Duration::from_secs(width(*step)) == width_of_bins)?;
        let mut stored = Self { without, expired, step, bins: BTreeMap::new() };
        for (from, certificates) in bins {
            let since = from.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let on_the_grid = since.subsec_nanos() == 0 && since.as_secs().is_multiple_of(width(step));
            if !on_the_grid || since.as_secs() > MOST_SECONDS {
                return None;
            }
            if certificates > 0 {
                *stored.bins.entry(since.as_secs() / width(step)).or_default() += certificates;
            }
        }
        stored.fit();
        Some(stored)
    }

    fn range(&self) -> Option<(u64, u64)> {
        Some((*self.bins.first_key_value()?.0, *self.bins.last_key_value()?.0))
    }

    /// Widens the bins until there are few enough.
    fn fit(&mut self) {
        while self.range().is_some_and(|(first, last)| last - first >= Self::MOST_BINS) {
            self.widen(self.step + 1);
        }
    }

    fn widen(&mut self, step: u32) {
        if step <= self.step {
            return;
        }
        let fold = width(step) / width(self.step);
        let mut bins = BTreeMap::new();
        for (bin, certificates) in std::mem::take(&mut self.bins) {
            *bins.entry(bin / fold).or_default() += certificates;
        }
        (self.step, self.bins) = (step, bins);
    }
}

/// The last second of the year 9999, beyond which X.509 knows none (RFC 5280, 4.1.2.5).
const MOST_SECONDS: u64 = 253_402_300_799;

/// With this one all of time up to then is in few bins.
const LAST_STEP: u32 = WIDTHS.len() as u32 + 14;

/// In seconds.
fn width(step: u32) -> u64 {
    match WIDTHS.get(step as usize) {
        Some(width) => *width,
        None => DAY << (step + 1 - WIDTHS.len() as u32).min(40),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn counted(seconds: &[u64], now: u64) -> Certificates {
        let mut counted = Certificates::default();
        seconds.iter().for_each(|not_after| counted.count(at(*not_after), at(now)));
        counted
    }

    #[test]
    fn every_width_divides_the_next() {
        for step in 0..LAST_STEP {
            assert_eq!(width(step + 1) % width(step), 0, "{step}");
            assert!(width(step + 1) > width(step) && width(step + 1) <= 5 * width(step), "{step}");
        }
        assert!(MOST_SECONDS / width(LAST_STEP) < Certificates::MOST_BINS);
        let hours = [1, 3, 6, 12, 24, 48].map(|hours| hours * 3_600);
        assert_eq!([8, 9, 10, 11, 12, 13].map(width), hours);
    }

    #[test]
    fn a_day_of_certificates_has_bins_of_a_quarter_of_an_hour() {
        let certificates = counted(&[1_800_000_000, 1_800_000_001, 1_800_000_000 + 86_000], 1_800_000_000);
        assert_eq!(certificates.width(), Duration::from_secs(900));
        let bins: Vec<_> = certificates.bins().collect();
        assert_eq!(bins.len(), 96);
        assert_eq!(bins[0], ExpiryBin { from: at(1_800_000_000), to: at(1_800_000_900), certificates: 2 });
        assert_eq!(bins.iter().map(|bin| bin.certificates).sum::<u64>(), 3);
        assert!(bins.windows(2).all(|pair| pair[0].to == pair[1].from), "without gaps");
        assert_eq!(certificates.expired, 1, "a certificate is valid until notAfter");
        let day = [1_800_000_000, 1_800_086_000, 1_800_043_200, 1_800_043_199];
        let bins: Vec<_> = counted(&day, 1_800_000_000).bins().map(|bin| bin.certificates).collect();
        assert_eq!((bins[0], bins[47], bins[48], bins[95]), (1, 1, 1, 1), "who comes later is counted in bins as wide");
    }

    #[test]
    fn what_is_not_ours_is_not_taken() {
        let parts = |width, from| Certificates::from_parts(0, 0, Duration::from_secs(width), [(at(from), 1)]);
        let minute = ExpiryBin { from: at(120), to: at(180), certificates: 1 };
        assert_eq!(parts(60, 120).map(|parts| parts.bins().collect()), Some(vec![minute]));
        assert!(parts(61, 122).is_none());
        assert!(parts(60, 121).is_none());
        let year_9999 = 253_402_300_799;
        assert!(
            parts(1, year_9999).is_some() && parts(1, year_9999 + 1).is_none() && parts(1, year_9999 + 2).is_none()
        );
        assert!(
            Certificates::from_parts(1, 0, Duration::from_secs(1), []).is_some_and(|none| none.bins().count() == 0)
        );
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_in_any_order(
            parts in prop::collection::vec(prop::collection::vec((0u64..40).prop_flat_map(|bits| 0u64..(1 << bits)), 0..30), 1..5),
            now in 0u64..1 << 40,
        ) {
            let mut sum = Certificates::default();
            let mut reversed = Certificates::default();
            for part in &parts {
                sum.add(&counted(part, now));
            }
            for part in parts.iter().rev() {
                reversed.add(&counted(part, now));
            }
            let all = counted(&parts.concat(), now);
            prop_assert_eq!(&sum, &all);
            prop_assert_eq!(&reversed, &all);
            prop_assert_eq!(all.certificates(), parts.iter().map(Vec::len).sum::<usize>() as u64);
            prop_assert!(all.bins().count() as u64 <= Certificates::MOST_BINS);
            let stored = all.bins().map(|bin| (bin.from, bin.certificates));
            prop_assert_eq!(Certificates::from_parts(0, all.expired, all.width(), stored), Some(all.clone()));
        }
    }
}
