"""A machine that boots another disk first: the image asks its firmware for the boots that a
survey takes, and for no more."""

import capture
import surveying
import tools
import uefi
from machine import Machine, Setup

AGAIN = "afterimage: firmware will boot this disk once more, for the survey"
BOOT_S = 60
CYCLE_S = 120


def prefer_cd(machine):
    for index, device in enumerate(("cd", "dump"), 1):
        machine.qmp.command("qom-set", path=f"/machine/peripheral/{device}",
                            property="bootindex", value=index)


def test_boots_follow_each_other(kernel, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    surveying.arm(disk, "--survey=1")
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=uefi.make_cd(kernel, tmp_path),
                  extra=(*uefi.flash(tmp_path), "-S"))
    with Machine(setup) as machine:
        machine.boot_next("dump")
        machine.reset()
        machine.wait_console(r"^afterimage \S+ via uefi(?=\n)", BOOT_S)
        prefer_cd(machine)
        filled = machine.wait_console(r"^afterimage: survey: cycle 1 of 1: \d+ MiB filled",
                                      CYCLE_S).end()
        step("filled, restarting; the CD comes first now")
        machine.wait_console(r"^afterimage \S+ via uefi(?=\n)", BOOT_S, filled)
        done = machine.wait_console(r"^afterimage: survey: done: ", CYCLE_S, filled).end()
        step("done, restarting")
        capture.boot_victim(machine)
        text = machine.console()
    assert text[:filled].count(AGAIN) == 1
    assert AGAIN not in text[filled:]
    assert "via uefi" not in text[done:]
