#!/bin/sh
# Turns a console font of 8x16 pixels into C: the glyphs of the printable ASCII characters, found
# by the font's own Unicode table. Reads PSF1 and PSF2, plain or compressed, and refuses what is
# not whole. Needs nothing but a Debian's essential packages.
# Usage: font.sh FONT >font.c
set -eu
font=$1

fail() {
	echo "font.sh: $font $1" >&2
	exit 1
}

[ -r "$font" ] || fail "can not be read; Debian's package console-setup-linux has it"
case $font in
*.gz) gzip -dc "$font" ;;
*) cat "$font" ;;
esac | od -An -v -tu1 -w1 | awk -v name="${font##*/}" '
function fail(text) {
	print "font.sh: " name " " text >"/dev/stderr"
	failed = 1
	exit 1
}
function u32(at) {
	return byte[at] + 256 * (byte[at + 1] + 256 * (byte[at + 2] + 256 * byte[at + 3]))
}
# A character that the table gives to a glyph; the first glyph that has it counts.
function give(character, glyph) {
	if (character >= 32 && character <= 126 && !(character in glyph_of))
		glyph_of[character] = glyph
}
# PSF1: 16-bit words, little-endian; 0xfffe begins sequences, 0xffff ends the glyph.
function table1(at,   glyph, word, sequence) {
	for (glyph = 0; glyph < glyphs && at + 1 < bytes; at += 2) {
		word = byte[at] + 256 * byte[at + 1]
		if (word == 65535) {
			glyph++
			sequence = 0
		} else if (word == 65534)
			sequence = 1
		else if (!sequence)
			give(word, glyph)
	}
}
# PSF2: UTF-8; 0xfe begins sequences, 0xff ends the glyph.
function table2(at,   glyph, sequence) {
	for (glyph = 0; glyph < glyphs && at < bytes; at++) {
		if (byte[at] == 255) {
			glyph++
			sequence = 0
		} else if (byte[at] == 254)
			sequence = 1
		else if (!sequence)
			give(byte[at], glyph)
	}
}
{ byte[bytes++] = $1 + 0 }
END {
	if (failed)
		exit 1
	if (bytes >= 4 && byte[0] == 54 && byte[1] == 4) {
		first = 4
		glyphs = int(byte[2] % 2) ? 512 : 256
		has_table = int(byte[2] / 2) % 4
		size = height = byte[3]
		width = 8
	} else if (bytes >= 32 && u32(0) == 2253043058) {
		first = u32(8)
		has_table = u32(12) % 2
		glyphs = u32(16)
		size = u32(20)
		height = u32(24)
		width = u32(28)
	} else
		fail("is no PSF font")
	if (width != 8 || height != 16 || size != 16)
		fail("is not of 8x16 pixels")
	end = first + glyphs * size
	if (end > bytes)
		fail("is cut short")
	if (!has_table)
		fail("has no Unicode table")
	if (byte[0] == 54)
		table1(end)
	else
		table2(end)
	print "/* Made of " name " by lib/font.sh. */"
	print "#include \"font.h\"\n"
	print "const u8 font_glyphs[FONT_GLYPHS][FONT_HEIGHT] = {"
	for (c = 32; c <= 126; c++) {
		if (!(c in glyph_of))
			fail("lacks character " c)
		line = ""
		for (i = 0; i < 16; i++)
			line = line sprintf("%s0x%02x", i ? ", " : "", byte[first + glyph_of[c] * 16 + i])
		print "\t{" line "},"
	}
	print "};"
}'
