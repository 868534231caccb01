"""Turns the PPM pictures that QEMU writes into PNG files."""

import struct
import zlib


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def lines(ppm):
    """Width, height and the lines of a binary PPM (P6, 8 bits a colour)."""
    magic, width, height, depth, _ = ppm.split(maxsplit=4)
    if magic != b"P6" or depth != b"255":
        raise ValueError("not a picture QEMU writes")
    # split() may have eaten pixels that look like blanks: take them from the end. QEMU pads
    # every line to a multiple of four bytes.
    width, height = int(width), int(height)
    stride = -(-width * 3 // 4) * 4
    pixels = ppm[-stride * height:]
    return width, height, [pixels[y * stride:y * stride + width * 3] for y in range(height)]


def from_ppm(ppm):
    """PNG bytes of such a picture."""
    width, height, rows = lines(ppm)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) +
            chunk(b"IEND", b""))
