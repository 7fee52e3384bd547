//! Colours of what is printed, by what they mean: the only place that names one.

use owo_colors::{Style, XtermColors};

/// What a colour says. Each can be read on black and on white, with a contrast of 4.5:1 at least (WCAG 2, level AA): nobody
/// tells a program which of them a terminal has.
///
/// Of the 256 colours of xterm only six can be read on both, and they are these. Those below 16 are left alone: every terminal
/// has other values for them, and yellow and cyan of most disappear on white. Red is the palest of the six, so it is bold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something failed, or is worse.
    Bad,
    /// It may be what the scenario is about, and may be a reason to doubt the numbers.
    Warning,
    /// About something else: what explains, what surrounds.
    Quiet,
    /// What leads on: bars, remedies, places in a file.
    Accent,
}

impl Tone {
    /// Every tone.
    pub const ALL: [Self; 5] = [Self::Good, Self::Bad, Self::Warning, Self::Quiet, Self::Accent];

    /// Its number among the 256 colours of xterm, at least 16.
    pub const fn color(self) -> u8 {
        match self {
            Self::Good => 29,
            Self::Bad => 131,
            Self::Warning => 163,
            Self::Quiet => 243,
            Self::Accent => 63,
        }
    }

    /// Whether it is bold too.
    pub const fn is_bold(self) -> bool {
        matches!(self, Self::Bad)
    }

    /// For text.
    pub fn style(self) -> Style {
        let style = Style::new().color(XtermColors::from(self.color()));
        if self.is_bold() { style.bold() } else { style }
    }

    /// For a cell of a table.
    pub fn cell(self, cell: comfy_table::Cell) -> comfy_table::Cell {
        let cell = cell.fg(comfy_table::Color::AnsiValue(self.color()));
        if self.is_bold() { cell.add_attribute(comfy_table::Attribute::Bold) } else { cell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red, green and blue of one of xterm's colours from 16 on, which all terminals have alike: a cube of six levels, then greys.
    fn components(color: u8) -> [u8; 3] {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        if color >= 232 {
            return [8 + 10 * (color - 232); 3];
        }
        let place = usize::from(color.checked_sub(16).expect("those below are other ones on every terminal"));
        [LEVELS[place / 36], LEVELS[place / 6 % 6], LEVELS[place % 6]]
    }

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance(components: [u8; 3]) -> f64 {
        let [red, green, blue] = components.map(|component| {
            let share = f64::from(component) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_tone_can_be_read_on_black_and_on_white() {
        for tone in Tone::ALL {
            let color = components(tone.color());
            let (black, white) = (contrast(color, [0; 3]), contrast(color, [255; 3]));
            assert!(black >= 4.5 && white >= 4.5, "{tone:?}: {black:.2} on black, {white:.2} on white");
        }
    }

    #[test]
    fn contrasts_are_reckoned_as_wcag_does() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
        // The grey that every text on contrast gives as the lightest on white.
        assert!((contrast([0x76; 3], [255; 3]) - 4.54).abs() < 0.005);
        // Why the first sixteen are left alone: xterm's yellow and cyan, on white.
        assert!(contrast([205, 205, 0], [255; 3]) < 2.0 && contrast([0, 205, 205], [255; 3]) < 2.1);
    }

    #[test]
    fn no_two_tones_look_the_same() {
        let mut colors: Vec<_> = Tone::ALL.into_iter().map(Tone::color).collect();
        colors.sort_unstable();
        colors.dedup();
        assert_eq!(colors.len(), Tone::ALL.len());
    }

    #[test]
    fn it_is_said_in_escape_sequences_of_256_colours() {
        assert_eq!(Tone::Good.style().style("met").to_string(), "\x1b[38;5;29mmet\x1b[0m");
        assert!(Tone::Bad.style().style("failed").to_string().starts_with("\x1b[38;5;131;1m"));
    }
}
