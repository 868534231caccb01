#!/bin/sh
# Runs one fuzz target over its corpus of broken inputs and then for some seconds on
# inputs of its own. New finds go to a scratch directory, crashes beside the target.
# Usage: run.sh TARGET SECONDS
set -eu
target=$1
name=$(basename "$target")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=tests/fuzz/corpus/$name
[ -n "$(ls -A "$corpus" 2>/dev/null)" ] || { echo "$corpus is empty" >&2; exit 1; }
echo "== $name: $(ls "$corpus" | wc -l) files, then $2 s"
"$target" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$target-" "$work" "$corpus" >"$work.log" 2>&1 || {
	tail -40 "$work.log" >&2
	rm -f "$work.log"
	exit 1
}
grep -E 'number_of_executed_units' "$work.log" | sed 's/stat::/    /'
rm -f "$work.log"
