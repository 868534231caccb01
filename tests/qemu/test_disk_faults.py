"""Disks that fail: errors from QEMU's blkdebug at chosen and at random sectors, for ever and
once, on each kind of controller, and disks that take seconds for a write. Each ends in a dump
that is complete, or one that is closed early and readable; what was on the disk before is
untouched."""

import time

import pytest

import capture
import faults
import tools
from machine import MIB

E_WRITE = 27
EIO = 5
BLOCK = 512
ONCE = 12 if faults.EVERYTHING else 5  # sectors of one run
SLOT = MIB  # they lie so far apart that no command has two of them, merged ones neither
RANDOM_RUNS = 12 if faults.EVERYTHING else 1
DELAY_S = 4 if faults.EVERYTHING else 2


def rule(iotype, **more):
    return {"event": "none", "iotype": iotype, "errno": EIO, **more}


def failed_commands(machine):
    """Of the dump disk: how many each of write, flush and read."""
    stats = faults.stats(machine)
    return {name: stats[f"failed_{name}_operations"] for name in ("wr", "flush", "rd")}


@pytest.fixture
def run(small, tmp_path, step):
    """run(kind, *rules): a dump on a disk with these errors; disk, result, failed commands."""
    def run_it(kind, *rules):
        disk = small.copy(tmp_path)
        layer = {"driver": "blkdebug", "inject-error": list(rules)}
        with faults.power_on(tmp_path, disk, small, kind, layers=(layer,), flush=True) as machine:
            result = capture.watch_image(machine, machine.started)
            failed = failed_commands(machine)
        step(f"{kind}: {result.lines[-2]}; failed commands {failed}")
        return disk, result, failed
    return run_it


def check_part(disk, small, result, folder):
    """Closed early: what is said to be safe is there, and true."""
    assert (result.state, result.code) == ("incomplete", E_WRITE), result.lines
    verdict = faults.check_disk(disk, small)
    assert verdict.state == "incomplete"
    assert result.written_bytes == tools.info(disk, faults.NUMBER)["dump"]["bytes"]
    return faults.check_true(disk, small, folder)


@pytest.mark.parametrize("kind", faults.kinds("ahci", "virtio"))
def test_sectors_that_can_not_be_written(kind, small, run, tmp_path):
    """Somewhere in the dump, for ever: the dump ends before it. On NVMe at one place by default:
    test_disk_states.py."""
    chance = faults.chance("write", kind)
    for _ in range(RANDOM_RUNS):
        mib = chance.randrange(1, 20)
        bad = (small.target + mib * MIB) // BLOCK + chance.randrange(MIB // BLOCK)
        disk, result, failed = run(kind, rule("write", sector=bad))
        if kind == "nvme":  # QEMU merges virtio's, and does not count SATA's queued ones
            assert failed["wr"] == 2  # sent once more, and no more
        check_part(disk, small, result, tmp_path)
        assert (mib - 2) * MIB < result.written_bytes < (mib + 1) * MIB + BLOCK


@pytest.mark.parametrize("kind", faults.KINDS)
def test_errors_that_happen_once(kind, small, run, tmp_path):
    """At random sectors, the first one and in the superblock: each command is sent again."""
    chance = faults.chance("once", kind)
    slots = [small.target + SLOT * n for n in chance.sample(range(1, 20 * MIB // SLOT), ONCE)]
    sectors = [(at + chance.randrange(SLOT // 2)) // BLOCK for at in slots]
    rules = [rule("write", sector=n, once=True) for n in (small.target // BLOCK, *sectors)]
    rules.append(rule("read", sector=small.partition[0] // BLOCK, once=True))
    disk, result, failed = run(kind, *rules)
    assert failed["wr"] + failed["rd"] > ONCE
    faults.check_complete(disk, small, result, tmp_path)
    assert not tools.info(disk, faults.NUMBER)["dump"]["degraded"]


@pytest.mark.parametrize("kind", faults.kinds("ahci"))
def test_flush_that_fails(kind, small, run):
    """Nothing is said to be safe that may be in the disk's cache only. Once is enough: a disk drops
    what it could not keep, and the next flush does without it."""
    disk, result, _ = run(kind, rule("flush", once=True))
    assert result.state in ("none", "incomplete") and result.code == E_WRITE, result.lines
    assert faults.check_disk(disk, small).state in ("none", "incomplete")


@pytest.mark.parametrize("kind", faults.kinds("virtio"))
def test_first_superblock_can_not_be_read(kind, small, run):
    """The last one serves, and the dump says so."""
    disk, result, _ = run(kind, rule("read", sector=small.partition[0] // BLOCK))
    assert result.state == "complete", result.lines
    assert faults.check_disk(disk, small).state == "complete"
    assert tools.info(disk, faults.NUMBER)["dump"]["degraded"]


@pytest.mark.parametrize("kind", faults.kinds("ahci"))
def test_disk_that_takes_seconds(kind, small, tmp_path, step):
    """In the middle of a dump a write takes seconds: the image waits."""
    disk = small.copy(tmp_path)
    blocks = disk.stat().st_blocks
    with faults.power_on(tmp_path, disk, small, kind) as machine:
        machine.wait_console(r"^afterimage: kernel ", capture.BOOT_TIMEOUT_S)
        faults.throttle(machine, kind, iops=1)
        time.sleep(DELAY_S)
        assert "dump 3" not in machine.console()
        faults.throttle(machine, kind)
        result = capture.watch_image(machine, machine.started)
    step(f"{kind}: {result.lines[-2]}; {disk.stat().st_blocks - blocks} blocks more")
    assert result.image_ms > (DELAY_S - 1) * 1000
    faults.check_complete(disk, small, result, tmp_path)
