use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use crate::domain::Phase;
use crate::measure::{Recorded, RunRecord, StageRecord, Totals};
use crate::report::console::{Look, WIDTH, line};
use crate::report::units;

/// One row per stage.
pub(super) fn stages(text: &mut String, record: &RunRecord, look: Look) {
    let mut table = table(
        look,
        &["stage", "devices", "succeeded", "failed", "dropped", "not started", "429s", "polls", "rate", "took"],
    );
    for stage in &record.stages {
        table.add_row(stage_row(&stage.name, &stage.totals, stage.elapsed));
    }
    if record.stages.len() > 1 {
        table.add_row(stage_row("all", &record.totals(), record.elapsed));
    }
    print(text, &table);
    for stage in &record.stages {
        line(text, &super::wrapped(&format!(" {}: {}, ", stage.name, stage.kind), &stage.workload));
    }
    line(text, "");
}

fn stage_row(name: &str, totals: &Totals, took: std::time::Duration) -> Vec<Cell> {
    let failed = totals.failed_total();
    let mut cells = vec![Cell::new(name)];
    cells.extend([totals.planned, totals.succeeded].map(|n| right(&units::count(n))));
    cells.push(warn(&units::count(failed), failed > 0, Color::Red));
    cells.push(warn(&units::count(totals.dropped), totals.dropped > 0, Color::Yellow));
    cells.extend([totals.not_started, totals.throttled, totals.polls].map(|n| right(&units::count(n))));
    cells.push(right(&units::rate(totals.succeeded, took)));
    cells.push(right(&units::duration(took)));
    cells
}

/// What generator and emulator used.
pub(super) fn resources(text: &mut String, record: &RunRecord, look: Look) {
    let mut table = table(look, &["process", "CPU per device", "CPU", "peak memory"]);
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

/// The phases of the attempts that succeeded.
pub(super) fn phases(text: &mut String, stage: &StageRecord, several: bool, look: Look) {
    let mut table = table(look, &["phase", "what it is", "count", "p50", "p90", "p99", "max"]);
    for phase in Phase::ALL {
        let Some(summary) = stage.phases.succeeded(phase).and_then(|h| h.summary()) else { continue };
        let Recorded { count, p50, p90, p99, max, .. } = summary;
        let mut cells = vec![Cell::new(phase.name()), Cell::new(meaning(phase)), right(&units::count(count))];
        cells.extend([p50, p90, p99, max].map(|nanos| right(&units::nanos(nanos))));
        if phase == Phase::Total {
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
            warn(error.class.name(), true, Color::Red).set_alignment(CellAlignment::Left),
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

fn table(look: Look, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UNDERLINED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).set_header(
        header.iter().enumerate().map(|(position, name)| {
            let cell = Cell::new(name).add_attribute(Attribute::Dim);
            if LEFT_ALIGNED.contains(name) || position == 0 { cell } else { cell.set_alignment(CellAlignment::Right) }
        }),
    );
    if look.color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

/// Only a line under the header: the rest is white space.
const UNDERLINED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

const LEFT_ALIGNED: [&str; 2] = ["what it is", "what was said"];

fn print(text: &mut String, table: &Table) {
    for row in table.lines() {
        line(text, &row);
    }
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn warn(text: &str, bad: bool, color: Color) -> Cell {
    if bad { right(text).fg(color) } else { right(text) }
}

const fn meaning(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "due until started",
        Phase::Keygen => "key pair (ahead of need)",
        Phase::Csr => "CSR (ahead of need)",
        Phase::Sas => "SAS token (ahead of need)",
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
        Phase::RenewAccept => "hub: renewal accepted",
        Phase::RenewIssue => "hub: new certificate issued",
        Phase::Backoff => "waiting between attempts",
        Phase::Recover => "hub: lost until connected again",
        Phase::Total => "due until done",
        Phase::TotalRaw => "started until done",
    }
}
