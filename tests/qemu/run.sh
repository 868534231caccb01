#!/bin/sh
# Runs a command with its name in front of every whole line it prints, so that two can run
# side by side. Usage: run.sh NAME COMMAND...
set -u
name=$1
shift
rc=$(mktemp)
{ "$@" 2>&1; echo $? >"$rc"; } | sed -u "s/^/$name: /"
code=$(cat "$rc")
rm -f "$rc"
exit "$code"
