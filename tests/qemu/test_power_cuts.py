"""Power cuts. QEMU is killed at random moments of a dump: what the guest's disk has taken is on it
then. And what a disk with a write cache may do: of what was written since the last flush any
part can be lost, and the rest is there in any order."""

import re
import time

import pytest

import capture
import faults
import writelog

CUTS = 67 if faults.EVERYTHING else 3  # of each kind
STATES = 300 if faults.EVERYTHING else 16
HELLO = r"^afterimage \S+ via bios(?=\n)"
MAX_SHARE = 1.05  # of a dump's bytes: about one cut in ten comes after its end
GUESS = 0.75  # of the bytes that it has on a fast disk
MAX_DELAY_S = 0.02
POLL_S = 0.002
BYTES_S = 32 << 20  # so slow that a cut hits what it is aimed at
TRUE_EVERY = 8  # of how many cuts one has its pages compared


def cut(small, folder, kind, target_bytes, delay_s):
    """Once the disk has taken @target_bytes, and a little later. The disk, what it has taken, and
    the console's text at the end."""
    disk = small.copy(folder)
    with faults.power_on(folder, disk, small, kind) as machine:
        machine.wait_console(HELLO, capture.BOOT_TIMEOUT_S)
        machine.freeze_at_reboot()
        faults.throttle(machine, kind, bps_wr=BYTES_S)
        deadline = time.monotonic() + capture.CAPTURE_TIMEOUT_S
        while ((taken := faults.stats(machine)["wr_bytes"]) < target_bytes
               and not re.search(capture.ACTION, machine.console(), re.M)):
            assert time.monotonic() < deadline, machine.console()
            time.sleep(POLL_S)
        time.sleep(delay_s)
        machine.kill()
        return disk, taken, machine.console()


def check_cut(disk, small, console):
    """What the console said and what the disk holds; which of them it was."""
    verdict = faults.check_disk(disk, small)
    if f"afterimage: dump {faults.NUMBER} complete" in console:
        assert verdict.state == "complete", "the console said complete"
        return "after", verdict
    return ("before" if verdict.state == "none" else "middle"), verdict


@pytest.mark.parametrize("kind", faults.KINDS)
def test_power_cut_at_random(kind, small, tmp_path, step):
    chance = faults.chance("cut", kind)
    counts, chunks, middle = {}, [], 0
    whole = GUESS * (small.first[1] - small.first[0])
    for i in range(CUTS):
        disk, taken, console = cut(small, tmp_path, kind, whole * chance.uniform(0, MAX_SHARE),
                                   chance.uniform(0, MAX_DELAY_S))
        moment, verdict = check_cut(disk, small, console)
        middle += moment == "middle"
        if moment == "after":  # the slower the disk, the more is packed
            whole = taken
        key = f"{moment} the dump, {verdict.state}"
        counts[key] = counts.get(key, 0) + 1
        chunks.append(verdict.chunks)
        if i % TRUE_EVERY == 0 and verdict.chunks:
            faults.check_true(disk, small, tmp_path)
    step(f"{kind}, seed {faults.SEED}, {CUTS} power cuts: "
         f"{dict(sorted(counts.items()))}, chunks {sorted(chunks)}")
    assert middle >= CUTS // 2


@pytest.mark.parametrize("kind", faults.kinds("nvme"))
def test_write_cache_lost(kind, small, tmp_path, step):
    """One dump's writes and flushes are recorded; the disk's state is built anew for each of many
    moments and each choice of what the cache still held."""
    disk = small.copy(tmp_path)
    layer, log = writelog.layer(tmp_path)
    with faults.power_on(tmp_path, disk, small, kind, layers=(layer,), flush=True) as machine:
        result = capture.watch_image(machine, machine.started)
    faults.check_complete(disk, small, result, tmp_path)
    entries = writelog.read(log)
    flushes = sum(e.flush for e in entries)
    work = writelog.Replay(small.disk, tmp_path / "work.img", entries)
    work.flushed()  # nothing of it was in the cache only when the console called it complete
    assert faults.check_disk(work.path, small).state == "complete"
    counts = {}
    for i in range(STATES):
        torn = work.cut(faults.chance("cache", kind, i))
        verdict = faults.check_disk(work.path, small)
        key = f"{verdict.state}{', torn' if torn else ''}"
        counts[key] = counts.get(key, 0) + 1
        if i % TRUE_EVERY == 0 and verdict.chunks:
            faults.check_true(work.path, small, tmp_path)
    step(f"{kind}, seed {faults.SEED}: {len(entries) - flushes} writes, {flushes} flushes; "
         f"{STATES} states: {dict(sorted(counts.items()))}")
    assert any(key.startswith("incomplete") for key in counts)
    assert any(key.endswith("torn") for key in counts)
