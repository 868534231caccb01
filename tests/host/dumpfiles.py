"""Readers of the files getdump extracts, written from the formats' descriptions."""
import struct
import zlib

PAGE = 4096


class Kdump:
    """A KDUMP file of any method but lzo and zstd: facts, and pages as a dict."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        d = self.data
        assert d[:8] == b"KDUMP   "
        self.version, = struct.unpack_from("<i", d, 8)
        self.uts = [d[12 + 65 * i:77 + 65 * i].rstrip(b"\0") for i in range(6)]
        self.time, _, self.status, block, sub, bitmaps, self.max32 = \
            struct.unpack_from("<qqIiiII", d, 408)
        self.cpus, = struct.unpack_from("<i", d, 460)
        assert block == PAGE and bitmaps % 2 == 0
        (self.phys_base, self.level, self.split, _, _, vi, vi_len, notes, notes_len, _, _,
         _, _, self.max_mapnr) = struct.unpack_from("<qii10QQ", d, PAGE)
        self.vmcoreinfo = d[vi:vi + vi_len]
        self.notes = d[notes:notes + notes_len]
        bitmap = (1 + sub) * PAGE
        half = bitmaps // 2 * PAGE
        self.ram = self.bits(bitmap, half)
        self.dumped = self.bits(bitmap + half, half)
        self.pages, self.missing, self.places = {}, set(), {}
        at = bitmap + 2 * half
        assert len(d) > at
        for i, pfn in enumerate(sorted(self.dumped)):
            self.add(pfn, *struct.unpack_from("<QII", d, at + 24 * i))

    def bits(self, at, size):
        return {8 * i + b for i, byte in enumerate(self.data[at:at + size]) if byte
                for b in range(8) if byte >> b & 1}

    def add(self, pfn, offset, size, flags):
        raw = self.data[offset:offset + size]
        if offset == 0:
            self.missing.add(pfn)
            return
        self.places[pfn] = offset
        assert len(raw) == size
        assert flags in (0, self.status & 0x23)
        if flags == 1:
            raw = zlib.decompress(raw)
        assert flags > 1 or len(raw) == PAGE
        self.pages[pfn] = raw


class Elf:
    """An ELF core: program headers and the file's bytes by physical address."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        d = self.data
        assert d[:7] == b"\x7fELF\x02\x01\x01"
        kind, machine = struct.unpack_from("<HH", d, 16)
        phoff, shoff = struct.unpack_from("<QQ", d, 32)
        count, = struct.unpack_from("<H", d, 56)
        assert (kind, machine) == (4, 62)
        if count == 0xFFFF:
            count, = struct.unpack_from("<I", d, shoff + 44)
        self.segments = [struct.unpack_from("<IIQQQQQQ", d, phoff + 56 * i)
                         for i in range(count)]
        self.loads = [s for s in self.segments if s[0] == 1]
        _, _, at, _, _, size, _, _ = next(s for s in self.segments if s[0] == 4)
        self.notes = d[at:at + size]

    def phys(self, pfn):
        for _, _, at, _, paddr, filesz, _, _ in self.loads:
            if paddr <= pfn * PAGE < paddr + filesz:
                return self.data[at + pfn * PAGE - paddr:][:PAGE]
        return None
