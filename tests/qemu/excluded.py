"""Which pages a filtered dump leaves out: by the bitmap and the page descriptors of a
kdump-compressed file, whoever wrote it, and by the classes that build/host/classes gives
for a RAM file. A set of pages is an integer with one bit per page number."""

import collections
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import compare
import tools
import vmcore
from machine import ram_offset

PAGE = 4096
TIMEOUT_S = 300
LEVELS = (1, 2, 4, 8, 16, 31)
ZERO, CACHE, PRIVATE, USER, FREE = 1, 2, 4, 8, 16
DESCRIPTOR = struct.Struct("<QIIQ")  # position, bytes, flags, page flags
# Classes whose pages have no contents in the dump at the levels with these bits.
DROPPED_BY = {"free": FREE, "cache": CACHE | PRIVATE, "private cache": PRIVATE, "user": USER}
NEVER_READ = ("not RAM", "hwpoison", "offline")


class ExcludedError(Exception):
    """A file is not what it should be."""


def span(first, count):
    """The set of @count pages from @first on."""
    return (1 << count) - 1 << first


def pages_of(pages):
    """The members, ascending."""
    data = pages.to_bytes((pages.bit_length() + 7) // 8, "little")
    for at, byte in enumerate(data):
        if byte:
            yield from (8 * at + bit for bit in range(8) if byte >> bit & 1)


def union(spans):
    """The set of the pages of many (first, count), without shifting a big integer for each."""
    spans = list(spans)
    end = max((first + count for first, count in spans), default=0)
    flags = bytearray(end)
    for first, count in spans:
        flags[first:first + count] = b"\1" * count
    return of_flags(flags)


def of_flags(flags):
    """The set of the pages whose byte in @flags is 1."""
    text = bytes(flags)[::-1].translate(bytes.maketrans(b"\0\1", b"01"))
    return int(text or b"0", 2)


def ram_pages(usable):
    return union((first // PAGE, (end - first) // PAGE)
                 for first, end in compare.whole_pages(usable))


def zero_pages(ram, crash):
    """Pages of RAM that hold nothing but zeros."""
    found = []
    with open(ram, "rb") as f:
        extents = list(vmcore.data_extents(f.fileno()))
        data = union((first // PAGE, -(-end // PAGE) - first // PAGE) for first, end in extents)
        full = []
        for at in pages_of(data):
            f.seek(at * PAGE)
            if f.read(PAGE).count(0) != PAGE:
                full.append((at, 1))
    full = union(full)
    for first, end in compare.whole_pages(crash.usable):
        at = ram_offset(first, crash.ram_bytes) // PAGE
        count = (end - first) // PAGE
        found.append((~(full >> at) & span(0, count)) << first // PAGE)
    result = 0
    for piece in found:
        result |= piece
    return result


# --- kdump-compressed files --------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Memory:
    """What there is to know of a RAM file's pages, apart from any dump."""
    classes: dict  # the set of pages of each of our classes
    ram: int
    zero: int


@dataclass(frozen=True, repr=False)
class Filtered:
    """What is in a dump, by page sets."""
    kept: int  # pages with contents
    zero: int  # pages said to be zero: they share one page of the file
    missing: int  # getdump's: kept, but their contents were lost


def read_kdump(path):
    """The page sets of a kdump-compressed file (makedumpfile's diskdump_mod.h)."""
    with open(path, "rb") as f:
        head = f.read(PAGE)
        if head[:8] != b"KDUMP   ":
            raise ExcludedError(f"{path} is not a kdump-compressed file")
        block, sub, bitmaps = struct.unpack_from("<III", head, 428)
        f.seek((1 + sub) * block + bitmaps * block // 2)
        second = f.read(bitmaps * block // 2)
        present = int.from_bytes(second, "little")
        table = f.read(DESCRIPTOR.size * present.bit_count())
    positions = [entry[0] for entry in DESCRIPTOR.iter_unpack(table)]
    shared = {at for at, times in collections.Counter(positions).items() if at and times > 1}
    if len(shared) > 1:
        raise ExcludedError(f"{path}: {len(shared)} pages of the file are shared")
    zero, missing = (union((page, 1) for page, at in zip(pages_of(present), positions)
                           if at in wanted) for wanted in (shared, {0}))
    return Filtered(present & ~zero & ~missing, zero, missing)


def by_makedumpfile(program, core, level, target):
    """Page sets of what @program leaves of the vmcore @core."""
    line = [*program, "-f", "-l", "--message-level", "4", "-d", str(level), str(core), str(target)]
    done = subprocess.run(line, capture_output=True, text=True, errors="replace",
                          timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ExcludedError(f"{' '.join(line)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    found = read_kdump(target)
    Path(target).unlink()
    return found


# --- our classes -------------------------------------------------------------------------


def write_ranges(crash, folder):
    """The file that tells the programs of build/host/ where RAM is."""
    target = Path(folder) / "ranges"
    target.write_text("".join(f"{first:x} {end - 1:x}\n" for first, end in crash.usable))
    return target


def by_classes(ram, crash, folder):
    """Class by class the pages of the RAM file @ram."""
    done = tools.run("host/classes", "-m", write_ranges(crash, folder), ram)
    spans = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        if not line.startswith("#"):
            pfn, count, name = line.split(" ", 2)
            spans[name].append((int(pfn), int(count)))
    return {name: union(pieces) for name, pieces in spans.items()}


def of_ram(ram, crash, folder):
    return Memory(by_classes(ram, crash, folder), ram_pages(crash.usable), zero_pages(ram, crash))


def has_contents(name, level):
    """Whether pages of a class are in a dump of @level, unless they are zero."""
    if name in NEVER_READ:
        return False
    return not level & DROPPED_BY.get(name, 0)


def kept_of(memory, level):
    """By our classes: the pages with contents at @level."""
    kept = 0
    for name, pages in memory.classes.items():
        if has_contents(name, level):
            kept |= pages
    return kept & ~memory.zero if level & ZERO else kept


def count_by_class(pages, classes):
    counts = {name: (members & pages).bit_count() for name, members in classes.items()}
    return {name: count for name, count in counts.items() if count}


def class_of(page, classes):
    return next((name for name, members in classes.items() if members >> page & 1), "none")


def text_of(pages, classes, most=8):
    """The first few of a set, for a message."""
    parts = []
    for page in pages_of(pages):
        if len(parts) == most:
            parts.append("...")
            break
        parts.append(f"{page:#x} ({class_of(page, classes)})")
    return ", ".join(parts) or "none"
