"""A survey from outside: follows the image through its cycles, and finds out without it which
pages firmware and image change between a reset and the end of a boot."""

import json
from dataclasses import dataclass

import compare
import tools

PAGE = compare.PAGE
BOOT_TIMEOUT_S = 120
RESET_TIMEOUT_S = 60


@dataclass(frozen=True)
class Survey:
    lines: tuple  # what the image said
    lost: tuple  # (first byte, end, reasons) of the record's ranges
    truth: frozenset  # pages that really changed in the last boot
    record: dict


def arm(disk, *options):
    tools.run("mkdumpdisk", *options, "--yes", disk)


def follow(machine, start, pattern, door="bios"):
    """One boot of the dump disk, whose console's text begins at @start, up to the image's own
    reset, at which the machine stands still; @pattern must be in what it says."""
    machine.wait_console(rf"^afterimage \S+ via {door}(?=\n)", BOOT_TIMEOUT_S, start)
    machine.freeze_at_reboot()
    machine.wait_console(pattern, BOOT_TIMEOUT_S, start)
    machine.wait_console(r"^afterimage: rebooting(?=\n)", RESET_TIMEOUT_S, start)
    assert machine.wait_end(RESET_TIMEOUT_S) == "guest-reset"
    machine.qmp.command("set-action", reboot="reset")


def run(machine, press, disk, usable, folder, cycles=2, door="bios"):
    """All cycles of an armed survey; press() lets the dump disk start for the first time.
    @usable: ranges of RAM, for the truth."""
    begin = start = len(machine.console())
    machine.boot_next("dump")
    for cycle in range(1, cycles + 1):
        press()
        press = machine.reset
        follow(machine, start, rf"^afterimage: survey: cycle {cycle} of {cycles}: \d+ MiB filled",
               door)
        start = len(machine.console())
    machine.save_ram(folder / "filled")
    press()
    follow(machine, start, r"^afterimage: survey: done: ", door)
    changed = compare.compare(folder / "filled", machine.setup.ram_file, usable)
    (folder / "filled").unlink()
    lines = [line for line in machine.console()[begin:].splitlines()
             if line.startswith("afterimage")]
    record = json.loads(tools.getdump("survey", disk, "--json").stdout)
    lost = tuple((int(r["start"], 16), int(r["end"], 16), tuple(r["why"]))
                 for r in record["ranges"])
    return Survey(tuple(lines), lost, frozenset(changed.low + changed.high), record)


def inside(page, ranges):
    return any(start <= page * PAGE and (page + 1) * PAGE <= end for start, end, *_ in ranges)
