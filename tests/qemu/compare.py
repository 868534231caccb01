"""Compares memory images page by page: the victim's RAM when it hung, RAM as firmware and
image left it, and the raw extraction of a dump (offset = physical address)."""

import os
from dataclasses import dataclass
from pathlib import Path

from machine import ram_offset

PAGE = 4096
BLOCK = 1 << 20
LOW_END = 1 << 20
ZERO = bytes(PAGE)
ZEROS = bytes(BLOCK)


@dataclass
class Difference:
    """Page numbers by physical address; low is below 1 MiB."""
    low: list
    high: list
    equal: int = 0
    zero: int = 0  # of the equal ones

    def describe(self):
        return (f"{self.equal} pages equal ({self.zero} of them zero), {len(self.low)} differ "
                f"below 1 MiB, {len(self.high)} above: {ranges_text(self.high) or 'none'}")


def ranges(pages):
    """Ascending page numbers as (first, last) pairs."""
    out = []
    for page in pages:
        if out and page == out[-1][1] + 1:
            out[-1][1] = page
        else:
            out.append([page, page])
    return [tuple(r) for r in out]


def ranges_text(pages):
    return " ".join(f"{a * PAGE:#x}-{(b + 1) * PAGE:#x}" for a, b in ranges(pages))


def whole_pages(usable):
    """RAM ranges cut inwards to pages."""
    for first, end in usable:
        first, end = -(-first // PAGE) * PAGE, end // PAGE * PAGE
        if first < end:
            yield first, end


def compare(left, right, usable, left_offset=lambda pa: pa, right_offset=lambda pa: pa):
    """Every page of the ranges @usable; the functions say where a physical address lies in
    each file. A file that ends early reads as zeros, as a sparse one does."""
    result = Difference([], [])
    with open(left, "rb") as a, open(right, "rb") as b:
        for first, end in whole_pages(usable):
            for pa in range(first, end, BLOCK):
                count = min(BLOCK, end - pa)
                compare_block(result, pa, read_at(a, left_offset(pa), count),
                              read_at(b, right_offset(pa), count))
    return result


def read_at(file, offset, count):
    """At most BLOCK. A hole of the file is not read: most of a big guest's memory is one."""
    try:
        if os.lseek(file.fileno(), offset, os.SEEK_DATA) >= offset + count:
            return ZEROS[:count]
    except OSError:  # no data up to the file's end
        return ZEROS[:count]
    file.seek(offset)
    return file.read(count).ljust(count, b"\0")


def compare_block(result, pa, left, right):
    same = left == right
    if same and (left is ZEROS or left.count(0) == len(left)):
        result.equal += len(left) // PAGE
        result.zero += len(left) // PAGE
        return
    for at in range(0, len(left), PAGE):
        page = left[at:at + PAGE]
        if same or page == right[at:at + PAGE]:
            result.equal += 1
            result.zero += page == ZERO
        else:
            where = result.low if pa + at < LOW_END else result.high
            where.append((pa + at) // PAGE)


def truth_against_ram(crash, ram):
    """What changed in RAM since the victim hung."""
    def offset(pa):
        return ram_offset(pa, crash.ram_bytes)
    return compare(crash.ram, ram, crash.usable, offset, offset)


def dump_against_ram(raw, ram, crash):
    """A raw extraction against a RAM file of the same machine."""
    return compare(raw, ram, crash.usable, right_offset=lambda pa: ram_offset(pa, crash.ram_bytes))


def data_pages(raw):
    """Physical address and bytes of every page of a raw extraction that is not all zero."""
    with open(raw, "rb") as f:
        end = os.fstat(f.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA) // PAGE * PAGE
            except OSError:  # nothing but a hole
                return
            page = read_at(f, at, PAGE)
            if page != ZERO:
                yield at, page
            at += PAGE


def changed_bytes(left, right, size):
    """Of two RAM files, the pages that differ, as ranges (offset of the first and behind the
    last differing byte)."""
    found = compare(left, right, [(0, size)])
    with open(left, "rb") as a, open(right, "rb") as b:
        for page in found.low + found.high:
            old, new = (read_at(file, page * PAGE, PAGE) for file in (a, b))
            at = [i for i in range(PAGE) if old[i] != new[i]]
            yield page * PAGE + at[0], page * PAGE + at[-1] + 1


def bytes_equal(left, right):
    """Whether two files are the same, bit for bit."""
    left, right = Path(left), Path(right)
    if left.stat().st_size != right.stat().st_size:
        return False
    with open(left, "rb") as a, open(right, "rb") as b:
        while block := a.read(BLOCK):
            if block != b.read(BLOCK):
                return False
    return True
