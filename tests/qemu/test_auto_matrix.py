"""Automatic mode with Debian and systemd: long series of clean reboots, every way a machine can
go down, what is in order though it is no reboot, and what a disk and a clock can have done to
them in between. Takes long; see test_auto_systemd.py."""

import re
import subprocess
import time

import pytest

import autorig
import faults
import tools
from autorig import BIOS, HUNG, UEFI, WATCHDOG, WAYS, crash, reboot

from machine import MIB, Disk

CLEAN_REBOOTS = 20
STUBBORN_S = 15
SLOW_BYTES_S = 4 * MIB
CUT_AT_BYTES = 4 * MIB
FIRMWARE = (BIOS, UEFI)


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_clean_reboots(firmware, auto_start, step):
    rig, _ = auto_start(firmware)
    took = [reboot(rig)[0].cpu_s for _ in range(CLEAN_REBOOTS)]
    assert rig.dumps() == []
    step(f"{firmware}: {len(took)} reboots, the image took {min(took):.2f} to {max(took):.2f} s")


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_every_crash(firmware, auto_start, step):
    """One after the other, each followed by a reboot in order."""
    rig, nonce = auto_start(firmware, ordinary=True, extra=WATCHDOG)
    for way, why in WAYS:
        way(rig)
        crash(rig, nonce, why)
        _, nonce = reboot(rig)
        step(f"{firmware}: {way.__name__}")
    assert len(rig.dumps()) == len(WAYS)


def wait_down(rig, words):
    """The kernel's last words, then the reset button."""
    rig.wait_console(words, 60, rig.seen)
    rig.press_reset()


def power_off(rig):
    """Memory outlives a power cut this short."""
    rig.reboot("systemctl poweroff")
    rig.wait_end(60)
    rig.press_reset()


def halt(rig):
    rig.reboot("systemctl halt")
    wait_down(rig, "reboot: System halted")


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_orderly_ends(firmware, auto_start, step):
    """Off, halted, another kernel by kexec and that one restarted: nothing is captured."""
    rig, _ = auto_start(firmware)
    for way in (power_off, halt):
        way(rig)
        decision, _ = rig.up_again()
        assert decision.line.endswith(autorig.ORDERLY)
        step(f"{firmware}: {way.__name__}")
    rig.do('kexec -s -l /boot/vmlinuz --append="$(cat /proc/cmdline)"')
    rig.reboot("systemctl kexec")
    rig.wait_ready()
    step(f"{firmware}: another kernel runs")
    reboot(rig)
    assert rig.dumps() == []


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_hanging_shutdown(firmware, auto_start, step):
    """A service does not stop; somebody presses reset. Then the same with nothing to stop it."""
    rig, nonce = auto_start(firmware)
    rig.do(autorig.STUBBORN)
    rig.reboot()
    time.sleep(STUBBORN_S)
    assert "Restarting system" not in rig.console()[rig.seen:]
    rig.press_reset()
    crash(rig, nonce, HUNG)
    step(f"{firmware}: captured")
    reboot(rig)
    assert len(rig.dumps()) == 1


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_clock_set_back(firmware, auto_start, step):
    """Two crashes, a quarter of a century apart in the wrong direction: two dumps."""
    rig, nonce = auto_start(firmware)
    autorig.by_sysrq(rig)
    crash(rig, nonce, autorig.SYSRQ)
    rig.reboot("systemctl poweroff")
    rig.wait_end(60)
    rig.close()
    step(f"{firmware}: the first is captured; the clock goes back")
    rig, nonce = auto_start(firmware, disk=rig.dump, extra=("-rtc", "base=2001-09-09T01:46:40"))
    assert rig.dumps() == [1]  # systemd moves its own clock on, the image's is the hardware's
    autorig.by_sysrq(rig)
    crash(rig, nonce, autorig.SYSRQ)
    reboot(rig)
    assert rig.dumps() == [1, 2]
    last = tools.info(rig.dump)["dump"]
    assert last["number"] == 2 and last["time"].startswith("2001-09-09T01:")


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_cut_captures(firmware, auto_start, step):
    """The reset button in the middle of the capture: what memory holds is captured once more.
    After two of them nobody waits for a third."""
    rig, nonce = auto_start(firmware)
    autorig.by_reset(rig)
    cut_capture(rig)
    crash(rig, nonce, HUNG)
    assert rig.dumps() == [1, 2]
    step(f"{firmware}: the second attempt succeeded")
    _, nonce = reboot(rig)
    autorig.by_reset(rig)
    cut_capture(rig)
    cut_capture(rig)
    decision, _ = rig.up_again()
    assert decision.line.startswith("afterimage: automatic: not captured, booting on: E70 ")
    step(f"{firmware}: no third attempt")
    reboot(rig)
    assert rig.dumps() == [1, 2, 3, 4]


def cut_capture(rig):
    """Follows a capture into its middle, on a slow disk, and presses reset."""
    faults.throttle(rig, "nvme", bps_wr=SLOW_BYTES_S)
    assert rig.decision().way == "capture"
    before = faults.stats(rig)["wr_bytes"]
    deadline = time.monotonic() + autorig.BOOT_TIMEOUT_S
    while faults.stats(rig)["wr_bytes"] < before + CUT_AT_BYTES:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "afterimage: dump" not in re.sub("dump disk", "", rig.console()[rig.seen:])
    rig.press_reset()
    faults.throttle(rig, "nvme")


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_two_dump_disks(firmware, auto_start, tmp_path, step):
    """Both before the system's disk. The BIOS door boots on past other dump disks. UEFI's boot
    manager starts the second one, which knows its own dumps only: it takes the crash once, too."""
    second = tools.make_disk(tmp_path / "second.img", "1G", "--auto")
    rig, _ = auto_start(firmware, others=(Disk(second, "ahci", name="second",
                                               words=",bootindex=2"),))
    _, nonce = reboot(rig)
    assert tools.dumps(second) == []
    autorig.by_sysrq(rig)
    crash(rig, nonce, autorig.SYSRQ)
    wanted = [] if firmware == BIOS else [1]
    assert tools.dumps(second) == wanted
    step(f"{firmware}: captured on {1 + len(wanted)} disks")
    reboot(rig)
    assert rig.dumps() == [1] and tools.dumps(second) == wanted


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_no_dump_partition(firmware, auto_start, tmp_path, step):
    """It was deleted: that is said, and the system boots."""
    disk = tools.make_disk(tmp_path / "dump.img", "1G", "--auto")
    place = tools.dump_partition(disk)
    before = tools.read_bytes(disk, *place)
    subprocess.run(["/usr/sbin/sfdisk", "-q", "--delete", disk, "3"], check=True, timeout=60)
    with pytest.raises(tools.ToolError):
        tools.dump_partition(disk)
    rig, _ = auto_start(firmware, disk=disk)
    reboot(rig)
    autorig.by_sysrq(rig)
    rig.wait_ready()
    step(re.findall(autorig.AUTOMATIC, rig.console(), re.M)[-1])
    rig.reboot()
    rig.up_again()
    assert tools.read_bytes(disk, *place) == before
