//! The live display of a run on stderr: a panel that is redrawn on a terminal, plain lines elsewhere, nothing with
//! `--quiet`.

mod panel;
mod words;

use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Terminal;
use crate::cli::terminal::stderr;
use crate::domain::injected_panic;
use crate::engine::{Progress, RunPart};
use crate::report::console::wrapped_within;
use crate::rig::defect::caught;
use crate::rig::live::{About, Histories, Told, going_on};

use panel::{Panel, Surroundings};

/// Shows snapshots of a run as they come.
#[derive(Debug)]
pub struct Live {
    about: About,
    show: Show,
}

#[derive(Debug)]
enum Show {
    Nothing,
    Lines {
        last: Option<Shown>,
        told: Told,
    },
    Panel(Box<Drawn>),
    /// The rest broke.
    NotesAlone,
}

/// Part of the run, stages that went on, and when it was.
type Shown = (RunPart, Vec<usize>, Duration);

#[derive(Debug)]
struct Drawn {
    /// Only redraws text: it knows the terminal, what was drawn before and how often may be drawn.
    canvas: ProgressBar,
    histories: Histories,
    told: Told,
    color: bool,
}

impl Live {
    /// For a run about which `about` is known.
    pub fn new(terminal: &Terminal, about: About) -> Self {
        let show = if terminal.quiet {
            Show::Nothing
        } else if Self::tells_phases(terminal) {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            Show::Panel(Box::new(Drawn::on(target, terminal.color_stderr)))
        } else {
            Show::Lines { last: None, told: Told::default() }
        };
        Self { about, show }
    }

    /// Whether it shows where the time goes, for which the engine has to tell how times are distributed.
    pub const fn tells_phases(terminal: &Terminal) -> bool {
        terminal.interactive && !terminal.quiet
    }

    /// Shows the newest snapshot. What is measured does not depend on whether it can be shown.
    pub fn update(&mut self, progress: &Progress) {
        if let Err(defect) = caught("the display", || self.try_update(progress)) {
            if let Show::Panel(drawn) = &self.show {
                drawn.canvas.finish_and_clear();
            }
            self.show = Show::NotesAlone;
            self.note(&format!("{defect}; the run goes on without it, please report it"));
        }
    }

    fn try_update(&mut self, progress: &Progress) {
        injected_panic("display");
        match &mut self.show {
            Show::Nothing | Show::NotesAlone => {}
            // Asked each time, as a window may be resized.
            Show::Panel(drawn) => {
                let (rows, columns) = Term::stderr().size();
                drawn.update(&self.about, progress, (columns.into(), rows.into()));
            }
            Show::Lines { last, told } => {
                let began = progress.over.iter().chain(&progress.stages);
                let ended = told.news(began).into_iter().map(|ended| words::ended(&self.about, ended));
                let now = (progress.part, going_on(progress), progress.elapsed);
                let mut lines: Vec<_> = ended.collect();
                if due(last.as_ref(), &now) {
                    *last = Some(now);
                    lines.extend(words::lines(&self.about, progress));
                }
                lines.iter().for_each(|line| stderr(&format!("{line}\n"), false));
            }
        }
    }

    /// A line that stays, above the display.
    pub fn note(&self, line: &str) {
        let tell = || stderr(&format!("{line}\n"), false);
        match &self.show {
            Show::Nothing => {}
            Show::Lines { .. } | Show::NotesAlone => tell(),
            Show::Panel(drawn) => drawn.canvas.suspend(tell),
        }
    }
}

impl Drop for Live {
    /// Removes the display; what stays is the summary.
    fn drop(&mut self) {
        if let Show::Panel(drawn) = &self.show {
            drawn.canvas.finish_and_clear();
        }
    }
}

impl Drawn {
    fn on(target: ProgressDrawTarget, color: bool) -> Self {
        let canvas = ProgressBar::with_draw_target(None, target);
        canvas.set_style(ProgressStyle::with_template("{msg}").expect("a constant template"));
        Self { canvas, histories: Histories::default(), told: Told::default(), color }
    }

    fn update(&mut self, about: &About, progress: &Progress, (width, rows): (usize, usize)) {
        self.histories.add(progress);
        for ended in self.told.news(&progress.over) {
            let words = words::ended(about, ended);
            self.canvas.println(wrapped_within("", &words, width.saturating_sub(1).max(20)));
        }
        let surroundings = Surroundings { width, rows, color: self.color, open_files: open_files() };
        let panel = Panel { about, progress, histories: &self.histories, surroundings };
        self.canvas.set_message(panel.lines().join("\n"));
    }
}

/// Open files of this process; `None` where the kernel does not tell their number at once (Linux before 6.2).
fn open_files() -> Option<u64> {
    let number = std::fs::metadata("/proc/self/fd").ok()?.len();
    (number > 0).then_some(number)
}

/// Plain lines come with every new part and stage, each second at first and each ten seconds later.
fn due(last: Option<&Shown>, now: &Shown) -> bool {
    let Some((part, stages, at)) = last else { return true };
    let (now_part, now_stages, now_at) = now;
    let pause = Duration::from_secs(if *now_at < Duration::from_secs(10) { 1 } else { 10 });
    part != now_part || stages != now_stages || *now_at >= *at + pause
}

#[cfg(test)]
mod tests;
