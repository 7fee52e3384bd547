//! The panel: a pure function of a snapshot, what came before it and the width of the terminal.

use console::{measure_text_width, truncate_str};
use owo_colors::{OwoColorize as _, Style};

use crate::cli::live::words::{self, Extent, Mood};
use crate::engine::{Progress, RunPart, StageProgress};
use crate::report::{Tone, units};
use crate::rig::live::About;
use crate::rig::live::Histories;

/// More columns do not make it easier to read.
const WIDEST: usize = 120;
/// Stages beside each other that are shown at length; of more, each is a bar.
const AT_LENGTH: usize = 3;

/// What surrounds the panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// Columns of the terminal.
    pub(super) width: usize,
    /// Its rows.
    pub(super) rows: usize,
    /// Whether colours are wanted.
    pub(super) color: bool,
    /// Open files of this process now.
    pub(super) open_files: Option<u64>,
}

/// All that it shows.
#[derive(Debug)]
pub(super) struct Panel<'a> {
    pub(super) about: &'a About,
    pub(super) progress: &'a Progress,
    pub(super) histories: &'a Histories,
    pub(super) surroundings: Surroundings,
}

impl Panel<'_> {
    /// From top to bottom; none is wider than the terminal, and all of them together are not higher.
    pub(super) fn lines(&self) -> Vec<String> {
        let foot = self.foot();
        let room = self.surroundings.rows.saturating_sub(foot.len() + 1).max(1);
        let mut lines = match (self.progress.part, self.progress.stages.as_slice()) {
            (RunPart::Prepare, _) => self.prepare(),
            (RunPart::Wait, _) => vec![format!("ready: {}", words::begins(self.progress))],
            (_, []) => vec!["waiting for a stage to begin".to_owned()],
            (_, stages) => self.stages(stages, room),
        };
        lines.extend(foot);
        lines.iter().map(|line| truncate_str(line, self.width(), "…").into_owned()).collect()
    }

    /// A column is left free: terminals differ in what they do when the last one is written.
    fn width(&self) -> usize {
        self.surroundings.width.saturating_sub(1).min(WIDEST)
    }

    fn prepare(&self) -> Vec<String> {
        let Progress { keys_ready, keys_wanted, .. } = *self.progress;
        let keys = Extent::devices(keys_ready, keys_wanted);
        vec![self.bar("prepare", &keys, 0), "  keys made ahead of need; not measured".to_owned()]
    }

    /// As much about each as there is room for.
    fn stages(&self, stages: &[StageProgress], room: usize) -> Vec<String> {
        let extent = |stage| Extent::of(self.about, self.progress, stage);
        let extents: Vec<_> = stages.iter().map(extent).collect();
        let widest = extents.iter().map(|extent| measure_text_width(&extent.words)).max().unwrap_or_default();
        let bars = stages.iter().zip(&extents);
        let bars: Vec<_> =
            bars.map(|(stage, extent)| self.bar(words::name(self.about, stage.stage), extent, widest)).collect();
        let with = |below: &dyn Fn(&StageProgress) -> Vec<String>| -> Vec<String> {
            let each = |(stage, bar): (&StageProgress, &String)| [vec![bar.clone()], below(stage)].concat();
            stages.iter().zip(&bars).flat_map(each).collect()
        };
        let connected = |stage: &StageProgress| words::connected(stage).map(|words| format!("  {words}"));
        let at_length = (stages.len() <= AT_LENGTH).then(|| with(&|stage| self.details(stage)));
        if let Some(lines) = at_length.filter(|lines| lines.len() <= room) {
            return lines;
        }
        let lines = with(&|stage| connected(stage).into_iter().collect());
        if lines.len() <= room {
            return lines;
        }
        let more = bars.len().saturating_sub(room.saturating_sub(1));
        if bars.len() <= room {
            return bars;
        }
        bars.into_iter().take(room.saturating_sub(1)).chain([format!("and {more} stages more")]).collect()
    }

    /// `widest`: columns that the words of all extents take, so that bars below each other end in the same column.
    fn bar(&self, name: &str, extent: &Extent, widest: usize) -> String {
        let numbers = format!("{:>widest$} {:>3} %", extent.words, extent.share(100));
        let name_width = self.name_width();
        let name = format!("{:name_width$}", truncate_str(name, name_width, "…"));
        let columns = self.width().saturating_sub(name_width + measure_text_width(&numbers) + 2).min(60);
        let full = extent.share(columns as u64) as usize;
        let bar = format!(
            "{}{}",
            self.styled("━".repeat(full), Tone::Accent.style()),
            self.styled("─".repeat(columns.saturating_sub(full)), Tone::Quiet.style())
        );
        format!("{} {bar} {numbers}", self.styled(name, Style::new().bold()))
    }

    /// All bars begin in the same column.
    fn name_width(&self) -> usize {
        let longest = self.about.stages.iter().map(|name| measure_text_width(name)).max().unwrap_or_default();
        longest.clamp("prepare".len(), 24)
    }

    fn details(&self, stage: &StageProgress) -> Vec<String> {
        if stage.totals.attempts == 0 && stage.totals.through() == 0 {
            return vec!["  no device has started yet".to_owned()];
        }
        let history = self.histories.of(stage.stage);
        let offered = history.map_or(0.0, |history| history.offered_rate());
        let plain = |text: String| (text, Mood::Plain);
        let mut words: Vec<_> = words::connected(stage).map(plain).into_iter().collect();
        // Devices that are connected and stay so try nothing.
        if stage.lasts.is_none() || stage.rate > 0.0 || offered > 0.0 {
            words.push(plain(format!("{} succeed, {} offered", words::rate_of(stage.rate), words::rate_of(offered))));
        }
        words.extend(words::percentiles(stage).map(plain));
        words.push(plain(words::in_flight(stage)));
        words.extend(words::counts(stage));
        let mut lines = self.flow("  ", words);
        lines.extend(words::phases(stage).map(|phases| self.styled(format!("  {phases}"), style(Mood::Aside))));
        if let Some((bars, most)) = history.and_then(|history| history.sparkline(self.width().saturating_sub(24))) {
            let bars = self.styled(bars, Tone::Accent.style());
            lines.push(format!("  {bars} at most {}/s", units::count(most)));
        }
        lines
    }

    /// Words one after the other, as many to a line as fit.
    fn flow(&self, indent: &str, words: Vec<(String, Mood)>) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut room = 0;
        for (text, mood) in words {
            let columns = measure_text_width(&text);
            let text = self.styled(text, style(mood));
            match lines.last_mut() {
                Some(line) if columns + 3 <= room => {
                    line.push_str(" · ");
                    line.push_str(&text);
                    room -= columns + 3;
                }
                _ => {
                    lines.push(format!("{indent}{text}"));
                    room = self.width().saturating_sub(columns + indent.len());
                }
            }
        }
        lines
    }

    /// Time, what is held, and whether this machine keeps up.
    fn foot(&self) -> Vec<String> {
        let progress = self.progress;
        let mut words = vec![words::time(self.about, progress)];
        if progress.part == RunPart::Drain {
            words.push("all were due".to_owned());
        }
        words.extend(words::held(progress));
        if let Some(late) = progress.stages.iter().filter_map(|stage| stage.lateness_p99).max() {
            words.push(format!("started late p99 {}", units::duration(late)));
        }
        let saturated = progress.stages.iter().any(|stage| stage.saturated);
        if saturated {
            words.push("this machine is the bottleneck".to_owned());
        }
        let mut full = saturated;
        if let Some(open) = self.surroundings.open_files {
            let limit = self.about.open_files;
            full = open >= limit.saturating_mul(9) / 10;
            words.push(format!("{}/{} open files", units::count(open), units::count(limit)));
        }
        let mood = if full { Mood::Warning } else { Mood::Aside };
        self.flow("", words.into_iter().map(|text| (text, mood)).collect())
    }

    fn styled(&self, text: String, style: Style) -> String {
        if self.surroundings.color { text.style(style).to_string() } else { text }
    }
}

fn style(mood: Mood) -> Style {
    match mood {
        Mood::Plain => Style::new(),
        Mood::Aside => Tone::Quiet.style(),
        Mood::Warning => Tone::Warning.style(),
        Mood::Bad => Tone::Bad.style(),
    }
}
