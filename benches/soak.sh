#!/bin/sh
# A soak: the life of a fleet in compressed time, hour after hour of it, and what memory generator and embedded emulator have taken
# at the end of each. Both must stay flat: what is over is at rest.
# Usage: benches/soak.sh [MINUTES]     of real time, 3 unless given. In each an hour of the fleet passes, with two stages of its own: 24
#                                      are a day. FLEETSTORM names the binary, DEVICES the size of the fleet, RESULTS keeps them.
set -eu
cd "$(dirname "$0")/.."
: "${FLEETSTORM:=target/release/fleetstorm}" "${DEVICES:=500}" "${RESULTS:=}"
minutes=${1:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: "${RESULTS:=$work/results}"

{
    cat <<SCENARIO
schema = 1
name = "soak"
question = "Does a long life take more memory than a short one?"
seed = 1
time_scale = "1h = 1m"

[fleet]
devices = $DEVICES
registration_id = "soak-{index:06}"

[policy]
validity = "P90D"
renewal_window = "P60D"

[[stage]]
name = "rollout"
kind = "provision"
arrival = { process = "spread", over = "9m" }
hub_connect = false
SCENARIO
    hour=0
    while [ "$hour" -lt "$minutes" ]; do
        cat <<SCENARIO

[[stage]]
name = "life-$hour"
kind = "operate"
with = "rollout"
delay = "${hour}h 10m"
arrival = { process = "spread", over = "5m" }
duration = "30m"
telemetry_every = "5m"

[[stage]]
name = "renewal-$hour"
kind = "renew"
with = "rollout"
delay = "${hour}h 45m"
arrival = { process = "spread", over = "10m" }
SCENARIO
        hour=$((hour + 1))
    done
} >"$work/soak.toml"

# A saturated generator ends with 7: what memory it takes is told all the same.
"$FLEETSTORM" run "$work/soak.toml" --quiet --out "$RESULTS" >"$work/summary" || [ $? -eq 7 ] || {
    cat "$work/summary"
    exit 1
}
# The verdict, which may take several lines.
tail -n 3 "$work/summary"
awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; printf "%6s %12s %12s\n", "minute", "generator MB", "emulator MB"; next }
    {
        minute = int($column["start_s"] / 60)
        if (minute != last && NR > 2) printf "%6d %12.1f %12.1f\n", last + 1, generator, emulator
        last = minute; generator = $column["generator_memory_bytes"] / 1e6; emulator = $column["emulator_memory_bytes"] / 1e6
    }
    END { printf "%6d %12.1f %12.1f\n", last + 1, generator, emulator }' "$RESULTS/resources.csv"
