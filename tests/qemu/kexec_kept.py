"""Kept memory with an image in it that was loaded for a panic: a victim that panicked and was
stopped before the image's first instruction. Captures start from copies of it, with any of it
changed, by a boot sector that enters the image as a purgatory does; a second or two each. Made
with guest/loader.c, which puts no checksum over what it loads."""

import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import capture
import tools
from machine import Machine, MachineError, Setup

GUEST = Path(__file__).parent / "guest"
SERIAL = "loader"  # of the disk by which the loader gets into the victim
TIMEOUT_S = 60
MARK_STUB = bytes.fromhex("baf8030000b021eefaf4ebfd")  # prints '!', then stands still
ENTRY, STUB_FROM_ZERO_PAGE = 0x200, 4096
# Zero page: e820 table, command line; the command line's room.
E820_COUNT, E820_TABLE, E820_BYTES = 0x1e8, 0x2d0, 20
CMDLINE_BYTES = 2047
# ELF header and program headers.
PHNUM_AT, HEADERS_AT, HEADER_BYTES = 56, 64, 56
PT_LOAD, PT_NOTE = 1, 4
LOADED = (rf"^{capture.PROMPT}loaded reserved=(\S+),(\S+) image=(\S+) zero_page=(\S+) "
          r"cmdline=(\S+) core=(\S+)(?=\s)")


@dataclass(frozen=True)
class Layout:
    """Physical addresses of what the loader loaded."""
    first: int  # of the reserved memory
    end: int
    image: int
    zero_page: int
    cmdline: int
    core: int


@dataclass(frozen=True)
class Kept:
    crash: capture.Crash
    layout: Layout

    def read(self, pa, count):
        return tools.read_bytes(self.crash.ram, pa, count)

    def headers(self):
        """elfcorehdr's program headers as lists: type, flags, offset, vaddr, paddr, filesz,
        memsz, align."""
        count, = struct.unpack("<H", self.read(self.layout.core + PHNUM_AT, 2))
        data = self.read(self.layout.core + HEADERS_AT, count * HEADER_BYTES)
        return [list(fields) for fields in struct.iter_unpack("<IIQQQQQQ", data)]

    def with_headers(self, headers, phnum=None):
        """The change that makes @headers elfcorehdr's."""
        count = len(headers) if phnum is None else phnum
        table = b"".join(struct.pack("<IIQQQQQQ", *h) for h in headers)
        return {self.layout.core + PHNUM_AT: struct.pack("<H", count),
                self.layout.core + HEADERS_AT: table}

    def with_words(self, words, elfcorehdr=True):
        """The change that makes @words the command line."""
        first = f"elfcorehdr={self.layout.core:#x} " if elfcorehdr else ""
        return {self.layout.cmdline: (first + words).encode().ljust(CMDLINE_BYTES, b"\0")}

    def with_e820(self, entries):
        """The change that makes @entries (address, bytes, type) the zero page's memory map."""
        table = b"".join(struct.pack("<QQI", *entry) for entry in entries)
        return {self.layout.zero_page + E820_COUNT: bytes([len(entries)]),
                self.layout.zero_page + E820_TABLE: table}

    def e820(self):
        count, = self.read(self.layout.zero_page + E820_COUNT, 1)
        data = self.read(self.layout.zero_page + E820_TABLE, count * E820_BYTES)
        return list(struct.iter_unpack("<QQI", data))


def build_loader(folder):
    target = Path(folder) / "loader"
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-static", "-s", "-o", target,
                    GUEST / "loader.c"], check=True, timeout=TIMEOUT_S)
    return target


def loader_options(loader):
    """QEMU's words for the disk that brings the program into the victim."""
    return ("-drive", f"if=none,id=tool,format=raw,file={loader}",
            "-device", f"nvme,serial={SERIAL},drive=tool")


def run_loader(machine, loader):
    """Loads the image with the program; where everything lies."""
    start = len(machine.console())
    machine.type(f"d=$(dirname $(grep -l {SERIAL} /sys/class/nvme/*/serial)); "
                 f"head -c {loader.stat().st_size} /dev/${{d##*/}}n1 >/bin/loader; "
                 "chmod +x /bin/loader; loader /boot/afterimage.bzimage")
    found = machine.wait_console(LOADED + rf"|^{capture.PROMPT}loader: .*", 30, start)
    if not found[1]:
        raise MachineError(found[0])
    return Layout(*(int(address, 16) for address in found.groups()))


def write_ram(machine, changes):
    """Into the memory of a machine of at most 2 GiB, which is stopped meanwhile."""
    machine.stop()
    for pa, data in changes.items():
        tools.write_bytes(machine.setup.ram_file, pa, data)
    machine.cont()


def keep(setup, loader, target, step):
    """A victim's memory at the moment when the image would have begun."""
    machine, nonce, release = capture.start_victim(setup, step)
    with machine:
        layout = run_loader(machine, loader)
        stub = layout.zero_page - STUB_FROM_ZERO_PAGE
        write_ram(machine, {stub: MARK_STUB})
        start = len(machine.console())
        machine.type("crash")
        machine.wait_console(r"!\Z", 30, start)
        return Kept(capture.keep_truth(machine, target, nonce, release), layout)


def entry_sector(folder, layout):
    """guest/entry.S, made for @layout."""
    binary = Path(folder) / "entry.bin"
    subprocess.run(["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x7c00,--build-id=none",
                    "-Wl,--oformat=binary", "-o", binary, GUEST / "entry.S"], check=True,
                   timeout=TIMEOUT_S)
    code = bytearray(binary.read_bytes())
    code[8:24] = struct.pack("<QQ", layout.image + ENTRY, layout.zero_page)
    assert len(code) <= 440
    return bytes(code)


def watch(machine, start=0, timeout_s=capture.CAPTURE_TIMEOUT_S):
    """Follows the image to its end. Unlike capture.watch_image it takes an image that ends
    before it could say what it is."""
    began = time.monotonic()
    machine.wait_console(r"^afterimage[ :]", 30, start)
    machine.freeze_at_reboot()
    hello_s = time.monotonic() - began
    found = machine.wait_console(capture.RESULT, timeout_s, start)
    seconds = time.monotonic() - began
    action = machine.wait_console(capture.ACTION, 20, start)[1]
    ended = "halted" if action == "halted" else machine.wait_end(20)
    lines = tuple(line for line in machine.console()[start:].splitlines()
                  if line.startswith(("afterimage ", "afterimage:")))
    state, number, code, reason, counts = capture.parse_result(found)
    return capture.Capture(state, number, code, reason, *counts, action, ended, hello_s, seconds,
                           lines)


def power_on(folder, disk, kept, changes, **options):
    """A machine about to enter the image over a copy of the kept memory with @changes."""
    ram = tools.copy(kept.crash.ram, Path(folder) / "ram")
    for pa, data in changes.items():
        tools.write_bytes(ram, pa, data)
    tools.write_bytes(disk, 0, entry_sector(folder, kept.layout))
    return Machine(Setup(ram_file=ram, ram_bytes=kept.crash.ram_bytes, disk=disk, **options))
