use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use crate::domain::{Fate, Phase, Whose};
use crate::measure::{RunRecord, StageRecord, ThresholdResult};
use crate::report::console::{Look, line};
use crate::report::times::{Statistics, times};
use crate::report::{Tone, observed, tasks, units};

/// What the run had to meet, those that it did not first.
pub(super) fn thresholds(text: &mut String, record: &RunRecord, look: Look) {
    if record.thresholds.is_empty() {
        return;
    }
    let stopped = record.thresholds.iter().any(|threshold| threshold.stopped_at.is_some());
    let header = ["threshold", "verdict", "observed", "stopped the run"];
    let mut table = table(look, if stopped { &header } else { &header[..3] });
    let (met, unmet): (Vec<_>, Vec<_>) = record.thresholds.iter().partition(|threshold| threshold.met);
    for ThresholdResult { text, observed, met, stopped_at } in unmet.into_iter().chain(met) {
        let verdict = if *met { Cell::new("met") } else { Tone::Bad.cell(Cell::new("NOT MET")) };
        let mut cells = vec![Cell::new(text), verdict, right(&observed::words(*observed))];
        if stopped {
            cells.push(right(&stopped_at.map(|at| format!("after {}", units::duration(at))).unwrap_or_default()));
        }
        table.add_row(cells);
    }
    print(text, &table);
    line(text, "");
}

/// What generator and emulator used.
pub(super) fn resources(text: &mut String, record: &RunRecord, look: Look) {
    let each = format!("CPU per {}", tasks::noun(record));
    let mut table = table(look, &["process", &each, "CPU", "peak memory"]);
    let processes = [("generator", Some(&record.generator)), ("emulator", record.emulator.as_ref())];
    for (name, cpu) in processes {
        let Some(cpu) = cpu else { continue };
        let each = u32::try_from(record.totals().succeeded).ok().and_then(|n| cpu.total().checked_div(n));
        table.add_row(vec![
            Cell::new(name),
            right(&each.map_or_else(|| "-".to_owned(), units::duration)),
            right(&units::duration(cpu.total())),
            right(&units::bytes(cpu.peak_memory)),
        ]);
    }
    print(text, &table);
}

/// Columns that the table of phases takes with what each of them is.
const EXPLAINED: u16 = 95;

/// Whether all who began are through, so that they are all that there is to tell.
fn all_through(stage: &StageRecord, phase: Phase) -> bool {
    stage.of_all(phase).is_some_and(|all| all.ended(Fate::Succeeded) == all.began())
}

/// The phases of the attempts that succeeded; times of devices over all of them who began.
pub(super) fn phases(text: &mut String, stage: &StageRecord, several: bool, look: Look) {
    let explained = look.columns >= EXPLAINED;
    let header: Vec<&str> = ["phase", "what it is", "count", "p50", "p90", "p99", "max"]
        .into_iter()
        .filter(|name| explained || *name != "what it is")
        .collect();
    let mut table = table(look, &header);
    let shown = times(stage).filter(|(phase, whose, _)| match whose {
        Whose::All => true,
        // Beside those of all, when they are others.
        Whose::Of(fate) => *fate == Fate::Succeeded && !(phase.is_of_device() && all_through(stage, *phase)),
    });
    for (phase, whose, statistics) in shown {
        let Statistics { count, p50, p90, p99, max, .. } = statistics;
        let survivors = phase.is_of_device() && whose != Whose::All;
        let (name, explanation) =
            if survivors { ("  through", "of these, those through") } else { (phase.name(), meaning(phase)) };
        let mut cells = vec![Cell::new(name)];
        cells.extend(explained.then(|| Cell::new(explanation)));
        cells.push(right(&units::count(count)));
        cells.extend([p50, p90, p99, max].map(|time| right(&units::known(time))));
        if phase == Phase::Total && !survivors {
            cells = cells.into_iter().map(|cell| cell.add_attribute(Attribute::Bold)).collect();
        }
        table.add_row(cells);
    }
    if table.row_count() == 0 {
        return;
    }
    if several {
        line(text, &format!(" {}", stage.name));
    }
    print(text, &table);
    line(text, "");
}

/// Most frequent failures first.
pub(super) fn errors(text: &mut String, record: &RunRecord, look: Look) {
    if record.errors.is_empty() {
        return;
    }
    let mut table = table(look, &["failure", "code", "what was said", "count", "first", "last"]);
    if let Some(words) = table.column_mut(2) {
        words.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(50)));
        words.set_cell_alignment(CellAlignment::Left);
    }
    for error in record.errors.iter().take(SHOWN_ERRORS) {
        let code = if error.code == 0 { String::new() } else { error.code.to_string() };
        table.add_row(vec![
            warn(error.class.name(), true, Tone::Bad).set_alignment(CellAlignment::Left),
            right(&code),
            Cell::new(&error.message),
            right(&units::count(error.count)),
            right(&units::duration(error.first)),
            right(&units::duration(error.last)),
        ]);
    }
    print(text, &table);
    if record.errors.len() > SHOWN_ERRORS {
        line(text, &format!(" and {} kinds more in errors.csv", record.errors.len() - SHOWN_ERRORS));
    }
    line(text, "");
}

const SHOWN_ERRORS: usize = 10;

pub(in crate::report) fn table(look: Look, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UNDERLINED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(look.columns.max(NARROWEST))
        .set_header(header.iter().enumerate().map(|(position, name)| {
            let cell = Tone::Quiet.cell(Cell::new(name));
            if LEFT_ALIGNED.contains(name) || position == 0 { cell } else { cell.set_alignment(CellAlignment::Right) }
        }));
    if look.color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

/// Columns below which a table would be a column of letters: rows that the terminal folds are easier to read.
const NARROWEST: u16 = 64;

/// Only a line under the header: the rest is white space.
const UNDERLINED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const LEFT_ALIGNED: [&str; 3] = ["what it is", "what was said", "verdict"];

pub(in crate::report) fn print(text: &mut String, table: &Table) {
    for row in table.lines() {
        line(text, &row);
    }
}

pub(in crate::report) fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub(super) fn warn(text: &str, bad: bool, tone: Tone) -> Cell {
    if bad { tone.cell(right(text)) } else { right(text) }
}

pub(in crate::report) const fn meaning(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "due until started",
        Phase::Late => "work on the way: due until done",
        Phase::Keygen => "key pair (ahead of need)",
        Phase::Csr => "CSR (ahead of need)",
        Phase::Sas => "SAS token",
        Phase::Tcp => "DPS: TCP connect",
        Phase::Tls => "DPS: TLS handshake",
        Phase::Connack => "DPS: MQTT connect",
        Phase::Suback => "DPS: subscribe",
        Phase::Register => "DPS: register with CSR",
        Phase::PollWait => "DPS: obeying retry-after",
        Phase::Assign => "DPS: status until assigned",
        Phase::Verify => "checking the issued chain",
        Phase::DpsClose => "DPS: disconnect",
        Phase::HubTcp => "hub: TCP connect",
        Phase::HubTls => "hub: mutual TLS",
        Phase::HubConnack => "hub: MQTT connect",
        Phase::TelemetryAck => "hub: telemetry acknowledged",
        Phase::RenewTcp => "hub: TCP, old certificate",
        Phase::RenewTls => "hub: TLS, old certificate",
        Phase::RenewConnack => "hub: MQTT, old certificate",
        Phase::RenewAccept => "hub: renewal accepted",
        Phase::RenewIssue => "hub: new certificate issued",
        Phase::Backoff => "waiting between attempts",
        Phase::Recover => "hub: lost until connected again",
        Phase::Total => "due until done",
        Phase::TotalRaw => "started until done",
    }
}
