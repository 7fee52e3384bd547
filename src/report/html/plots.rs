use std::borrow::Cow;

use serde::Serialize;

use crate::domain::{Adding, Count, FailureClass, FleetTime, Level};
use crate::measure::{Certificates, RunRecord};
use crate::report::counted::Column;
use crate::report::html::series::{Columns, Number};
use crate::report::units;

/// One plot, as the page's script reads it and the page describes it.
#[derive(Debug, Serialize)]
pub(super) struct Plot {
    /// Identifier of the element.
    pub(super) id: String,
    /// Position of the stage; none when it is about the run as a whole.
    pub(super) stage: Option<usize>,
    /// What the horizontal axis is: `time`, `percentile`, `expiry`, or the time since somebody began (`through`, `recovered`).
    pub(super) axis: &'static str,
    pub(super) unit: AxisUnit,
    pub(super) shape: Shape,
    /// Whether the vertical axis is logarithmic.
    pub(super) log: bool,
    pub(super) series: Vec<Series>,
    #[serde(skip)]
    pub(super) title: Cow<'static, str>,
    #[serde(skip)]
    pub(super) words: Cow<'static, str>,
    /// Where the data is.
    #[serde(skip)]
    pub(super) source: String,
    /// The plot in words, for who cannot see it.
    #[serde(skip)]
    pub(super) alternative: String,
}

/// What the vertical axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AxisUnit {
    PerSecond,
    Count,
    Milliseconds,
    Cores,
    Bytes,
    /// Of the fleet's time, which may pass faster.
    FleetSeconds,
    /// Of one.
    Share,
}

/// How values become a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// Lines, each from zero.
    Lines,
    /// Areas on top of each other: the uppermost edge is their sum.
    Stacked,
    /// A value holds until the next.
    Steps,
}

/// One line. Its place in the plot is its colour and its dash.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub(super) column: Cow<'static, str>,
    pub(super) name: &'static str,
    /// The table of the stage that the column is in, when it is not the one that the axis names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<&'static str>,
    /// Columns of the same table between which the runs lie whose middle the line is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) band: Option<[&'static str; 2]>,
}

pub(super) struct PlotKind {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) words: &'static str,
    pub(super) unit: AxisUnit,
    pub(super) shape: Shape,
    pub(super) lines: Lines,
    /// Without a value in one of these there is no plot; in one of all lines where none is named.
    pub(super) needs: &'static [&'static str],
}

/// The lines of a kind of plot.
pub(super) enum Lines {
    /// Columns, and what the line is called.
    Of(&'static [(&'static str, &'static str)]),
    /// One for each class of a count.
    Classes(Count),
    /// A count.
    Count(Count),
}

impl Lines {
    fn columns(&self) -> Vec<(Cow<'static, str>, &'static str)> {
        match self {
            Self::Of(lines) => lines.iter().map(|(column, name)| (Cow::Borrowed(*column), *name)).collect(),
            Self::Classes(count) => Column::classes(*count)
                .zip(FailureClass::ALL)
                .map(|(column, class)| (column.name(), class.name()))
                .collect(),
            Self::Count(count) => vec![(Column::of(*count).name(), count.title())],
        }
    }
}

const KINDS: [PlotKind; 11] = [
    PlotKind {
        name: "arrivals",
        title: "Arrivals: due, started, succeeded",
        words: "Devices per second. Started below due: the generator could not keep up. Succeeded below started: the \
                target did not, or devices are still under way.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Of(&[("due", "due"), ("started", "started"), ("succeeded", "succeeded"), ("dropped", "dropped")]),
        needs: &["due", "started", "succeeded"],
    },
    PlotKind {
        name: "goodput",
        title: "Offered load and goodput",
        words: "Attempts per second, further ones of the same device included, and those that succeeded. A storm that \
                feeds itself shows as an offer that stays high while the goodput does not.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Of(&[
            ("attempts", "attempts (offered)"),
            ("succeeded_attempts", "succeeded attempts (goodput)"),
            ("failed_attempts", "failed attempts"),
        ]),
        needs: &["attempts"],
    },
    PlotKind {
        name: "in_flight",
        title: "In flight",
        words: "Attempts under way at the end of each interval.",
        unit: AxisUnit::Count,
        shape: Shape::Lines,
        lines: Lines::Of(&[("in_flight", "in flight")]),
        needs: &[],
    },
    PlotKind {
        name: "latency",
        title: "Latency over time",
        words: "From due until done, waits and further attempts included, of the devices that succeeded in each interval; \
                an interval without successes has no point.",
        unit: AxisUnit::Milliseconds,
        shape: Shape::Lines,
        lines: Lines::Of(&[("p50", "p50"), ("p90", "p90"), ("p99", "p99")]),
        needs: &["p50"],
    },
    PlotKind {
        name: "failures",
        title: "Failures by class",
        words: "Devices per second that failed for good, by the class of their last failure.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Classes(Count::Failed),
        needs: &[],
    },
    PlotKind {
        name: "failed_attempts",
        title: "Failed attempts by class",
        words: "Attempts per second that failed, stacked by class, whether the device tried again or not: what was in the way, \
                also of those that got through in the end.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Stacked,
        lines: Lines::Classes(Count::FailedAttempts),
        needs: &[],
    },
    PlotKind {
        name: "throttled",
        title: "Answers 429",
        words: "Throttling answers per second, of the attempts that ended in each interval.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Of(&[("throttled", "429s")]),
        needs: &[],
    },
    PlotKind {
        name: "retry_after",
        title: "Retry-after named by the service",
        words: "The longest wait, in fleet time, that a refusal asked for, of the attempts that ended in each interval; no point \
                where none was named. One that grows with the number of 429s spreads a storm; one that stays the same sends \
                everybody back together.",
        unit: AxisUnit::FleetSeconds,
        shape: Shape::Lines,
        lines: Lines::Of(&[("retry_after_max", "longest retry-after")]),
        needs: &[],
    },
    PlotKind {
        name: "renewals",
        title: "Renewals: due against done",
        words: "Devices up to the end of each interval: those whose renewal became due, those renewed, and those found with a \
                certificate that had expired before. The distance between due and done is the backlog.",
        unit: AxisUnit::Count,
        shape: Shape::Lines,
        lines: Lines::Of(&[
            ("due_so_far", "due"),
            ("succeeded_so_far", "renewed"),
            ("expired_so_far", "expired before"),
        ]),
        needs: &["due_so_far"],
    },
    PlotKind {
        name: "losses",
        title: "Expired certificates and lost connections",
        words: "Devices per second found with an expired certificate; held connections with the hub lost per second.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Of(&[("expired", "expired"), ("disconnects", "connections lost")]),
        needs: &[],
    },
    PlotKind {
        name: "telemetry",
        title: "Telemetry",
        words: "Messages per second that the hub acknowledged.",
        unit: AxisUnit::PerSecond,
        shape: Shape::Lines,
        lines: Lines::Of(&[("telemetry", "messages")]),
        needs: &[],
    },
];

const CURVE: PlotKind = PlotKind {
    name: "percentiles",
    title: "Percentile curve",
    words: "Latency of the devices that succeeded, on the HDR scale: each step to the right is ten times rarer. Corrected \
            counts from the due time; raw from the start of the last attempt, which is what a client that forgets its waits \
            would report. A gap between them is time that devices waited and a naive benchmark would hide.",
    unit: AxisUnit::Milliseconds,
    shape: Shape::Lines,
    lines: Lines::Of(&[("total", "corrected (total)"), ("total_raw", "raw (total_raw)")]),
    needs: &[],
};

const EXPIRY: PlotKind = PlotKind {
    name: "expiry",
    title: "Certificates by expiry",
    words: "",
    unit: AxisUnit::Count,
    shape: Shape::Steps,
    lines: Lines::Of(&[("certificates", "certificates")]),
    needs: &[],
};

/// The plots over time of a stage for which there is data.
pub(super) fn over_time(stage: usize, columns: &Columns) -> Vec<Plot> {
    let of_others = others().filter_map(|count| {
        let unit = match count.adding() {
            Adding::Longest => AxisUnit::FleetSeconds,
            Adding::Sum | Adding::ByClass => AxisUnit::PerSecond,
        };
        let (name, title, words, lines) = (count.name(), count.title(), count.help(), Lines::Count(count));
        PlotKind { name, title, words, unit, shape: Shape::Lines, lines, needs: &[] }.plot(Some(stage), columns, "time")
    });
    KINDS.iter().filter_map(|kind| kind.plot(Some(stage), columns, "time")).chain(of_others).collect()
}

/// Whether a column over time is shown by a plot.
pub(super) fn show(column: &str) -> bool {
    let shows = |kind: &PlotKind| kind.lines.columns().iter().any(|(shown, _)| shown == column);
    KINDS.iter().any(shows) || others().any(|count| count.name() == column)
}

/// Counts of seconds that no kind of plot is about: each gets one of its own.
fn others() -> impl Iterator<Item = Count> {
    let is_about = |kind: &PlotKind, count: Count| match kind.lines {
        Lines::Classes(of) | Lines::Count(of) => of == count,
        Lines::Of(lines) => lines.iter().any(|(column, _)| *column == count.name()),
    };
    Count::at(Level::Second).filter(move |count| !KINDS.iter().any(|kind| is_about(kind, *count)))
}

/// The percentile curve of a stage in which something succeeded.
pub(super) fn curve(stage: usize, columns: &Columns) -> Option<Plot> {
    CURVE.plot(Some(stage), columns, "percentile")
}

/// When the certificates of the fleet expire.
pub(super) fn expiry(record: &RunRecord, columns: &Columns) -> Option<Plot> {
    let plot = EXPIRY.plot(None, columns, "expiry")?;
    let certificates = record.certificates.as_ref()?;
    Some(Plot { words: expiry_words(record, certificates).into(), ..plot })
}

fn expiry_words(record: &RunRecord, certificates: &Certificates) -> String {
    let Certificates { without, expired, .. } = certificates;
    let end = record.started_at.checked_add(record.time_scale.to_fleet(record.elapsed).length());
    let mut words = format!(
        "The {} certificates that the devices had when the run ended{}, by the time at which they expire, in spans of {}. A peak \
         is the next renewal storm.",
        units::count(certificates.certificates()),
        end.map(|end| format!(" ({} by the fleet’s clock)", units::minute(end))).unwrap_or_default(),
        units::fleet_time(FleetTime::new(certificates.width())),
    );
    for (count, what) in [(expired, "had expired by then"), (without, "devices had none")] {
        if *count > 0 {
            words.push_str(&format!(" {} {what}.", units::count(*count)));
        }
    }
    words
}

impl Plot {
    /// With what follows from the names and values of its lines: the vertical scale, and the words for who cannot see it.
    pub(super) fn fitted<'a>(mut self, lines: impl IntoIterator<Item = (&'static str, &'a [Number])>) -> Self {
        let ends: Vec<_> = lines.into_iter().filter_map(|(name, values)| Some((name, ends(values)?))).collect();
        let lowest = ends.iter().map(|(_, (lowest, _))| *lowest).fold(f64::INFINITY, f64::min);
        let highest = ends.iter().map(|(_, (_, highest))| *highest).fold(0.0, f64::max);
        let peaks: Vec<_> =
            ends.iter().map(|(name, (_, highest))| format!("{name} at most {}", self.unit.words(*highest))).collect();
        self.log = self.unit == AxisUnit::Milliseconds && lowest > 0.0 && highest > 30.0 * lowest;
        self.alternative = format!("{}. {}.", self.title, peaks.join("; "));
        self
    }
}

impl PlotKind {
    pub(super) fn plot(&self, stage: Option<usize>, columns: &Columns, axis: &'static str) -> Option<Plot> {
        let mut shown = self.lines.columns();
        shown.retain(|(column, _)| columns.contains_key(column));
        let is_there = |needed: &&str| columns.contains_key(*needed);
        if shown.is_empty() || !(self.needs.is_empty() || self.needs.iter().any(is_there)) {
            return None;
        }
        let place = stage.map_or_else(|| "run".to_owned(), |stage| stage.to_string());
        let plot = Plot {
            id: format!("plot-{place}-{}", self.name),
            stage,
            axis,
            unit: self.unit,
            shape: self.shape,
            log: false,
            series: shown
                .iter()
                .map(|(column, name)| Series { column: column.clone(), name, table: None, band: None })
                .collect(),
            title: self.title(),
            words: Cow::Borrowed(self.words),
            source: self.source(&shown),
            alternative: String::new(),
        };
        Some(plot.fitted(shown.iter().filter_map(|(column, name)| Some((*name, columns.get(column)?.as_slice())))))
    }

    fn title(&self) -> Cow<'static, str> {
        match self.lines {
            Lines::Count(_) => Cow::Owned(format!("{}{} over time", self.title[..1].to_uppercase(), &self.title[1..])),
            Lines::Of(_) | Lines::Classes(_) => Cow::Borrowed(self.title),
        }
    }

    fn source(&self, shown: &[(Cow<'static, str>, &'static str)]) -> String {
        let columns = shown.iter().map(|(column, _)| column.as_ref()).collect::<Vec<_>>().join(", ");
        match self.name {
            "percentiles" => {
                "phases.csv, rows total and total_raw (percentiles); run.json, stages[].phases[].histogram (whole curve)"
                    .to_owned()
            }
            "through" => "run.json, stages[].phases[].histogram of total (whole curve); phases.csv, row total, outcome all"
                .to_owned(),
            "recovered" => "run.json, stages[].phases[].histogram of recover (whole curve); phases.csv, row recover, outcome all"
                .to_owned(),
            "latency" => {
                "intervals.csv: start_s, p50_us, p90_us, p99_us; the whole distribution in latency.hlog".to_owned()
            }
            "retry_after" => "intervals.csv: start_s, retry_after_max_us".to_owned(),
            "renewals" => "intervals.csv: start_s, due, succeeded, expired, added up".to_owned(),
            "expiry" => "certificates.csv: expires_from, expires_to, certificates".to_owned(),
            "cpu" => "resources.csv: start_s, generator_cpu_us and emulator_cpu_us divided by length_us".to_owned(),
            "memory" => "resources.csv: start_s, generator_memory_bytes, emulator_memory_bytes".to_owned(),
            _ => format!("intervals.csv: start_s, length_us, {columns}"),
        }
    }
}

impl AxisUnit {
    fn words(self, value: f64) -> String {
        match self {
            Self::PerSecond => units::rate_of(value),
            Self::Count => units::count(value as u64),
            Self::Milliseconds => units::nanos((value * 1e6) as u64),
            Self::Cores => format!("{} cores", units::rounded(value)),
            Self::Bytes => units::bytes(value as u64),
            Self::Share => units::percent(value),
            Self::FleetSeconds => units::fleet_time(FleetTime::try_from_secs_f64(value).unwrap_or_default()),
        }
    }
}

fn ends(values: &[Number]) -> Option<(f64, f64)> {
    let present = values.iter().filter_map(|value| value.0);
    present.fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}
