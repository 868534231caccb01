"""lib/font.sh: the console's font out of PSF1 and PSF2 files, and files that are none."""

import gzip
import re
import struct
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "lib" / "font.sh"
FIRST, LAST, HEIGHT = 0x20, 0x7e, 16
SHIFT = 40  # in the fonts made here a character's glyph is this many after its code


def glyph(code):
    return bytes((code * 7 + line * 3) & 0xff for line in range(HEIGHT))


def glyphs(count):
    return b"".join(glyph((i - SHIFT) % count) for i in range(count))


def psf1(count=256, height=HEIGHT, mode=2, missing=None):
    table = b""
    for i in range(count):
        code = (i - SHIFT) % count
        if FIRST <= code <= LAST and code != missing:
            # Another character of the same glyph, and a sequence that begins with a third.
            table += struct.pack("<HHHHH", 0x2500 + code, code, 0xfffe, ord("A"), 0x301)
        table += b"\xff\xff"
    return bytes([0x36, 4, mode | (count == 512), height]) + glyphs(count) + table


def psf2(count=300, height=HEIGHT, width=8, flags=1, header=32, bytes_each=HEIGHT):
    table = b""
    for i in range(count):
        code = (i - SHIFT) % count
        if FIRST <= code <= LAST:
            table += "\u00e9".encode() + bytes([code, 0xfe, ord("A")]) + "\u0301".encode()
        table += b"\xff"
    head = struct.pack("<8I", 0x864ab572, 0, header, flags, count, bytes_each, height, width)
    return head + bytes(header - 32) + glyphs(count) + table


def convert(path):
    return subprocess.run(["sh", SCRIPT, path], capture_output=True, text=True, timeout=30)


def check(path):
    done = convert(path)
    assert done.returncode == 0, done.stderr
    rows = [bytes(int(value, 16) for value in re.findall(r"0x..", line))
            for line in done.stdout.splitlines() if line.startswith("\t{")]
    assert rows == [glyph(code) for code in range(FIRST, LAST + 1)]


@pytest.mark.parametrize("font", [psf1(), psf1(count=512), psf2(), psf2(header=48)],
                         ids=["psf1", "psf1 of 512", "psf2", "psf2 with a long header"])
@pytest.mark.parametrize("name", ["font.psf", "font.psf.gz"])
def test_fonts(font, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(font) if name.endswith("gz") else font)
    check(path)


@pytest.mark.parametrize("font,words", [
    (b"", "no PSF font"),
    (b"\x36\x04", "no PSF font"),
    (b"not a font at all, but long enough for a header", "no PSF font"),
    (psf1(height=14), "not of 8x16"),
    (psf2(width=9), "not of 8x16"),
    (psf2(height=15), "not of 8x16"),
    (psf2(bytes_each=32), "not of 8x16"),
    (psf1()[:1000], "cut short"),
    (psf2()[:1000], "cut short"),
    (psf1(mode=0), "no Unicode table"),
    (psf2(flags=0), "no Unicode table"),
    (psf1(missing=ord("q")), "lacks character 113"),
    (psf1()[:-600], "lacks character"),
], ids=range(13))
def test_refused(font, words, tmp_path):
    path = tmp_path / "font.psf"
    path.write_bytes(font)
    done = convert(path)
    assert done.returncode != 0 and words in done.stderr


def test_missing_file_names_the_package(tmp_path):
    done = convert(tmp_path / "nothing.psf.gz")
    assert done.returncode != 0 and "console-setup-linux" in done.stderr
