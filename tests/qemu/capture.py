"""The whole story in steps: boot the victim, hang it, keep its memory as the truth, press
reset, let the dump disk capture. Captures can be repeated from the kept memory without
booting the victim again: a machine that starts with those bytes in its RAM runs the same
firmware and the same image over the same memory."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import tools
from machine import GIB, Machine, MachineError, Setup

BOOT_ATTEMPTS = 3
BOOT_TIMEOUT_S = 90
CAPTURE_TIMEOUT_S = 120
END_TIMEOUT_S = 60
SILENCE_S = 1.0
PROMPT = "afterimage-test: "

RESULT = (r"^afterimage: (?:dump (?P<number>\d+) (?P<state>complete|incomplete): (?P<rest>.*)"
          r"|no dump: (?P<none>.*))(?=\n)")
ACTION = r"^afterimage: (rebooting|powering off|halted)(?=\n)"
COMPLETE = r"(\d+) pages kept of (\d+), (\d+) bytes written, (\d+) ms"
MARK_SECTOR = bytes.fromhex("baf803b021eefaf4ebfd")  # prints '!', then stands still


@dataclass(frozen=True)
class Crash:
    """A hung machine's memory, and what is known of it from outside."""
    ram: Path
    ram_bytes: int
    nonce: str
    release: str
    usable: tuple  # ranges (first byte, end) of RAM by the firmware's map, as Linux logged it
    console: str


@dataclass(frozen=True)
class Capture:
    """What the image said. @state is complete, incomplete or none."""
    state: str
    number: int | None
    code: int  # of E<code>, 0 if complete
    reason: str
    kept_pages: int | None
    ram_pages: int | None
    written_bytes: int | None
    image_ms: int | None
    action: str
    ended: str  # QEMU's reason for the end
    hello_s: float  # from the reset or the power button to the first line, by our clock
    seconds: float  # likewise to the result line
    lines: tuple


def parse_usable(console):
    found = re.findall(r"BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] +(?:usable|System RAM)$",
                       console, re.M)
    return tuple((int(first, 16), int(last, 16) + 1) for first, last in found)


def boot_victim(machine):
    """Until the victim waits for commands; returns its nonce and release."""
    ready = machine.wait_console(rf"^{PROMPT}ready (\S+) (\S+)(?=\s)", BOOT_TIMEOUT_S)
    return ready[1], ready[2]


def start_victim(setup, step=lambda text: None):
    """A machine whose victim is ready. The emulator is known to break one boot in some with
    several CPUs; only such a boot, before the victim is ready, is repeated."""
    for attempt in range(1, BOOT_ATTEMPTS + 1):
        for file in setup.ram_files():
            file.unlink(missing_ok=True)
        machine = Machine(setup)
        try:
            machine.boot_next("cd")
            nonce, release = boot_victim(machine)
            return machine, nonce, release
        except MachineError as error:
            machine.close()
            if attempt == BOOT_ATTEMPTS:
                raise
            step(f"the victim did not boot ({str(error).splitlines()[0]}); again")
        except BaseException:
            machine.close()
            raise


def hang(machine):
    """Hangs the victim and makes sure that nobody answers any more."""
    machine.type("hang")
    machine.wait_console(rf"^{PROMPT}hanging now", 20)
    time.sleep(SILENCE_S)
    start = len(machine.console())
    machine.type("say alive")
    time.sleep(SILENCE_S)
    said = machine.console()[start:]  # the kernel may still print: interrupts are served
    if f"{PROMPT}alive" in said:
        raise MachineError("the victim still answers: " + said)


def keep_truth(machine, target, nonce, release):
    """Stops the hung machine and keeps its memory."""
    machine.stop()
    machine.save_ram(target)
    console = machine.console()
    return Crash(Path(target), machine.setup.ram_bytes, nonce, release, parse_usable(console),
                 console)


def parse_result(found):
    """State, number, code, reason and counts of a result line."""
    if found["none"] is not None:
        failure = re.fullmatch(r"E(\d+) (.*)", found["none"])
        if not failure:
            raise MachineError(f"odd result line: {found[0]}")
        return "none", None, int(failure[1]), failure[2], (None,) * 4
    number = int(found["number"])
    if found["state"] == "complete":
        counts = re.fullmatch(COMPLETE, found["rest"])
        if not counts:
            raise MachineError(f"odd result line: {found[0]}")
        return "complete", number, 0, "", tuple(map(int, counts.groups()))
    failure = re.fullmatch(r"E(\d+) (.*); (\d+) bytes safe", found["rest"])
    if not failure:
        raise MachineError(f"odd result line: {found[0]}")
    counts = (None, None, int(failure[3]), None)
    return "incomplete", number, int(failure[1]), failure[2], counts


def watch_image(machine, started, start=0, timeout_s=CAPTURE_TIMEOUT_S, door="bios"):
    """Follows the image from its first line to the machine's end; @started is when the reset
    or power button was pressed, @start where the console's text is the image's."""
    machine.wait_console(rf"^afterimage \S+ via {door}(?=\n)", BOOT_TIMEOUT_S, start)
    hello_s = time.monotonic() - started
    machine.freeze_at_reboot()
    found = machine.wait_console(RESULT, timeout_s, start)
    seconds = time.monotonic() - started
    action = machine.wait_console(ACTION, END_TIMEOUT_S, start)[1]
    ended = "halted" if action == "halted" else machine.wait_end(END_TIMEOUT_S)
    text = machine.console()[start:]
    results = re.findall(RESULT, text, re.M)
    if len(results) != 1:
        raise MachineError(f"{len(results)} result lines instead of one")
    lines = tuple(line for line in text.splitlines() if line.startswith("afterimage"))
    state, number, code, reason, counts = parse_result(found)
    return Capture(state, number, code, reason, *counts, action, ended, hello_s, seconds, lines)


def reset_and_capture(machine, timeout_s=CAPTURE_TIMEOUT_S, door="bios"):
    """The reset button, and the image to its end."""
    machine.boot_next("dump")
    start = len(machine.console())
    started = time.monotonic()
    machine.reset()
    return watch_image(machine, started, start, timeout_s, door)


def power_on(folder, disk, crash=None, **options):
    """A machine about to boot the dump disk, with the victim's memory or, without one, empty.
    With private=True it makes no copy of the memory, and what it writes there can not be seen."""
    if options.get("private"):
        return Machine(Setup(ram_file=crash.ram, ram_bytes=crash.ram_bytes, disk=disk, **options))
    ram = Path(folder) / "ram"
    ram.unlink(missing_ok=True)
    if crash:
        tools.copy(crash.ram, ram)
    size = crash.ram_bytes if crash else options.pop("ram_bytes", GIB)
    return Machine(Setup(ram_file=ram, ram_bytes=size, disk=disk, **options))


def capture(folder, disk, crash=None, ram_after=None, **options):
    """One capture from kept memory; @ram_after: keep the RAM as the image left it."""
    with power_on(folder, disk, crash, **options) as machine:
        result = watch_image(machine, machine.started)
        if ram_after:
            machine.save_ram(ram_after)
    return result


def firmware_only(folder, disk, crash, target):
    """The victim's memory after firmware has run up to a boot sector that does nothing, on a
    copy of @disk: what firmware alone overwrites."""
    marked = tools.copy(disk, Path(folder) / "marked.img")
    tools.write_bytes(marked, 0, MARK_SECTOR)
    with power_on(folder, marked, crash) as machine:
        machine.wait_console("!", 20)
        machine.stop()
        machine.save_ram(target)
    marked.unlink()
    return Path(target)
