//! The live display of a run on stderr: redrawn on a terminal, plain lines elsewhere, nothing with `--quiet`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Terminal;
use crate::cli::terminal::stderr;
use crate::engine::{Progress, RunPart, StageProgress};
use crate::report::units;

/// Shows snapshots of a run as they come.
#[derive(Debug)]
pub struct Live {
    stages: Vec<String>,
    show: Show,
}

#[derive(Debug)]
enum Show {
    Nothing,
    Lines { last: Option<(RunPart, usize, Duration)> },
    Bar(ProgressBar),
}

impl Live {
    /// `stages` are the names of the stages in order.
    pub fn new(terminal: &Terminal, stages: Vec<String>) -> Self {
        let show = if terminal.quiet {
            Show::Nothing
        } else if terminal.interactive {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(terminal.color_stderr));
            Show::Bar(bar)
        } else {
            Show::Lines { last: None }
        };
        Self { stages, show }
    }

    /// Shows the newest snapshot.
    pub fn update(&mut self, progress: &Progress) {
        match &mut self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                let (position, length) = extent(progress);
                bar.set_length(length);
                bar.set_position(position);
                bar.set_prefix(heading(&self.stages, progress));
                bar.set_message(details(progress));
            }
            Show::Lines { last } => {
                let now = (progress.part, newest(progress).map_or(0, |stage| stage.stage), progress.elapsed);
                if due(*last, now) {
                    *last = Some(now);
                    let (position, length) = extent(progress);
                    stderr(format_args!(
                        "{} {}/{}, {}\n",
                        heading(&self.stages, progress),
                        units::count(position),
                        units::count(length),
                        details(progress)
                    ));
                }
            }
        }
    }

    /// A line that stays, above the display.
    pub fn note(&self, line: &str) {
        match &self.show {
            Show::Nothing => {}
            Show::Lines { .. } => stderr(format_args!("{line}\n")),
            Show::Bar(bar) => bar.suspend(|| stderr(format_args!("{line}\n"))),
        }
    }
}

impl Drop for Live {
    /// Removes the display; what stays is the summary.
    fn drop(&mut self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

/// Plain lines come with every new part and stage, each second at first and each ten seconds later.
fn due(last: Option<(RunPart, usize, Duration)>, now: (RunPart, usize, Duration)) -> bool {
    let Some((part, stage, at)) = last else { return true };
    let (now_part, now_stage, now_at) = now;
    let pause = Duration::from_secs(if now_at < Duration::from_secs(10) { 1 } else { 10 });
    part != now_part || stage != now_stage || now_at >= at + pause
}

/// Done of wanted.
fn extent(progress: &Progress) -> (u64, u64) {
    match progress.part {
        RunPart::Prepare => (progress.keys_ready, progress.keys_wanted),
        RunPart::Measure | RunPart::Drain => match progress.stages.last() {
            Some(stage) => (stage.done, stage.planned),
            None => (0, 0),
        },
    }
}

/// The stage that began last: the one that the display is about.
fn newest(progress: &Progress) -> Option<&StageProgress> {
    progress.stages.last()
}

fn heading(stages: &[String], progress: &Progress) -> String {
    match progress.part {
        RunPart::Prepare => "prepare".to_owned(),
        part => {
            let name = |stage: &StageProgress| stages.get(stage.stage).map_or("run", String::as_str);
            let stage = progress.stages.iter().map(name).collect::<Vec<_>>().join(" + ");
            format!("{stage} ({})", part.name())
        }
    }
}

fn details(progress: &Progress) -> String {
    if progress.part == RunPart::Prepare {
        return format!("keys made ahead of need, {}", units::duration(progress.elapsed));
    }
    let Some(newest) = newest(progress) else {
        return format!("waiting for a stage to begin, {}", units::duration(progress.elapsed));
    };
    let StageProgress { failed, dropped, expired, disconnects, throttled, p50, p99, .. } = newest;
    let rate: f64 = progress.stages.iter().map(|stage| stage.rate).sum();
    let in_flight: u64 = progress.stages.iter().map(|stage| stage.in_flight).sum();
    let retried = newest.failed_attempts.saturating_sub(*failed);
    let mut words = format!("{rate:.0}/s");
    for (name, time) in [("p50", p50), ("p99", p99)] {
        if let Some(time) = time {
            words.push_str(&format!(", {name} {}", units::duration(*time)));
        }
    }
    words.push_str(&format!(", {} failed", units::count(*failed)));
    for (count, name) in [
        (*dropped, "dropped"),
        (*expired, "expired"),
        (*disconnects, "lost"),
        (retried, "retried"),
        (*throttled, "times 429"),
        (progress.connected, "connected"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {} {name}", units::count(count)));
        }
    }
    words.push_str(&format!(", {} in flight, {}", units::count(in_flight), units::duration(progress.elapsed)));
    words
}

fn style(color: bool) -> ProgressStyle {
    let template = if color {
        "{prefix:.bold} {bar:24.cyan/dim} {human_pos}/{human_len}  {wide_msg}"
    } else {
        "{prefix} {bar:24} {human_pos}/{human_len}  {wide_msg}"
    };
    ProgressStyle::with_template(template).expect("a constant template").progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let stage = StageProgress {
            planned: 5_000,
            done: 3_120,
            failed: 2,
            in_flight: 1_880,
            rate: 612.4,
            p50: Some(Duration::from_millis(1_200)),
            p99: Some(Duration::from_millis(3_400)),
            ..StageProgress::default()
        };
        let elapsed = Duration::from_millis(5_100);
        Progress { part: RunPart::Measure, elapsed, stages: vec![stage], ..Progress::default() }
    }

    #[test]
    fn a_line_says_what_a_person_watches_for() {
        let progress = progress();
        assert_eq!(heading(&["storm".to_owned()], &progress), "storm (measure)");
        assert_eq!(extent(&progress), (3_120, 5_000));
        assert_eq!(details(&progress), "612/s, p50 1.20 s, p99 3.40 s, 2 failed, 1,880 in flight, 5.10 s");
    }

    #[test]
    fn plain_lines_become_rarer() {
        let at = |seconds| (RunPart::Measure, 0, Duration::from_secs(seconds));
        assert!(due(None, at(0)));
        assert!(due(Some(at(0)), at(1)));
        assert!(!due(Some(at(12)), at(13)));
        assert!(due(Some(at(12)), at(22)));
        assert!(due(Some(at(12)), (RunPart::Drain, 0, Duration::from_secs(12))));
    }

    #[test]
    fn both_templates_are_valid() {
        style(true);
        style(false);
    }
}
