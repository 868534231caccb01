"""Dump logs made from the format's description with struct.pack, independent of the C code.

A Log is a partition in memory; dumps are added chunk by chunk. gpt_disk() puts a partition
on a disk. Small: meant for megabytes, not gigabytes.
"""
import struct
import uuid
import zlib

PAGE = 4096
GROUP = 16
NONE, LZF, ZLIB = 0, 1, 2
START, NOTE, PAGES, CLASSES, INDEX, END, FOUND = 1, 2, 3, 4, 5, 6, 7
VMCOREINFO, UTSNAME, MEMMAP, PRSTATUS, KERNEL = 1, 2, 3, 4, 6
NOT_RAM, KEPT, ZERO, FREE, CACHE, PRIVATE, USER = range(7)
HWPOISON, OFFLINE, UNREADABLE, BY_FIRMWARE, BY_LOADER, BY_US, LOST = range(7, 14)
INCOMPLETE, COMPLETE = 1, 2
NOBODY, FIRMWARE, LOADER, OURS, SURVEY = range(5)
TYPE = uuid.UUID("3f5d8c62-6b0e-4e2c-9a41-af7e1d0b5c90")


def _table():
    out = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ 0x82F63B78 if i & 1 else i >> 1
        out.append(i)
    return out


_CRC = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def sealed(data, at):
    """@data with its checksum at @at, computed with that field as zero."""
    data = data[:at] + b"\0\0\0\0" + data[at + 4:]
    return data[:at] + struct.pack("<I", crc32c(data)) + data[at + 4:]


def lzf(data):
    """LZF with runs of one byte as the only matches: enough to have both kinds of token."""
    out = bytearray()
    literal = bytearray()

    def flush():
        for i in range(0, len(literal), 32):
            out.append(len(literal[i:i + 32]) - 1)
            out.extend(literal[i:i + 32])
        literal.clear()

    at = 0
    while at < len(data):
        n = 0
        while at and n < 264 and at + n < len(data) and data[at + n] == data[at - 1]:
            n += 1
        if n < 3:
            literal.append(data[at])
            at += 1
            continue
        flush()
        out.append(min(n - 2, 7) << 5)
        if n - 2 >= 7:
            out.append(n - 2 - 7)
        out.append(0)
        at += n
    flush()
    return bytes(out)


def run(pfn, count, klass):
    return pfn | (count - 1) << 40 | klass << 56


def page(pfn):
    """Contents that tell pages apart and pack a little."""
    return struct.pack("<Q", pfn) + bytes((pfn * 31 + i * 7) & 0xFF for i in range(120)) \
        + bytes([pfn & 0xFF]) * (PAGE - 128)


class Log:
    def __init__(self, block=512, mib=18, slots=8, **super_fields):
        self.block, self.slots = block, slots
        self.blocks = mib * 1048576 // block
        self.disk = bytearray(self.blocks * block)
        self.uuid = bytes(range(16))
        self.free = 1 + slots
        self.fields = dict(version=1, level=31, label=b"rack 7", created=1700000000)
        self.fields.update(super_fields)
        for at in (0, self.blocks - 1):
            self.put_super(at)

    def put_super(self, at):
        f = self.fields
        data = struct.pack("<8sII16sQIIIIII Q64s372xI", b"AFTRSUP1", f["version"], self.block,
                           self.uuid, self.blocks, self.slots, f["level"], LZF, 0, 0, 0,
                           f["created"], f["label"], 0)
        self.write(at, sealed(data, 508))

    def write(self, block, data):
        self.disk[block * self.block:block * self.block + len(data)] = data

    def dump(self, number, level=31, **fields):
        return Dump(self, number, level, fields)

    def save(self, path, end=None):
        with open(path, "wb") as f:
            f.write(self.disk[:end])
        return str(path)


class Dump:
    def __init__(self, log, number, level, fields):
        self.log, self.number, self.level = log, number, level
        self.uuid = uuid.uuid5(TYPE, str(number)).bytes
        self.start, self.next, self.sequence = log.free, 0, 0
        self.kept = self.zero = self.ram = self.generation = 0
        self.entries, self.last_index, self.end_at, self.places = [], 0, 0, []
        self.fields = dict(state=INCOMPLETE, reason=0, flags=0, time=1750000000 + number,
                           release=b"6.1.0-test", node=b"crashhost", machine=b"x86_64",
                           panic=b"", degraded=0, dropped=0, incomplete=0, asked=level,
                           survey=0, lost=0, used=0, told=0, crash=0,
                           limit=log.blocks - 1 - log.slots - log.free)
        self.fields.update(fields)
        self.put_header()
        self.chunk(START, self.header())

    def header(self):
        f = self.fields
        data = struct.pack(
            "<8sII16s16sIIII QQQQQQ IIIIII QQQQ 65s65s65s97sIIIQQQQ4xI", b"AFTRDMP1", 1,
            self.generation, self.log.uuid, self.uuid, self.number, f["state"], f["flags"],
            f["reason"], self.start, f["limit"], self.next, self.sequence, self.end_at,
            f["time"], 1234, 1, f["asked"], self.level, LZF, f["degraded"], self.ram, self.kept,
            self.zero, self.next * self.log.block, f["release"], f["node"], f["machine"],
            f["panic"], f["dropped"], f["incomplete"],
            f["survey"], f["lost"], f["used"], f["told"], f["crash"], 0)
        return sealed(data, 508)

    def put_header(self, front=True, back=True, **fields):
        self.fields.update(fields)
        self.generation += 1
        slot = (self.number - 1) % self.log.slots
        if back:
            self.log.write(self.log.blocks - 1 - self.log.slots + slot, self.header())
        if front:
            self.log.write(1 + slot, self.header())

    def chunk(self, kind, raw, runs=(), method=NONE):
        stored = {NONE: bytes, LZF: lzf, ZLIB: zlib.compress}[method](raw)
        if len(stored) >= len(raw):
            stored, method = raw, NONE
        payload = 128 + 8 * len(runs)
        if kind == PAGES and method == NONE:
            payload = self.log.block
        blocks = -(-(payload + len(stored)) // self.log.block)
        head = struct.pack("<IHH16sQIIIIHHI12x16x40xI", 0x4B434941, 128, kind, self.uuid,
                           self.sequence, blocks, payload, len(stored), len(raw), method,
                           len(runs), crc32c(stored), 0)
        head = sealed(head + struct.pack(f"<{len(runs)}Q", *runs), 124)
        self.log.write(self.start + self.next, head.ljust(payload, b"\0") + stored)
        if kind not in (START, INDEX, END):
            pfns = [r & (1 << 40) - 1 for r in runs] if kind == PAGES else [0]
            ends = [p + (r >> 40 & 0xFFFF) for p, r in zip(pfns, runs)] \
                if kind == PAGES else [0]
            self.entries.append(struct.pack("<QQQIHH", self.next, min(pfns), max(ends),
                                            blocks, kind, 0))
        self.places.append(((self.start + self.next) * self.log.block, payload, len(stored)))
        self.next += blocks
        self.sequence += 1

    def note(self, kind, data):
        self.chunk(NOTE, struct.pack("<II", kind, len(data)) + data)

    def pages(self, pfns, method=LZF, contents=page):
        runs = []
        for pfn in pfns:
            if runs and runs[-1][0] + runs[-1][1] == pfn:
                runs[-1][1] += 1
            else:
                runs.append([pfn, 1])
        self.kept += len(pfns)
        self.chunk(PAGES, b"".join(contents(p) for p in pfns),
                   [run(p, n, KEPT) for p, n in runs], method)

    def classes(self, runs):
        for _, count, klass in runs:
            self.ram += count if klass != NOT_RAM else 0
            self.zero += count if klass == ZERO else 0
        self.chunk(CLASSES, struct.pack(f"<{len(runs)}Q", *(run(*r) for r in runs)),
                   method=ZLIB)

    def found(self, runs):
        self.zero += sum(count for _, count, klass in runs if klass == ZERO)
        self.chunk(FOUND, struct.pack(f"<{len(runs)}Q", *(run(*r) for r in runs)),
                   method=ZLIB)

    def index(self):
        at = self.next
        self.chunk(INDEX, struct.pack("<QII", self.last_index, len(self.entries), 0)
                   + b"".join(self.entries))
        self.entries, self.last_index = [], at

    def end(self, reason=0):
        self.index()
        self.end_at = self.next
        self.chunk(END, struct.pack("<QQQQQII", self.last_index, self.sequence + 1, self.ram,
                                    self.kept, self.zero, reason, 0))
        self.log.free = self.start + self.next
        self.put_header(state=INCOMPLETE if reason else COMPLETE, reason=reason,
                        limit=self.next)
        return self


STEXT, PHYS_BASE, PAGE_OFFSET = 0xFFFFFFFF81200000, 0x100000 - 0x1200000, 0xFFFF9A0000000000
INFO = (f"OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(_stext)={STEXT:x}\n"
        f"NUMBER(phys_base)={PHYS_BASE}\n").encode()
UTS = b"".join(x.ljust(65, b"\0") for x in (b"Linux", b"crashhost", b"6.1.0-test", b"#1 SMP",
                                            b"x86_64", b"(none)"))
RAM = [(0, 0x9F), (0x100, 0x300)]
HERE = set(range(0, 0x40)) | set(range(0x100, 0x140)) | {0x17F, 0x3FE}
ZEROS = set(range(0x40, 0x60))


def standard(log, number=1, level=31, finish=True):
    """A dump of 4 MiB of RAM with a hole: pages HERE and ZEROS, the rest excluded."""
    d = log.dump(number, level)
    d.note(KERNEL, struct.pack("<QqQQIIII", 0x1000, PHYS_BASE, PAGE_OFFSET, 0x2000, 4, 1, 1, 0))
    d.note(VMCOREINFO, INFO)
    d.note(UTSNAME, UTS)
    d.note(MEMMAP, b"".join(struct.pack("<QQII", p * PAGE, n * PAGE, 1, 0) for p, n in RAM))
    d.classes([(0, 0x40, KEPT), (0x40, 0x20, ZERO), (0x60, 0x3F, FREE), (0x9F, 0x61, NOT_RAM),
               (0x100, 0x40, KEPT), (0x140, 0x3F, USER), (0x17F, 1, BY_FIRMWARE),
               (0x180, 0x27E, FREE), (0x3FE, 1, KEPT), (0x3FF, 1, BY_US)])
    d.pages(range(0, 16), LZF)
    d.pages(range(16, 32), ZLIB)
    d.pages(range(32, 48), NONE)
    d.index()
    d.pages(list(range(0x138, 0x140)) + [0x17F, 0x3FE], LZF)
    d.pages(range(48, 64), LZF)
    for pfn in range(0x100, 0x130, 16):
        d.pages(range(pfn, pfn + 16), ZLIB)
    d.pages(range(0x130, 0x138), NONE)
    return d.end() if finish else d


# Pages of each class in rich(), 16 from CLASS_AT[class] on; a hole of no RAM is before them.
CLASS_AT = {klass: 0x20 + 0x10 * i for i, klass in enumerate(range(KEPT, LOST + 1))}
LATER = (USER, PRIVATE, CACHE, FREE)
ALWAYS = (KEPT, LOST, BY_FIRMWARE, BY_LOADER)
RICH_RAM = set(range(0x10)) | {p + i for p in CLASS_AT.values() for i in range(16)}


def rich_page(pfn):
    """As page(), but the last page of each class that is kept is zero."""
    return bytes(PAGE) if pfn % 16 == 15 else page(pfn)


def rich(log, number=1, level=0, passes=LATER, reason=0, old=None, info=INFO, touched=(),
         first=((0, 16, KEPT),), **fields):
    """A dump with 16 pages of every class. Of those of later passes pages 0-7 have contents,
    8-11 were found zero and 12-13 unreadable; 14 and 15 have contents, 15 being zero. Passes
    not in @passes were not made. The pages in @old have those contents. @touched says by class
    who wrote there, @first the classes of the first 16 pages."""
    def contents(pfn):
        return (old or {}).get(pfn) or rich_page(pfn)

    d = log.dump(number, level, **fields)
    d.note(KERNEL, struct.pack("<QqQQIIII", 0x1000, PHYS_BASE, PAGE_OFFSET, 0x2000, 4, 1, 1, 0))
    d.note(VMCOREINFO, info)
    who = dict(touched)
    d.note(MEMMAP, b"".join(struct.pack("<QQII", p * PAGE, 0x10 * PAGE, 1, who.get(k, 0))
                            for k, p in [(0, 0), *CLASS_AT.items()]))
    d.classes([*first, (0x10, 0x10, NOT_RAM)]
              + [(pfn, 16, klass) for klass, pfn in CLASS_AT.items()])
    d.pages(range(16), LZF, contents)
    for klass in ALWAYS:
        d.pages(range(CLASS_AT[klass], CLASS_AT[klass] + 16), LZF, rich_page)
    for klass in passes:
        at = CLASS_AT[klass]
        d.found([(at + 8, 4, ZERO), (at + 12, 2, UNREADABLE)])
        d.pages([*range(at, at + 8), at + 14, at + 15], ZLIB, rich_page)
    return d.end(reason)


def left_out(klass, level):
    """makedumpfile's meaning of the level's bits."""
    return bool(level & {CACHE: 2 | 4, PRIVATE: 4, USER: 8, FREE: 16}.get(klass, 0))


def gpt_disk(part, block=512, uuid_type=TYPE, before=34):
    """A disk with @part as its second partition, the first being some other one."""
    entries_blocks = 16384 // block
    first = max(before, 2 + entries_blocks)
    last = first + len(part) // block - 1
    total = last + 1 + entries_blocks + 1
    disk = bytearray(total * block)
    entry = struct.pack("<16s16sQQQ72s", uuid_type.bytes_le, uuid.uuid4().bytes_le, first, last,
                        0, "dump".encode("utf-16le"))
    entries = bytes(128) + entry + bytes(128 * 126)

    def header(at, other, table):
        data = struct.pack("<8sIIIIQQQQ16sQIIII", b"EFI PART", 0x10000, 92, 0, 0, at, other,
                           2 + entries_blocks, total - 2 - entries_blocks,
                           uuid.uuid4().bytes_le, table, 128, 128, zlib.crc32(entries), 0)[:92]
        data = data[:16] + struct.pack("<I", zlib.crc32(data)) + data[20:]
        disk[at * block:at * block + 92] = data
        disk[table * block:table * block + len(entries)] = entries

    disk[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, total - 1)
    disk[510:512] = b"\x55\xaa"
    header(1, total - 1, 2)
    header(total - 1, 1, total - 1 - entries_blocks)
    disk[first * block:(last + 1) * block] = part
    return disk
