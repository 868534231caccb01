"""Automatic mode with Debian and systemd: long series of clean reboots, every way a machine can
go down, what is in order though it is no reboot, and what a disk and a clock can have done to
them in between. Takes long; see test_auto_systemd.py."""

import pytest

import autorig
import tools
from autorig import BIOS, HUNG, UEFI, WATCHDOG, WAYS, crash, reboot

CLEAN_REBOOTS = 20
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
