"""Automatic mode with a system that is no toy: Debian with systemd on its own disk, behind a dump
disk that comes first in the boot order. A clean end is passed on and not captured; a crash is
captured once, with nobody at the console, and the system is up again. test_auto_matrix.py has
all the ways down, long series, and the same with OVMF."""

from autorig import BIOS, HUNG, WATCHDOG, by_watchdog, crash, reboot


def test_watchdog_bios(auto_start, step):
    """A hang ends by itself in a dump and a running system; what follows in order does not."""
    rig, nonce = auto_start(BIOS, ordinary=True, extra=WATCHDOG)
    by_watchdog(rig)
    crash(rig, nonce, HUNG)
    step("captured and up again")
    decision, _ = reboot(rig)
    step(f"rebooted; the image took {decision.cpu_s:.2f} s")
