#!/usr/bin/env bash
# Breaks the code in one place at a time and asks whether a test notices (cargo-mutants). What is left out is in
# .cargo/mutants.toml, with the reason.
#
#   tests/mutants.sh                       what the work tree changes against main (another base: BASE=v0.1.0)
#   tests/mutants.sh src/pki/trust.rs …    whole files, or folders
#   tests/mutants.sh --all                 everything: days on two cores; SHARD=3/50 takes a part of it
#
# The unit tests go first, as they take seconds; whatever they let through meets the integration tests too. Results are in
# target/mutants/mutants.out: `missed.txt` is to be empty, or each line of it judged.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; }
command -v cargo-mutants >/dev/null || { echo "cargo-mutants is missing: cargo install --locked cargo-mutants" >&2; exit 2; }

# What decides about credentials, counts, percentiles and verdicts, and what both sides of the wire say.
layers=(domain model measure pki protocol settings scenario engine emulator)

mkdir -p target/mutants
what=()
all() { for layer in "${layers[@]}"; do what+=(--file "src/$layer/**/*.rs"); done; }
case "${1-}" in
-h | --help)
    usage
    exit 0
    ;;
--all)
    all
    [ -z "${SHARD-}" ] || what+=(--shard "$SHARD")
    ;;
"")
    git diff "${BASE-main}" -- src >target/mutants/change.diff
    [ -s target/mutants/change.diff ] || { echo "nothing in src differs from ${BASE-main}"; exit 0; }
    all
    what+=(--in-diff target/mutants/change.diff)
    ;;
-*)
    usage >&2
    exit 2
    ;;
*) for path in "$@"; do
    [ -d "$path" ] && path="${path%/}/**/*.rs"
    what+=(--file "$path")
done ;;
esac

# Dependencies are compiled once, not for every copy of the tree that is broken.
export CARGO_TARGET_DIR="$PWD/target/mutants/build"

# 2 is "some were missed", 3 "some timed out": both are for the second pass to say.
status=0
cargo mutants "${what[@]}" --output target/mutants -- --lib || status=$?
case "$status" in
0) exit 0 ;;
2 | 3) cargo mutants "${what[@]}" --output target/mutants --iterate ;;
*) exit "$status" ;;
esac
