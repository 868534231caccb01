"""Makes of a RAM file what the kernel's own crash path would have offered as /proc/vmcore:
an ELF file with the VMCOREINFO note and one segment per range of RAM. Written without any
of the project's code, so that makedumpfile's view of the same bytes can judge it."""

import mmap
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import compare
from machine import MIB, ram_offset

PAGE = 4096
TEXT_VA = 0xffffffff80000000
TEXT_BYTES = 64 * MIB  # at least the kernel's image
ENTRY_PA = 0x000ffffffffff000
PRESENT, LARGE = 1, 1 << 7
HEADER_BYTES = 64 << 10
PT_NOTE, PT_LOAD = 4, 1
NOTE_NAME = b"VMCOREINFO\0\0"


class VmcoreError(Exception):
    """The RAM file does not hold a kernel that can be described."""


@dataclass(frozen=True)
class Kernel:
    """What the ELF header needs, read from memory."""
    info: bytes  # VMCOREINFO's text
    page_offset: int  # of the direct map
    phys_base: int
    levels: int
    root_pa: int  # top-level page table


class Ram:
    """Read-only view of a RAM file by physical address."""

    def __init__(self, path, ram_bytes):
        self.ram_bytes = ram_bytes
        with open(path, "rb") as f:
            self.bytes = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
            self.extents = list(data_extents(f.fileno()))

    def read(self, pa, count):
        at = ram_offset(pa, self.ram_bytes)
        if at is None or at + count > len(self.bytes):
            raise VmcoreError(f"{pa:#x} is not RAM")
        return self.bytes[at:at + count]

    def table(self, pa):
        return struct.unpack("<512Q", self.read(pa, PAGE))

    def word(self, pa):
        return struct.unpack("<Q", self.read(pa, 8))[0]


def data_extents(file):
    """Pieces (first byte, end) of an open file that are no holes."""
    at, end = 0, os.fstat(file).st_size
    while at < end:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole follows
            return
        hole = os.lseek(file, at, os.SEEK_HOLE)
        yield at, hole
        at = hole


def find_info(ram, release):
    """The VMCOREINFO text: a page that begins with the kernel's release and ends with zeros.
    A panic with kexec makes a copy that tells the time as well."""
    start = f"OSRELEASE={release}\n".encode()
    texts = set()
    for first, end in ram.extents:
        at = ram.bytes.find(start, first, end)
        while at >= 0:
            text = ram.bytes[at:at + PAGE].rstrip(b"\0")
            if at % PAGE == 0 and b"\nSYMBOL(swapper_pg_dir)=" in text:
                texts.add(re.sub(rb"CRASHTIME=\d+\n\Z", b"", text))
            at = ram.bytes.find(start, at + 1, end)
    if len(texts) != 1:
        raise VmcoreError(f"{len(texts)} different VMCOREINFO texts of {release}")
    return texts.pop()


def number(info, name, base=10):
    found = re.search(rb"^" + re.escape(name.encode()) + rb"=(\S+)$", info, re.M)
    if not found:
        raise VmcoreError(f"VMCOREINFO has no {name}")
    return int(found[1], base)


def first_mapped(ram, table_pa, shift, va, first=0):
    """Lowest mapped address below the table at @table_pa, whose entries map 2^@shift bytes
    each from @va on, and where it leads."""
    for index, entry in enumerate(ram.table(table_pa)[first:], first):
        if not entry & PRESENT:
            continue
        here = va + (index << shift)
        if shift == 12 or entry & LARGE and shift <= 30:
            return here, entry & ENTRY_PA & -(1 << shift)
        if found := first_mapped(ram, entry & ENTRY_PA, shift - 9, here):
            return found
    return None


def load_kernel(path, ram_bytes, release):
    """The lowest mapping of the kernel's half is the direct map of low memory."""
    ram = Ram(path, ram_bytes)
    info = find_info(ram, release)
    phys_base = number(info, "NUMBER(phys_base)")
    levels = 5 if number(info, "NUMBER(pgtable_l5_enabled)") else 4
    root = number(info, "SYMBOL(swapper_pg_dir)", 16) - TEXT_VA + phys_base
    shift = 48 if levels == 5 else 39
    top = -(1 << shift + 8) % (1 << 64)
    va, pa = first_mapped(ram, root, shift, top - (256 << shift) % (1 << 64), 256)
    page_offset = va - pa
    if page_offset % (1 << 30):
        raise VmcoreError(f"the direct map seems to begin at {page_offset:#x}")
    return Kernel(info, page_offset, phys_base, levels, root)


def translate(ram, kernel, va):
    """Physical address of the kernel's @va."""
    table, shift = kernel.root_pa, 12 + 9 * kernel.levels
    while shift > 12:
        shift -= 9
        entry = ram.word(table + 8 * (va >> shift & 511))
        if not entry & PRESENT:
            raise VmcoreError(f"{va:#x} is not mapped")
        table = entry & ENTRY_PA
        if entry & LARGE and shift in (21, 30):
            break
    size = 1 << shift
    return table // size * size + va % size


def page_word(ram, kernel, pfn, field):
    """The u64 @field of the struct page of @pfn, on kernels that export where those begin."""
    va = number(kernel.info, "SYMBOL(vmemmap)", 16) + pfn * number(kernel.info, "SIZE(page)")
    return ram.word(translate(ram, kernel, va + number(kernel.info, f"OFFSET(page.{field})")))


def note(info):
    size = len(info)
    return struct.pack("<III", len(NOTE_NAME) - 1, size, 0) + NOTE_NAME + info.ljust(
        -(-size // 4) * 4, b"\0")


def segments(kernel, usable):
    """(virtual, physical, bytes) of every segment: kernel's image, then RAM."""
    text = number(kernel.info, "SYMBOL(_stext)", 16) & -(2 * MIB)
    text_pa = text - TEXT_VA + kernel.phys_base
    ranges = list(compare.whole_pages(usable))
    end = next(end for first, end in ranges if first <= text_pa < end)
    yield text, text_pa, min(TEXT_BYTES, end - text_pa)
    for first, end in ranges:
        yield kernel.page_offset + first, first, end - first


def copy_sparse(source, source_at, target, target_at, count):
    """Copies a piece of one open file to another; holes stay holes."""
    shift = target_at - source_at
    for first, end in data_extents(source):
        first, end = max(first, source_at), min(end, source_at + count)
        while first < end:
            done = os.copy_file_range(source, target, end - first, first, first + shift)
            if not done:
                raise VmcoreError("the RAM file ends early")
            first += done


def make(crash, target, ram=None):
    """The ELF file @target of @crash's memory, or of another RAM file of the same machine.
    Returns what was found out about the kernel."""
    path = Path(ram or crash.ram)
    kernel = load_kernel(path, crash.ram_bytes, crash.release)
    text = note(kernel.info)
    loads = list(segments(kernel, crash.usable))
    low = loads[0][1]  # file position of the image's segment: inside the range that holds it
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56,
                       1 + len(loads), 0, 0, 0)
    note_at = len(head) + 56 * (1 + len(loads))
    head += struct.pack("<IIQQQQQQ", PT_NOTE, 0, note_at, 0, 0, len(text), len(text), 4)
    position, positions = HEADER_BYTES, {}
    for _, pa, count in loads[1:]:
        positions[pa] = position
        position += count
    base = max(pa for pa in positions if pa <= low)
    places = [positions[base] + low - base, *(positions[pa] for _, pa, _ in loads[1:])]
    for (va, pa, count), place in zip(loads, places):
        head += struct.pack("<IIQQQQQQ", PT_LOAD, 7, place, va, pa, count, count, PAGE)
    with open(target, "wb") as out, open(path, "rb") as source:
        out.write(head + text)
        out.truncate(position)
        out.flush()
        for _, pa, count in loads[1:]:
            copy_range(source, out, crash, pa, count, positions[pa])
    return kernel


def copy_range(source, out, crash, pa, count, place):
    at = ram_offset(pa, crash.ram_bytes)
    if ram_offset(pa + count - 1, crash.ram_bytes) != at + count - 1:
        raise VmcoreError(f"range at {pa:#x} does not lie together in the RAM file")
    copy_sparse(source.fileno(), at, out.fileno(), place, count)
