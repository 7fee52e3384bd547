#!/bin/sh
# Runs scenarios and keeps each run as an example: results/<date>-<machine>-<scenario>/ with all that the run wrote, and what it
# printed as summary.txt.
#
#   results/make.sh [SCENARIO…]       without names: the main scenarios, about ten minutes
#
# FLEETSTORM names the binary, otherwise the release build is used, and built first. MACHINE names the machine in the folder,
# otherwise its CPU and its cores do. SEED (1 unless given) makes every run the same devices at the same times. Whether a run is
# committed is up to you: each is some hundred kilobytes.
set -eu
cd "$(dirname "$0")/.."

if [ -z "${FLEETSTORM:-}" ]; then
    cargo build --locked --release --bin fleetstorm
    FLEETSTORM=target/release/fleetstorm
fi
: "${SEED:=1}"
if [ -z "${MACHINE:-}" ]; then
    cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
    # "AMD EPYC 7763 64-Core Processor" is amd-epyc-7763: what follows says nothing about this machine.
    cpu=$(printf %s "${cpu:-unknown}" | sed 's/([^)]*)//g; s/ *@.*//; s/ [0-9]*-Core.*//; s/ CPU.*//; s/ Processor.*//')
    MACHINE=$(printf '%s %s cores' "$cpu" "$(nproc)" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-')
fi
[ $# -gt 0 ] || set -- smoke provisioning-storm provisioning-ramp quota-storm-well-behaved quota-storm-ignores-retry-after \
    renewal-storm renewal-spread hub-outage ca-outage rsa-and-ecc

date=$(date -u +%Y-%m-%d)
failed=0
for name; do
    name=$(basename "$name" .toml)
    folder="results/$date-$MACHINE-$name"
    # An earlier one of the same day is made anew; `run` writes into no folder that holds results.
    rm -rf "$folder"
    code=0
    "$FLEETSTORM" run "scenarios/$name.toml" --seed "$SEED" --out "$folder" --quiet --no-color >"$folder.txt" || code=$?
    case $code in
    # Thresholds that are not met (5) and a saturated generator (7) are findings, as good as any.
    0 | 5 | 7) mv "$folder.txt" "$folder/summary.txt"; echo "$folder: $code" ;;
    *) cat "$folder.txt"; rm -f "$folder.txt"; echo "$folder: failed with code $code" >&2; failed=1 ;;
    esac
done
exit $failed
