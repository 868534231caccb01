"""A panic while the old kernel's own drivers have commands under way: as many as a SATA disk takes
at once, on the disk that takes the dump and on another one. They are the old kernel's, and what
they read goes to its memory; nothing of that may be seen once the image reads memory, and none
may end up in the image's own.

QEMU maps a command's memory when it is given and fills it whatever becomes of the right to do
DMA, when the controller is reset at the latest: so pages that were read into may change until
then, where a SATA disk's answers go in Linux' memory for a port, and nothing else."""

import os
import re
import signal

import pytest

import capture
import compare
import diskkernel
import faults
import kexec
import tools
from machine import MIB, Disk, Setup

RAM_BYTES = 256 * MIB
READS = 64  # asked for; what the device does not take waits in Linux
MIN_IN_FLIGHT = 31
# Of a disk, a second: so that 31 are still under way at the panic, and that a reset that waits for
# them does not take long.
IOPS_BEFORE, IOPS_AFTER = 4, 32
DUMP_BYTES = 400 * MIB
FIS_AREA = 0x400, 0x500  # of Linux' memory for a port
PATTERN = b"afterimage-test: read into me "
FROM_DISK = b"from the disk"
STEP_BYTES = 65536  # of guest/reads.c
LIMIT_S = 300


def make_busy_disk(path):
    """What is read can be told from what was in memory."""
    line = FROM_DISK.ljust(64, b".")
    path.write_bytes(line * (READS * STEP_BYTES // len(line)))
    return path


def load_drivers(machine):
    names = " ".join(diskkernel.MODULES)
    kexec.ask(machine, f"for m in {names}; do [ -e /modules/$m.ko ] && insmod /modules/$m.ko; "
                       "done 2>/dev/null; sleep 1")


def device_of(machine, size):
    """Linux' name of the disk with @size bytes."""
    said = kexec.ask(machine, f"grep -lx {size // 512} /sys/block/*/size")
    return re.search(r"^/sys/block/(\w+)/size$", said, re.M)[1]


def start_reads(machine, devices):
    """For each device the page numbers that its reads go to, and how many are under way."""
    starts = "; ".join(f"reads /dev/{device} {READS} >/tmp/{device}" for device in devices)
    shows = "; ".join(f"cat /sys/block/{device}/inflight /tmp/{device}" for device in devices)
    said = kexec.ask(machine, f"{starts}; sleep 1; {shows}")
    counts = [int(count) for count in re.findall(r"^ +(\d+) +\d+$", said, re.M)]
    pages = [int(pa, 16) // compare.PAGE
             for pa in re.findall(r"^\d+ ([0-9a-f]+)$", said, re.M)]
    assert len(pages) == READS * len(devices) and all(pages), said
    assert len(counts) == len(devices) and min(counts) >= MIN_IN_FLIGHT, said
    return [set(pages[i * READS:][:READS]) for i in range(len(devices))], counts


def freeze_and_copy(machine, target):
    """Memory at this moment. Not by QEMU's stop, which waits for all commands to end."""
    os.kill(machine.process.pid, signal.SIGSTOP)
    try:
        return tools.copy(machine.setup.ram_file, target)
    finally:
        os.kill(machine.process.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def cd(tmp_path_factory):
    kernel, modules = diskkernel.get()
    folder = tmp_path_factory.mktemp("cd")
    return kexec.make_cd(kernel, folder, crashkernel="16M", drivers=modules)


def crash(machine, kind, folder):
    """The panic; memory at the image's first line, and the image's result."""
    at = len(machine.console())
    machine.type("crash")
    machine.wait_console(r"^afterimage \S+ via linux(?=\n)", 60, at)
    before = freeze_and_copy(machine, folder / "before")
    for name in ("busy", "dump"):
        faults.throttle(machine, kind, name, iops=IOPS_AFTER)
    machine.wait_console(r"^afterimage: (dump disk|no dump)", 60, at)
    faults.throttle(machine, kind)
    return before, kexec.follow_image(machine, at)


@pytest.mark.parametrize("kind", faults.kinds("ahci"))
def test_commands_in_flight(kind, cd, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", str(DUMP_BYTES), "--level", "1")
    busy = Disk(make_busy_disk(tmp_path / "busy.img"), kind, name="busy",
                bus="ide.2" if kind == "ahci" else "")
    setup = Setup(ram_file=tmp_path / "ram", ram_bytes=RAM_BYTES, disk=disk, cd=cd,
                  controller=kind, before=(busy,), limit_s=LIMIT_S)
    loaded = kexec.start(setup, "kexec_load", f"dump={tools.dump_entry(disk)[2]}", step)
    with loaded.machine as machine:
        usable = capture.parse_usable(machine.console())
        (reserved,) = kexec.reserved(machine)
        load_drivers(machine)
        devices = [device_of(machine, size) for size in (busy.path.stat().st_size, DUMP_BYTES)]
        for name in ("busy", "dump"):
            faults.throttle(machine, kind, name, iops=IOPS_BEFORE)
        (pages, own_pages), counts = start_reads(machine, devices)
        step(f"{kind}: reads under way on another disk and on the dump disk: {counts}")
        before, result = crash(machine, kind, tmp_path)
        machine.save_ram(tmp_path / "after")
    step(f"{kind}: {result.lines[-2]}")
    assert (result.state, result.number) == ("complete", 1), result.lines
    tools.getdump("verify", disk)
    raw = tools.extract(disk, "raw", tmp_path / "raw")
    changed = differ(before, tmp_path / "after", usable, reserved)
    others = changed - pages - own_pages
    assert len(others) <= (2 if kind == "ahci" else 0), compare.ranges_text(sorted(others))
    assert all(received_fis(before, tmp_path / "after", page) for page in others)
    assert not differ(raw, tmp_path / "after", usable, reserved)
    step(f"{kind}: {len(changed)} pages were read into after the image's first line, "
         f"{unread(raw, pages)} of {READS} never")


def differ(left, right, usable, reserved):
    """Pages outside the reserved memory; page 0 is no memory of Linux."""
    found = compare.compare(left, right, usable)
    first, end = (at // compare.PAGE for at in reserved)
    return {page for page in found.low + found.high if page and not first <= page < end}


def received_fis(before, after, page):
    """Is what changed in the @page only the port's received FIS area, behind its command list?"""
    old, new = (tools.read_bytes(ram, page * compare.PAGE, compare.PAGE)
                for ram in (before, after))
    changed = [at for at in range(compare.PAGE) if old[at] != new[at]]
    assert FIS_AREA[0] <= changed[0] and changed[-1] < FIS_AREA[1], changed
    return True


def unread(raw, pages):
    """How many of the pages are as they were before they were read into; the others are as they
    are on the disk."""
    with open(raw, "rb") as f:
        heads = [compare.read_at(f, page * compare.PAGE, 64) for page in pages]
    assert all(head.startswith((PATTERN, FROM_DISK)) for head in heads)
    return sum(head.startswith(PATTERN) for head in heads)
