#!/bin/sh
# The purity gate: the pure objects of the image may refer to nothing outside themselves
# but the ports of include/ports.h, the four memory functions, and the two compressors.
# Usage: purity.sh LIBRARY
set -eu
lib=$1
allowed='arena_map|clock_us|con_bar|con_key|con_write|firmware_read|io_read|io_write|machine_reset|memory_flush|mmio_map|mmio_window|pci_port_read|pci_port_works|pci_port_write|phys_overwrite|phys_unreadable|phys_window|phys_copy'
allowed="$allowed|memcpy|memmove|memset|memcmp"
allowed="$allowed|crc32|deflate|deflateEnd|deflateInit2_|deflateReset|lzf_compress"
[ -r "$lib" ] || { echo "purity gate: $lib can not be read" >&2; exit 1; }
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
nm --defined-only "$lib" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$tmp"
bad=$(nm --undefined-only "$lib" 2>/dev/null | awk 'NF == 2 {print $2}' | sort -u |
	grep -vxF -f "$tmp" | grep -vxE "$allowed" || true)
if [ -n "$bad" ]; then
	echo "purity gate: $lib refers to:" $bad >&2
	exit 1
fi
echo "purity gate: passed"
