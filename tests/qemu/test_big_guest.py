"""A bigger guest: memory on both sides of 4 GiB, two processors, a real reset."""

import capture
import compare
import readers
import tools
import victim
from machine import GIB, MIB, Setup

RAM_BYTES = 4 * GIB + 512 * MIB
MAX_CHANGED_HIGH = 64


def test_memory_above_4_gib(kernel, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "6G", "--level", "1")
    cd = victim.make_cd(kernel, tmp_path)
    setup = Setup(ram_file=tmp_path / "ram", ram_bytes=RAM_BYTES, disk=disk, cd=cd, cpus=2)
    machine, nonce, release = capture.start_victim(setup, step)
    with machine:
        capture.hang(machine)
        crash = capture.keep_truth(machine, tmp_path / "truth", nonce, release)
        result = capture.reset_and_capture(machine)
    (tmp_path / "ram").unlink()
    step(result.lines[-2])
    assert result.state == "complete"
    assert any(end > 4 * GIB for _, end in crash.usable)
    raw = tools.extract(disk, "raw", tmp_path / "raw")
    found = compare.dump_against_ram(raw, crash.ram, crash)
    step("dump against the memory at the hang: " + found.describe())
    assert len(found.high) <= MAX_CHANGED_HIGH
    assert all(page * compare.PAGE < 4 * GIB for page in found.high)
    raw.unlink()
    kdump = tools.extract(disk, "kdump", tmp_path / "kdump")
    report = readers.drgn(kdump, kernel.vmlinux)
    assert {name for _, name in report["tasks"]} >= set(victim.PROCESSES)
    assert len(report["current"]) == 2
    assert any(nonce in line for line in report["log"])
