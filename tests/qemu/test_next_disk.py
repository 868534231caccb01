"""A dump disk that is pulled in the middle of a dump: what it has by then stays a valid, shorter
dump, and the dump begins anew on another dump disk, if there is one.

QEMU takes a device away only if the guest lets go of it: device_del asks. The guest's part is
done from outside, at the ports of QEMU's ACPI hotplug (docs/specs/acpi_pci_hotplug.rst there):
after it the device is gone at once, its requests in flight with it."""

import time

import pytest

import capture
import faults
import tools
from machine import MIB, Disk

E_DEVICE_GONE = 23
PULL_AT_BYTES = 4 * MIB
SLOW_BYTES_S = 8 * MIB  # so that it is not over before it is pulled
PULL_TIMEOUT_S = 60
# Of q35; which slots of the bus that was selected shall be let go of, and eject them.
DOWN_PORT, EJECT_PORT, SELECT_PORT = 0xcc4, 0xcc8, 0xcd0
BUSES = 4
PULLED = ["nvme-slot", "virtio-slot"]
NEXT = [(kind, second) for kind in PULLED for second in faults.KINDS]
ALONE = PULLED
if not faults.EVERYTHING:
    NEXT, ALONE = [("nvme-slot", "ahci")], ["virtio-slot"]


def monitor(machine, line):
    return machine.qmp.command("human-monitor-command", **{"command-line": line})


def pull(machine):
    """Takes the dump disk out of the stopped machine."""
    machine.qmp.command("device_del", id="dump")
    for bus in range(BUSES):
        monitor(machine, f"o /w {SELECT_PORT:#x} {bus}")
        down = int(monitor(machine, f"i /w {DOWN_PORT:#x}").split("=")[1], 0)
        if down:
            monitor(machine, f"o /w {EJECT_PORT:#x} {down}")
    assert 'id "dump"' not in monitor(machine, "info pci")


@pytest.fixture
def pulled(small, tmp_path, step):
    """pulled(kind, *others): the disk that was pulled, and what the image said."""
    def run(kind, *others):
        disk = small.copy(tmp_path)
        with capture.power_on(tmp_path, disk, small.crash, controller=kind,
                              others=others) as machine:
            faults.throttle(machine, kind, bps_wr=SLOW_BYTES_S)
            deadline = time.monotonic() + PULL_TIMEOUT_S
            while faults.stats(machine)["wr_bytes"] < PULL_AT_BYTES:
                assert time.monotonic() < deadline, machine.console()
                time.sleep(0.02)
            machine.stop()
            pull(machine)
            machine.cont()
            result = capture.watch_image(machine, machine.started)
        step(f"{kind}, then {[other.controller for other in others]}: {result.lines[-2]}")
        return disk, result
    return run


def check_pulled(disk, small, folder):
    """Valid, shorter, true, and what was there before untouched; its bytes."""
    verdict = faults.check_disk(disk, small)
    assert verdict.state == "incomplete" and verdict.chunks > 10
    assert faults.check_true(disk, small, folder) > PULL_AT_BYTES // 4096 // 2


@pytest.mark.parametrize("kind,second", NEXT)
def test_begins_anew_on_another_disk(kind, second, small, pulled, tmp_path):
    other = tools.make_disk(tmp_path / "other.img", faults.DISK_SIZE, "--level", "31")
    disk, result = pulled(kind, Disk(other, second, name="other"))
    assert (result.state, result.number, result.action) == ("complete", 1, "rebooting")
    why = [line for line in result.lines if f": E{E_DEVICE_GONE} " in line]
    assert len(why) == 1 and f"dump {faults.NUMBER} stays incomplete there, " in why[0]
    at = result.lines.index(why[0])
    assert result.lines[at + 1] == "afterimage: beginning again on another disk"
    assert result.lines[at + 2].startswith(f"afterimage: dump disk {second} ")
    check_pulled(disk, small, tmp_path)
    found = tools.info(other)["dump"]
    assert found["state"] == "complete" and found["number"] == 1
    assert any(text.startswith("another dump disk failed before") for text in found["degraded"])
    tools.getdump("verify", other)
    assert abs(result.kept_pages - small.kept_pages) <= faults.MAX_CHANGED_HIGH
    assert faults.check_true(other, small, tmp_path, 1) > small.kept_pages // 2


@pytest.mark.parametrize("kind", ALONE)
def test_there_is_no_other_disk(kind, small, pulled, tmp_path):
    """The one result line says what happened, and how much there is."""
    disk, result = pulled(kind)
    assert (result.state, result.number, result.code) == ("incomplete", faults.NUMBER,
                                                          E_DEVICE_GONE)
    assert not any("another disk" in line for line in result.lines)
    check_pulled(disk, small, tmp_path)
    assert result.written_bytes > PULL_AT_BYTES // 2
