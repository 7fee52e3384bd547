#!/bin/sh
# Runs the library, or the scenarios that are named, and prints what each found as a table for the README.
# Usage: scenarios/found.sh [SCENARIO…]     needs jq; FLEETSTORM names the binary, RESULTS the folder for the results,
#                                           STORED=1 prints what is stored there instead of running again
set -eu
cd "$(dirname "$0")/.."
: "${FLEETSTORM:=target/release/fleetstorm}" "${RESULTS:=results}" "${STORED:=}"
[ $# -gt 0 ] || set -- scenarios/*.toml

echo "| scenario | question | devices | what it found | thresholds |"
echo "|---|---|---|---|---|"
for scenario; do
    name=$(basename "$scenario" .toml)
    if [ -z "$STORED" ]; then
        rm -rf "$RESULTS/found-$name"
        # A threshold that is not met ends with 5, a saturated generator with 7: both are findings.
        "$FLEETSTORM" run "$scenario" --quiet --out "$RESULTS/found-$name" >/dev/null || [ $? -eq 5 ] || [ $? -eq 7 ]
    fi
    # What a scenario is about is not always how long it took.
    case $name in
    rsa-and-ecc) phases='["keygen", "csr", "verify", "hub_tls"]' ;;
    dual-attestation) phases='["sas", "tls", "register"]' ;;
    *) phases='[]' ;;
    esac
    jq -r --arg name "$name" --argjson phases "$phases" '
        def us: if . >= 60000000 then "\(. / 6000000 | round | . / 10) min" elif . >= 1000000 then "\(. / 100000 | round | . / 10) s"
                elif . >= 1000 then "\(. / 1000 | round) ms" else "\(.) µs" end;
        def phase($stage; $phase): $stage.phases[] | select(.phase == $phase and .outcome == "succeeded");
        # Of all who began; what is not known is above the longest that was seen.
        def device($stage; $phase): $stage.device_times[] | select(.phase == $phase);
        def known($time): if .[$time] then .[$time] | us else "> \(.seen_us | us)" end;
        def told($stage): [
            (if (.stages | length) > 1 then "\($stage.name): " else "" end)
                + "\($stage.totals.succeeded) of \($stage.totals.planned) in \($stage.elapsed_us | us)",
            (device($stage; if $stage.kind == "operate" then "recover" else "total" end)
                | select($phases == []) | "\(.phase) p50 \(known("p50_us")), p99 \(known("p99_us"))"),
            ($phases[] as $phase | phase($stage; $phase) | "\(.phase) p50 \(.p50_us | us)"),
            (if $stage.totals.attempts > 1.01 * $stage.totals.succeeded
                then "\($stage.totals.attempts / $stage.totals.succeeded * 100 | round | . / 100) attempts per success" else empty end),
            (if $stage.totals.throttled > 0 then "\($stage.totals.throttled) times 429" else empty end),
            (if $stage.totals.expired > 0 then "**\($stage.totals.expired) expired**" else empty end)] | join(", ");
        . as $run
        | "| `\($name)` | \(.question) | \([.settings[] | select(.key == "fleet.devices") | .value][0]) | \([.stages[] as $stage | $run | told($stage)] | join("; "))"
          + (if any(.verdicts[]; .verdict == "saturated") then "; saturated" else "" end)
          + (if any(.verdicts[]; .verdict == "machine_full") then "; machine full" else "" end)
          + " | \([.thresholds[] | select(.met | not) | "not met: `\(.threshold)`"] | if length == 0 then "met" else join(", ") end) |"
    ' "$RESULTS/found-$name/run.json"
done
