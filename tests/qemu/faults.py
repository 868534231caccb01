"""What faults of disks are tried on by the dozen: a small machine that hung, whose dump takes a
second, and a disk that has a whole dump and the remains of another one in the place where the
next one goes. And what must hold of the disk afterwards, whatever happened."""

import os
import random
import re
from dataclasses import dataclass
from pathlib import Path

import capture
import compare
import tools
from machine import MIB, Setup

RAM_BYTES = 128 * MIB
DISK_SIZE = "140M"
KINDS = ("nvme", "ahci", "virtio")
EVERYTHING = os.environ.get("AFTERIMAGE_MATRIX") == "all"
SEED = int(os.environ.get("AFTERIMAGE_SEED", "6"))
NUMBER = 3  # of the dump that is made while something goes wrong
MAX_CHANGED_HIGH = 64
QMP_TIMEOUT_S = 60  # a busy disk answers late


@dataclass(frozen=True)
class Small:
    crash: capture.Crash
    disk: Path  # dump 1 is whole, dump 2 is cleared
    partition: tuple  # first byte and end
    first: tuple  # likewise of dump 1
    target: int  # first byte of dump 2, where dump 3 goes
    kept_pages: int  # of a whole dump

    def copy(self, folder):
        return tools.copy(self.disk, Path(folder) / "small.img")


@dataclass(frozen=True)
class Verdict:
    """What getdump says of the dump that was made while something went wrong."""
    state: str  # complete, incomplete or none
    chunks: int  # that are good
    pages: int


def dump_range(disk, number, partition):
    found = tools.info(disk, number)["dump"]
    start = partition + found["first_block"] * 512
    return start, start + found["bytes"]


def make_small(folder, cd, step):
    disk = tools.make_disk(folder / "small.img", DISK_SIZE, "--level", "31")
    setup = Setup(ram_file=folder / "ram", ram_bytes=RAM_BYTES, disk=disk, cd=cd)
    machine, nonce, release = capture.start_victim(setup, step)
    with machine:
        capture.hang(machine)
        crash = capture.keep_truth(machine, folder / "truth", nonce, release)
    results = [capture.capture(folder, disk, crash, private=True) for _ in range(2)]
    assert [r.state for r in results] == ["complete"] * 2, results[-1].lines
    start, length = tools.dump_partition(disk)
    first, second = (dump_range(disk, number, start) for number in (1, 2))
    tools.getdump("clear", disk, "-n", 2)
    step(f"small machine: {results[1].lines[-2]}")
    return Small(crash, disk, (start, start + length), first, second[0], results[1].kept_pages)


def power_on(folder, disk, small, kind="nvme", **options):
    """A machine about to make a dump of @small's memory."""
    return capture.power_on(folder, disk, small.crash, private=True, controller=kind, **options)


def stats(machine):
    """Of the dump disk: what QEMU counts of it."""
    for disk in machine.qmp.command("query-blockstats"):
        if disk.get("node-name") == "dump":
            return disk["stats"]
    raise AssertionError("QEMU does not know the dump disk")


def throttle(machine, kind, name="dump", **limits):
    """Of the disk @name, of this kind: all are off but those given. A virtio disk's throttle is
    that of a device of its own."""
    names = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
    device = f"/machine/peripheral/{name}/virtio-backend" if kind.startswith("virtio") else name
    machine.qmp.command("block_set_io_throttle", QMP_TIMEOUT_S, id=device,
                        **{limit: limits.get(limit, 0) for limit in names})


def kinds(*sample):
    """For a test on each kind of disk: in the short run only on the @sample."""
    return KINDS if EVERYTHING else sample


def chance(*names):
    """Random numbers that are the same in every run, and others for every test."""
    return random.Random(f"{SEED} {' '.join(map(str, names))}")


# --- what must hold afterwards -------------------------------------------------------------


def same_bytes(left, right, start, end):
    with open(left, "rb") as a, open(right, "rb") as b:
        for at in range(start, end, MIB):
            count = min(MIB, end - at)
            if compare.read_at(a, at, count) != compare.read_at(b, at, count):
                return False
    return True


def check_untouched(disk, small):
    """Bit for bit: everything outside the partition, and the dump that was there before."""
    size = small.disk.stat().st_size
    assert disk.stat().st_size == size
    start, end = small.partition
    for name, first, last in (("before the partition", 0, start), ("behind it", end, size),
                              ("dump 1", *small.first)):
        assert same_bytes(disk, small.disk, first, last), name


def listed(disk):
    """Number and state of every dump, as getdump lists them."""
    text = tools.getdump("list", disk, expect=None).stdout
    return {int(words[0]): words[2] for words in map(str.split, text.splitlines()) if words}


def check_disk(disk, small):
    """All that must hold of a disk; what became of the new dump."""
    check_untouched(disk, small)
    states = listed(disk)
    done = tools.getdump("verify", disk, expect=None)
    assert done.returncode in (tools.DONE, tools.INCOMPLETE), done.stderr
    assert states[1] == "complete" and "dump 1: good" in done.stdout
    assert set(states) <= {1, 2, NUMBER} and states.get(2, "cleared").endswith("cleared")
    state = states.get(NUMBER, "none")
    good = re.search(rf"dump {NUMBER}: good, (\d+) chunks, (\d+) pages", done.stdout)
    part = re.search(rf"dump {NUMBER} is incomplete: .*; (\d+) chunks are good", done.stderr)
    assert state in {(True, False): ("complete",), (False, True): ("incomplete",),
                     (False, False): ("none",)}[bool(good), bool(part)], (states, done)
    if good:
        assert abs(int(good[2]) - small.kept_pages) <= MAX_CHANGED_HIGH
        return Verdict(state, int(good[1]), int(good[2]))
    return Verdict(state, int(part[1]) if part else 0, 0)


def check_true(disk, small, folder, number=NUMBER, lost=MAX_CHANGED_HIGH):
    """Every page that is in the dump is as it was in memory, but for @lost pages. How many there
    are."""
    raw = tools.extract(disk, "raw", Path(folder) / "raw", number, expect=None)
    count, wrong = 0, []
    with open(small.crash.ram, "rb") as ram:
        for pa, page in compare.data_pages(raw):
            count += 1
            if pa >= MIB and page != compare.read_at(ram, pa, compare.PAGE):
                wrong.append(pa // compare.PAGE)
    raw.unlink()
    assert len(wrong) <= lost, compare.ranges_text(wrong)
    return count


def check_complete(disk, small, result, folder):
    assert (result.state, result.number) == ("complete", NUMBER), result.lines
    assert check_disk(disk, small).state == "complete"
    assert check_true(disk, small, folder) > small.kept_pages // 2
