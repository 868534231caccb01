#!/bin/sh
# Runs one unit test and prints all it said in one piece, so that two can run side by side.
# Usage: run.sh PROGRAM
set -u
out=$("$1" 2>&1)
code=$?
printf '== %s\n%s\n' "${1##*/}" "$out"
exit "$code"
