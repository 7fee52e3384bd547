"""Loads every table of a results folder with pandas and with DuckDB, as they are, and holds their sums against run.json.

    check.py FOLDER
"""

import json
import pathlib
import sys

import duckdb
import pandas

folder = pathlib.Path(sys.argv[1])
run = json.loads((folder / "run.json").read_text())
totals = run["totals"]


def equal(what, found, wanted):
    assert found == wanted, f"{what}: {found}, in run.json {wanted}"


def with_pandas(file):
    """As a pandas table, moments and durations as what they are."""
    table = pandas.read_csv(folder / file)
    assert len(table.columns) > 1, f"{file}: {list(table.columns)}"
    for column in table.columns:
        filled = table[column].dropna()
        if column.endswith("_at"):
            moments = pandas.to_datetime(filled, utc=True)
            start = pandas.to_datetime(run["started_at"])
            assert (moments >= start).all(), f"{file}: {column} before the run"
            table[column] = pandas.to_datetime(table[column], utc=True)
        if column.endswith("_us") or column.endswith("_s"):
            assert pandas.api.types.is_numeric_dtype(table[column]) or filled.empty, f"{file}: {column} is no number"
            assert (filled >= 0).all(), f"{file}: {column} is negative"
    return table


def with_duckdb(file, what):
    """A number that DuckDB finds in a file."""
    return duckdb.sql(f"SELECT {what} FROM '{folder / file}'").fetchall()[0][0]


tables = {path.name: with_pandas(path.name) for path in sorted(folder.glob("*.csv"))}
for name in ["summary.csv", "phases.csv", "intervals.csv", "errors.csv", "skips.csv", "thresholds.csv", "resources.csv", "certificates.csv"]:
    assert name in tables, f"{name} is missing"
for name, table in tables.items():
    equal(f"rows of {name}, DuckDB against pandas", with_duckdb(name, "count(*)"), len(table))

# Every count has a column, but that some are of no second.
counts = [name for name, value in totals.items() if isinstance(value, int) and not name.endswith("_us")]
not_of_seconds = ["planned", "not_started", "skipped"]
assert len(counts) > 10, counts
for file in ["summary.csv", "intervals.csv"]:
    for count in counts:
        if file == "intervals.csv" and count in not_of_seconds:
            continue
        equal(f"{file}, {count}, pandas", int(tables[file][count].sum()), totals[count])
        equal(f"{file}, {count}, DuckDB", int(with_duckdb(file, f"sum({count})")), totals[count])
summary = tables["summary.csv"]
outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"]
equal("outcomes", int(summary[outcomes].to_numpy().sum()), totals["planned"])
equal("errors.csv", int(tables["errors.csv"]["count"].sum()), totals["failed_attempts"])
phases = tables["phases.csv"]
through = phases[(phases.phase == "total") & (phases.outcome == "succeeded")]
equal("phases.csv", int(through["count"].sum()), totals["succeeded"])

# Looked at from outside, once a second and only in the measured part: not more than the whole, but for one look and one tick.
resources = tables["resources.csv"]
assert len(resources) > 0 and resources.generator_cpu_us.notna().all(), "resources.csv: nothing was seen"
for side in ["generator", "emulator"]:
    seen, whole = int(resources[f"{side}_cpu_us"].sum()), run[side]
    equal(f"resources.csv, {side}, DuckDB", int(with_duckdb("resources.csv", f"sum({side}_cpu_us)")), seen)
    assert 0 < seen <= whole["cpu_us"] + 20_000, f"resources.csv, {side}: {seen} µs, in run.json {whole['cpu_us']}"
    memory = resources[f"{side}_memory_bytes"]
    peak = whole["peak_memory_bytes"]
    assert 0 < memory.max() <= 1.05 * peak, f"resources.csv, {side}: {memory.max()} bytes, in run.json at most {peak}"
ends = resources.start_s + resources.length_us / 1e6
assert (resources.start_s[1:].to_numpy() - ends[:-1].to_numpy() < 0.01).all(), "resources.csv: a gap"
assert abs(ends.max() - run["elapsed_us"] / 1e6) < 1, f"resources.csv ends at {ends.max()} s"

for file in ["summary.csv", "intervals.csv"]:
    for name, count in totals["failed_attempts_by_class"].items():
        equal(f"{file}, failed attempts, {name}", int(tables[file][f"failed_attempts_{name}"].sum()), count)
    longest = tables[file].retry_after_max_us.max()
    equal(f"{file}, retry-after", None if pandas.isna(longest) else int(longest), totals["retry_after_max_us"])

certificates = tables["certificates.csv"]
starts, stops = (pandas.to_datetime(certificates[column], utc=True) for column in ["expires_from", "expires_to"])
assert (starts[1:].to_numpy() == stops[:-1].to_numpy()).all(), "certificates.csv: a gap"
fleet = next(int(setting["value"]) for setting in run["settings"] if setting["key"] == "fleet.devices")
equal("certificates.csv", int(certificates.certificates.sum()) + run["certificates"]["without"], fleet)
equal("certificates.csv, DuckDB", int(with_duckdb("certificates.csv", "sum(certificates)")) + run["certificates"]["without"], fleet)

if "devices.csv" in tables:
    devices = tables["devices.csv"]
    equal("devices.csv", len(devices), totals["attempts"])
    equal("devices.csv, failed", int((devices.outcome == "failed").sum()), totals["failed_attempts"])
    equal("devices.csv, succeeded", int((devices.outcome == "succeeded").sum()), totals["succeeded"])
    equal("devices.csv, polls", int(devices.polls.sum()), totals["polls"])
    equal("devices.csv, throttled", int(devices.throttled.sum()), totals["throttled"])
    tried = devices.groupby(["stage", "device"]).attempt.agg(["count", "max"])
    assert (tried["count"] == tried["max"]).all(), "attempts of a device are numbered from 1"
    assert ((devices.ended_s - devices.started_s) * 1e6 - devices.total_raw_us).abs().max() <= 2, "total_raw_us"
    maximum = int(devices[devices.outcome == "succeeded"].total_us.max())
    reported = int(through["max_us"].max())
    assert abs(maximum - reported) <= reported / 500, f"slowest device: {maximum}, in phases.csv {reported}"

parquet = folder / "devices.parquet"
if parquet.exists():
    equal("devices.parquet", with_duckdb(parquet.name, "count(*)"), totals["attempts"])
    equal("devices.parquet, polls", int(with_duckdb(parquet.name, "sum(polls)")), totals["polls"])
    succeeded = with_duckdb(parquet.name, "count(*) FILTER (outcome = 'succeeded' AND total_us IS NOT NULL)")
    equal("devices.parquet, succeeded", succeeded, totals["succeeded"])

print("ok", *tables, *([parquet.name] if parquet.exists() else []))
