"""How fast the drivers write, next to Linux's on the same virtual disks in the same run. A
1 GiB guest with a dump disk of each kind, their files in memory of the host: Linux writes to each
with `dd oflag=direct bs=1M` and an fsync, then it panics, and an image made of the drivers and
tests/bench/rawspeed.c writes the same place of each disk, with a flush; what it wrote is compared
with the memory that it should have written. Prints medians of all passes with their extremes, the
ratio of the medians and that of the best passes, which other work on the machine disturbs least;
judges nothing."""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import capture
import diskkernel
import kexec
import tools
import victim
from compare import PAGE
from machine import GIB, MIB, MachineError, Setup, ram_offset

PASS_BYTES = 512 * MIB  # as in rawspeed.c
PASSES = 3
ROUNDS = 3
DATA_OFFSET = 8 * MIB  # in the partition, likewise
CHUNK_PAGES = 17  # of a request whose pages are no neighbours, if the driver takes that much
DISK_BYTES = 1 << 30
SPACE_BYTES = 5 * GIB
LIMIT_S = 400
BENCH_TIMEOUT_S = 120
PASS_TIMEOUT_S = 120
QUEUE_DEPTH = 4
CLOCK_S = 2.0  # as in rawspeed.c
CLOCK_TOLERANCE = 0.05
WANTED_RATIO = 0.9
FILL_MIB = 500
IMAGE = "afterimage.rawspeed"
WRITER = tools.TREE / "tests/bench/rawwrite.c"
RESULT = (r"^bench: (?P<name>(?P<kind>\S+) .*): (?P<way>pieces|pages): (?P<bytes>\d+) bytes in "
          r"(?P<us>\d+) us, requests (?P<requests>\d+), polls (?P<polls>\d+), queue "
          r"(?P<queue>[\d.]+) of (?P<depth>\d+), idle (?P<idle>\d+) permille$")


@dataclass(frozen=True)
class Kind:
    """A kind of disk: what the driver calls itself, Linux's name of the disk, QEMU's words."""
    name: str
    linux: str
    device: str


@dataclass(frozen=True)
class Pass:
    """One of the image's."""
    kind: str
    way: str
    mib_s: float
    queue: float
    depth: int
    idle: float
    command_bytes: int

    @classmethod
    def parse(cls, found, rate):
        return cls(found["kind"], found["way"],
                   int(found["bytes"]) / MIB / (int(found["us"]) / 1e6 * rate),
                   float(found["queue"]), int(found["depth"]), int(found["idle"]) / 1000,
                   int(found["bytes"]) // int(found["requests"]))


KINDS = (Kind("nvme", "nvme0n1", "nvme,serial=bench-nvme"),
         Kind("ahci", "sda", "ide-hd,bus=ide.1,serial=bench-ahci"),
         Kind("virtio", "vda", "virtio-blk-pci,disable-legacy=on,serial=bench-virtio"))


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


# --- the victim --------------------------------------------------------------------------


def make_cd(folder):
    """A CD with the victim, the real dd, and the image to be loaded for a panic."""
    kernel, modules = diskkernel.get()
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        root, boot = Path(temp) / "root", Path(temp) / "cd" / "boot"
        root.mkdir()
        boot.mkdir(parents=True)
        victim.fill_root(root, ["chrt", "kexec", "dd"])
        (root / "modules").mkdir()
        for file in modules.glob("*.ko"):
            shutil.copy(file, root / "modules")
        subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-o",
                        root / "bin" / "rawwrite", WRITER], check=True, timeout=60)
        shutil.copy(tools.program(IMAGE), root / "boot" / "afterimage.bzimage")
        victim.pack(root, boot / "initramfs")
        shutil.copy(kernel.vmlinuz, boot / "vmlinuz")
        config = victim.GRUB_CONFIG.format(
            stub="", cmdline="console=ttyS0 panic=0 crashkernel=16M")
        return victim.make_grub_cd(boot.parent, config, folder / "victim.iso")


def load_modules(machine, kinds):
    names = " ".join(diskkernel.MODULES)
    said = kexec.ask(machine, f"for m in {names}; do f=/modules/$m.ko; "
                     "[ ! -e $f ] || insmod $f; done; sleep 3; ls /sys/block")
    missing = [kind.linux for kind in kinds if kind.linux not in said.split()]
    if missing:
        raise MachineError(f"Linux has no {', '.join(missing)}:\n{said}")


def pass_of(machine, command, said):
    """MiB/s of one pass by @command, which prints bytes and seconds as @said has it."""
    at = len(machine.console())
    machine.type(f"{command}; say written")
    machine.wait_console(f"^{capture.PROMPT}written", PASS_TIMEOUT_S, at)
    text = machine.console()[at:]
    found = re.search(rf"^{PASS_BYTES} bytes .*{said}, ([\d.]+) s", text, re.M)
    if not found:
        raise MachineError(f"{command} failed:\n{text}")
    return PASS_BYTES / MIB / float(found[1])


def by_dd(machine, disk, start):
    return pass_of(machine, f"/bin/dd if=/dev/zero of={disk} oflag=direct conv=fsync bs=1M "
                   f"count={PASS_BYTES // MIB} seek={start // MIB}", "copied")


def by_queue(machine, disk, start):
    """The best that Linux does: several such writes in flight, and nothing read in between."""
    return pass_of(machine, f"rawwrite {disk} {start} {PASS_BYTES} {MIB} {QUEUE_DEPTH}",
                   "written")


# --- the machine -------------------------------------------------------------------------


def make_disks(folder, kinds):
    """A dump disk of each kind, and where on it to write; the memory for it is there already."""
    disks = {}
    for kind in kinds:
        disk = folder / f"{kind.name}.img"
        disk.unlink(missing_ok=True)
        tools.make_disk(disk, f"{DISK_BYTES // GIB}G")
        first, length, _ = tools.dump_entry(disk)
        start = first + DATA_OFFSET
        if start % MIB or start + PASS_BYTES > first + length:
            raise MachineError(f"{disk} has no room for {PASS_BYTES} bytes, or not where dd can "
                               "write them")
        with open(disk, "r+b") as f:
            os.posix_fallocate(f.fileno(), 0, DISK_BYTES)
        disks[kind] = (disk, start)
    return disks


def disk_words(kind, disk):
    return ("-blockdev", f"driver=raw,node-name={kind.name},file.driver=file,"
                         f"file.filename={disk}",
            "-device", f"{kind.device},id={kind.name},drive={kind.name}")


def clock_rate(machine, who, start):
    """How many of our seconds one of theirs takes; both find the frequency of their clock when
    they start, and a busy host misleads them."""
    machine.wait_console(f"^{who}clock begins", PASS_TIMEOUT_S, start)
    began = time.monotonic()
    machine.wait_console(f"^{who}clock ends", PASS_TIMEOUT_S, start)
    rate = (time.monotonic() - began) / CLOCK_S
    if abs(rate - 1) > CLOCK_TOLERANCE:
        say(f"a clock is off by {rate - 1:.0%} and corrected")
    return rate


def by_image(machine):
    """Panics; what the image says, and the rate of its clock."""
    if said := kexec.load(machine, "kexec_load"):
        raise MachineError("the image was not loaded:\n" + said)
    start = len(machine.console())
    machine.type("crash")
    rate = clock_rate(machine, "bench: ", start)
    machine.wait_console("^bench: (done|E).*\n", BENCH_TIMEOUT_S, start)
    said = machine.console()[start:]
    if "bench: done" not in said or re.search("^bench: E", said, re.M):
        raise MachineError("the image failed:\n" + said[-1500:])
    return said, rate


def pages_written(from_pages, piece_pages):
    """The pages of its memory that the image writes in a pass, in the disk's order: those
    of a request from the last to the first."""
    used, left = 0, PASS_BYTES // PAGE
    while left:
        count = min(piece_pages, left)
        used = 0 if used + count > from_pages else used
        yield from range(used + count - 1, used - 1, -1)
        used, left = used + count, left - count


def check_written(setup, said, disks):
    """What is left on each disk, by the last pass, is the memory that was to be written."""
    memory = re.search(r"^bench: memory at 0x([0-9a-f]+), (\d+) bytes", said, re.M)
    from_pa, from_pages = int(memory[1], 16), int(memory[2]) // PAGE
    for kind, (disk, start) in disks.items():
        limit = re.search(rf"^bench: {kind.name} .*: at most (\d+) bytes each", said, re.M)
        if not limit:
            continue
        pieces = pages_written(from_pages, min(int(limit[1]) // PAGE, CHUNK_PAGES))
        with open(setup.ram_file, "rb") as ram, open(disk, "rb") as written:
            written.seek(start)
            for number, page in enumerate(pieces):
                ram.seek(ram_offset(from_pa + page * PAGE, setup.ram_bytes))
                if ram.read(PAGE) != written.read(PAGE):
                    raise MachineError(f"{kind.name}: page {number} is not what was to be written")


def by_linux(machine, kinds, disks):
    """Of each kind, the passes of dd and those with several writes in flight. The first of all is
    not counted: it is slow on some disks."""
    speeds = {kind.name: ([], []) for kind in kinds}
    start = len(machine.console())
    machine.type(f"say clock begins; sleep {CLOCK_S}; say clock ends")
    rate = clock_rate(machine, capture.PROMPT, start)
    for number in range(PASSES + 1):
        for kind in kinds:
            place = (f"/dev/{kind.linux}", disks[kind][1])
            pair = by_dd(machine, *place), by_queue(machine, *place)
            for values, value in zip(speeds[kind.name], pair) if number else ():
                values.append(value / rate)
    return speeds


def one_round(folder, cd, kinds):
    """Of each kind, the passes of Linux; and the image's."""
    disks = make_disks(folder, kinds)
    words = sum((disk_words(kind, disks[kind][0]) for kind in kinds), ())
    setup = Setup(ram_file=folder / "ram", cd=cd, prealloc=True, limit_s=LIMIT_S, extra=words)
    machine, _, _ = capture.start_victim(setup, say)
    with machine:
        load_modules(machine, kinds)
        theirs = by_linux(machine, kinds, disks)
        machine.type(f"fill {FILL_MIB}")  # so that one page is not like another
        machine.wait_console(f"^{capture.PROMPT}filled", PASS_TIMEOUT_S)
        said, rate = by_image(machine)
        machine.stop()
        check_written(setup, said, disks)
        return theirs, [Pass.parse(found, rate) for found in re.finditer(RESULT, said, re.M)]


# --- the figures -------------------------------------------------------------------------


def spread(values):
    return f"{statistics.median(values):5.0f} ({min(values):.0f}-{max(values):.0f})"


def print_way(passes, dd, queued):
    speeds = [one.mib_s for one in passes]
    ratio = statistics.median(speeds) / statistics.median(dd)
    first = passes[0]
    print(f"{first.kind:7} {first.way:7} {spread(dd):>17} {spread(queued):>17} "
          f"{spread(speeds):>17} {ratio:6.2f} {max(speeds) / max(dd):6.2f} "
          f"{statistics.median(one.queue for one in passes):5.1f} of {first.depth:>3} "
          f"{statistics.median(one.idle for one in passes):6.1%} "
          f"{first.command_bytes >> 10:4} KiB")


def print_table(linux, ours):
    print(f"{'driver':7} {'memory':7} {'dd, MiB/s':>17} {f'{QUEUE_DEPTH} in flight':>17} "
          f"{'ours':>17} {'to dd':>6} {'best':>6} {'queue':>12} {'idle':>6} {'command':>8}")
    for kind, (dd, queued) in linux.items():
        passes = [one for one in ours if one.kind == kind]
        if not passes:
            print(f"{kind:7} {'':7} {spread(dd):>17} {spread(queued):>17} {'no driver':>17}")
        for way in dict.fromkeys(one.way for one in passes):
            print_way([one for one in passes if one.way == way], dd, queued)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="machines started")
    parser.add_argument("--only", choices=[kind.name for kind in KINDS], help="one kind of disk")
    return parser.parse_args()


def disk_folder():
    """In memory if there is room: it is the drivers that are to be measured."""
    place = Path("/dev/shm")
    enough = place.is_dir() and shutil.disk_usage(place).free >= SPACE_BYTES
    return Path(tempfile.mkdtemp(prefix="afterimage-bench-", dir=place if enough else None))


def main():
    options = arguments()
    kinds = [kind for kind in KINDS if options.only in (None, kind.name)]
    linux, ours = {kind.name: ([], []) for kind in kinds}, []
    folder = disk_folder()
    try:
        if shutil.disk_usage(folder).free < SPACE_BYTES:
            sys.exit(f"bench: {folder} has less than {SPACE_BYTES // GIB} GiB free; set TMPDIR")
        cd = make_cd(folder)
        for number in range(1, options.rounds + 1):
            say(f"drivers, machine {number} of {options.rounds}")
            theirs, passes = one_round(folder, cd, kinds)
            for name, (dd, queued) in theirs.items():
                linux[name][0].extend(dd)
                linux[name][1].extend(queued)
            ours += passes
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{PASS_BYTES // MIB} MiB in each of {options.rounds * PASSES} passes, medians (and "
          f"extremes); ratio wanted: {WANTED_RATIO}; the disks are files in {folder.parent}")
    print_table(linux, ours)


if __name__ == "__main__":
    main()
