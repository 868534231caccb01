"""An EFI application made by hand: headers and one section, nothing that would run."""

import struct

HEADERS = 0x400


def efi_file(size=4096, mark=b""):
    """Its bytes; @mark tells one from another."""
    f = bytearray(size)
    f[:2] = b"MZ"
    struct.pack_into("<I", f, 0x3C, 0x80)
    struct.pack_into("<4sHH", f, 0x80, b"PE\0\0", 0x8664, 1)
    struct.pack_into("<H", f, 0x94, 240)
    struct.pack_into("<H", f, 0x98, 0x20B)
    struct.pack_into("<I", f, 0x98 + 16, 0x1000)
    struct.pack_into("<IIIIII", f, 0x98 + 32, 0x1000, 0x200, 0, 0, 0, 0)
    struct.pack_into("<II", f, 0x98 + 56, 0x1000 + -(-size // 0x1000) * 0x1000, HEADERS)
    struct.pack_into("<H", f, 0x98 + 68, 10)
    struct.pack_into("<I", f, 0x98 + 108, 16)
    struct.pack_into("<8sIIII", f, 0x98 + 240, b".text", size - HEADERS, 0x1000, size - HEADERS,
                     HEADERS)
    text = b"afterimage" + mark
    f[HEADERS:HEADERS + len(text)] = text
    return bytes(f)
