#!/bin/sh
# Everything about the sources that a machine can judge without running them.
# Usage: lint.sh BUILD_DIRECTORY
set -u
build=$1
failed=0
passed=0
sources=$(git ls-files '*.c' '*.h')

step() { # name, output: empty is good
	if [ -n "$2" ]; then
		printf 'lint: %s:\n%s\n' "$1" "$2" >&2
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
}

headers_alone() {
	for h in $(git ls-files '*.h'); do
		case $h in
		boot/efi.h | tests/unit/efi_rig.h)
			inc='-isystem /usr/include/efi -isystem /usr/include/efi/x86_64
				-DGNU_EFI_USE_MS_ABI -fshort-wchar' ;;
		tests/host/* | tests/model/* | tests/unit/* | tests/fuzz/* | tools/*)
			inc='-iquote tests/host/include -D_GNU_SOURCE' ;;
		*) inc='-iquote arch/x86/include -ffreestanding' ;;
		esac
		gcc -std=c11 -Wall -Wextra -Werror -DLZF_HLOG=12u -iquote . -iquote include $inc \
			-fsyntax-only -x c "$h" 2>&1 || echo "$h does not compile alone"
	done
}

step 'tools that are missing' "$(for tool in clang-format clang-tidy gcc git nm; do
	command -v "$tool" >/dev/null || echo "$tool"
done)"
step 'clang-format' "$(clang-format --dry-run -Werror $sources 2>&1 | grep -E 'error|warning' | head -20)"
step 'conditional compilation in a .c file' "$(git ls-files '*.c' |
	xargs grep -nE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef)\b')"
step 'longer than 500 lines' "$(wc -l $sources | awk '$2 != "total" && $1 > 500')"
step 'a driver is too long' "$(/usr/bin/python3 tests/bench/codesize.py --check 2>&1)"
step 'unfinished business' "$(git ls-files ':!tests/lint.sh' |
	xargs grep -nIE '\b(TODO|FIXME|XXX|HACK)\b')"
step 'a driver is called past the gate' "$(grep -nE 'ops->submit' -r drivers dumpfmt boot linux lib |
	grep -vE '^drivers/(gate|blk)\.c:')"
step 'header needs others' "$(headers_alone)"
step 'docs/codes.md is not what include/status.h says' \
	"$(/usr/bin/python3 tests/codes.py include/status.h | diff docs/codes.md - 2>&1)"
step 'purity gate' "$(sh tests/purity.sh "$build/metal/libpure.a" 2>&1 | grep -v passed)"
step 'clang-tidy' "$(git ls-files 'lib/*.c' 'linux/*.c' 'drivers/*.c' 'dumpfmt/*.c' boot/choose.c boot/disk.c boot/known.c \
	boot/main.c boot/menu.c boot/store.c boot/survey.c boot/words.c \
	'tools/*.c' | xargs -P 2 -n 8 sh tests/tidy.sh 2>&1 |
	grep -E 'warning:|error:|Error' | sort -u | head -20)"
echo "lint: $passed passed, $failed failed"
[ "$failed" = 0 ]
