#!/bin/sh
# All tests, one step after the other, with the time on every step; goes on after a
# failed step, and closes with the sum. Usage: check.sh BUILD_DIRECTORY
set -u
build=$1
log=$build/check.log
mkdir -p "$build"
: >"$log"
begin=$(date +%s)
steps_failed=

step() { # name, command...
	name=$1
	shift
	echo "[$(($(date +%s) - begin)) s] $name"
	rc=$build/check.rc
	{ "$@" 2>&1; echo $? >"$rc"; } | tee -a "$log"
	[ "$(cat "$rc")" = 0 ] || steps_failed="$steps_failed [$name]"
	rm -f "$rc"
}

make="make --no-print-directory BUILD=$build"
step 'build with gcc' $make -j2 CC=gcc all
step 'build with clang' make --no-print-directory -j2 BUILD="$build/clang" CC=clang all
step 'lint' $make lint
step 'unit tests, gcc' $make -j2 check-unit
step 'unit tests, clang' make --no-print-directory -j2 BUILD="$build/clang" CC=clang check-unit
step 'fuzz targets' $make -j2 check-fuzz
step 'tools' $make -j2 check-host
step 'virtual machines, two at a time' $make -j2 check-qemu

# cmocka: "[  PASSED  ] 5 test(s)."  pytest: "5 passed, 1 failed in 3s"  lint: "5 passed, ..."
sum() {
	awk -v word="$1" '
		/^\[  (PASSED|FAILED)  \] [0-9]+ test\(s\)/ {
			if (tolower($2) == word) n += $4
			next
		}
		/^lint: [0-9]+ passed/ || /[0-9]+ (passed|failed|errors?|skipped).* in [0-9.]+s/ {
			for (i = 2; i <= NF; i++) {
				w = $i
				gsub(/[^a-z]/, "", w)
				if ((w == word || (word == "failed" && w ~ /^errors?$/)) && $(i - 1) ~ /^[0-9]+$/)
					n += $(i - 1)
			}
		}
		END { print n + 0 }' "$log"
}
passed=$(sum passed)
failed=$(sum failed)
skipped=$(sum skipped)
if [ -n "$steps_failed" ]; then
	echo "steps that failed:$steps_failed"
	[ "$failed" -gt 0 ] || failed=1
fi
echo "[$(($(date +%s) - begin)) s] done"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
