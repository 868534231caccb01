#!/bin/sh
# Speed and size. Read ratios, not absolutes: the machine, its load and the emulator set
# the numbers. Judges nothing. BENCH_RAM names a RAM file for compressors and classification.
set -eu
build=${BUILD:-build}

echo "== size of the images (limit of the first 163840 bytes)"
stat -c '%s bytes  %n' "$build/afterimage.mbr" "$build/afterimage.bzimage"
echo "== text by part, bytes"
for part in arch boot lib linux drivers dumpfmt liblzf; do
	find "$build/metal/$part" -name '*.o' 2>/dev/null | xargs -r size |
		awk -v part="$part" 'NR > 1 { sum += $1 } END { printf "%8d  %s\n", sum, part }'
done
echo "== drivers, code"
/usr/bin/python3 tests/bench/codesize.py "$build"
echo "== compressors, one core, CPU time"
"$build/host/bench_compress" ${BENCH_RAM:+"$BENCH_RAM"}
echo "== classification of all pages, ours next to makedumpfile's"
/usr/bin/python3 tests/bench/classify.py ${BENCH_RAM:+"$BENCH_RAM"}
echo "== drivers, speed next to Linux's, in virtual machines"
/usr/bin/python3 tests/qemu/bench_drivers.py
echo "== dump of a 4 GiB guest, ours against kdump, in virtual machines"
/usr/bin/python3 tests/qemu/bench_kdump.py
