"""The kexec door: a victim that has loaded the image for a panic, what it says of the memory
it set aside, ways to make it panic, and what happens then."""

import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import capture
import compare
import tools
import victim
from machine import Machine, MachineError, ram_offset

LOAD_TIMEOUT_S = 90
ASK_TIMEOUT_S = 60
NMI_REPEATS, NMI_WAIT_S = 10, 2
CALLS = {"kexec_load": "-c", "kexec_file_load": "-s"}  # kexec's option for each system call
SETUP_BYTES = 1024  # of the file, before what is loaded
ENTRY64 = 0x200  # of what is loaded
ALIGN_BYTES = 1 << 20
PAGE = compare.PAGE
OWN_BYTES = 1 << 20  # what the header asks for
CRASH_KEXEC_BYTES = 0x400  # of the kernel's function that leaves the panicking CPU's registers
GRUB_CONFIG = """\
set timeout=0
linux /afterimage.bzimage {words}
boot
"""
RUNS = re.compile(r"^afterimage \S+ via ", re.M)


@dataclass(frozen=True)
class Loaded:
    """A running victim that a panic will take to the image."""
    machine: Machine
    nonce: str
    release: str


def make_cd(kernel, folder, crashkernel="16M", cmdline="", **options):
    """The victim's CD with the image on it and memory reserved."""
    return victim.make_cd(kernel, folder, f"crashkernel={crashkernel} {cmdline}".strip(),
                          image=tools.program("afterimage.bzimage"), **options)


def make_grub_cd(folder, words=""):
    """A CD whose GRUB starts the image as it starts a kernel, with @words for it."""
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        shutil.copy(tools.program("afterimage.bzimage"), temp)
        return victim.make_grub_cd(Path(temp), GRUB_CONFIG.format(words=words),
                                   Path(folder) / "grub.iso")


def load(machine, call, words=""):
    """Loads the image by system call @call with @words on its command line. The loader's own
    words if that failed, else an empty text."""
    start = len(machine.console())
    machine.type(f"load {CALLS[call]} {words}")
    found = machine.wait_console(rf"^{capture.PROMPT}image (not )?loaded", LOAD_TIMEOUT_S, start)
    return machine.console()[start:] if found[1] else ""


def start(setup, call, words="", step=lambda text: None):
    """A victim with the image loaded."""
    machine, nonce, release = capture.start_victim(setup, step)
    try:
        if said := load(machine, call, words):
            raise MachineError("the image was not loaded:\n" + said)
    except BaseException:
        machine.close()
        raise
    return Loaded(machine, nonce, release)


# --- what the victim knows ---------------------------------------------------------------


def ask(machine, command):
    """What a command of the victim prints."""
    start = len(machine.console())
    machine.type(f"{command}; say answered")
    end = machine.wait_console(rf"^{capture.PROMPT}answered", ASK_TIMEOUT_S, start)
    return machine.console()[start:end.start()]


def ranges(machine, name):
    """Of /proc/iomem, the ranges @name: first byte and end."""
    found = re.findall(rf"^ *([0-9a-f]+)-([0-9a-f]+) : {name}$", ask(machine, "cat /proc/iomem"),
                       re.M)
    return [(int(first, 16), int(end, 16) + 1) for first, end in found]


def address(machine, name):
    """Of a symbol of the victim's kernel."""
    found = re.search(rf"^([0-9a-f]+) \w {name}$", ask(machine, f"grep ' {name}$' /proc/kallsyms"),
                      re.M)
    if not found:
        raise MachineError(f"the victim's kernel has no symbol {name}")
    return int(found[1], 16)


def reserved(machine):
    """The memory that crashkernel= set aside; below 4 GiB and above it there can be both."""
    found = ranges(machine, "Crash kernel")
    if not found:
        raise MachineError("the victim has reserved no memory")
    return found


def image_pa(setup, regions):
    """Where the loaded image lies in the stopped machine: loaders put it where it will run."""
    data = tools.program("afterimage.bzimage").read_bytes()
    first_page = data[SETUP_BYTES:SETUP_BYTES + PAGE]
    places = []
    with open(setup.ram_file, "rb") as ram:
        for start, end in regions:
            for pa in range(-(-start // ALIGN_BYTES) * ALIGN_BYTES, end, ALIGN_BYTES):
                ram.seek(ram_offset(pa, setup.ram_bytes))
                if ram.read(PAGE) == first_page:
                    places.append(pa)
    if len(places) != 1:
        raise MachineError(f"the image is in {len(places)} places of the reserved memory")
    return places[0]


def registers_line(cpus):
    """What the image says when all processors left their registers."""
    return f"afterimage: registers of {cpus} processor{'s' if cpus > 1 else ''}"


# --- panics ------------------------------------------------------------------------------


def by_command(command):
    """A panic that the victim brings on itself: a command of its init."""
    return lambda machine: machine.type(command)


def by_break(machine):
    """Sysrq on the serial console: the panic is in the interrupt of the port."""
    ask(machine, "echo 1 >/proc/sys/kernel/sysrq")
    machine.qmp.command("chardev-send-break", id="console")
    machine.send(b"c")


def by_nmi(machine):
    """The button of an administrator whose machine hangs, pressed until the image runs or a
    breakpoint before that stops the machine."""
    ask(machine, "echo 1 >/proc/sys/kernel/unknown_nmi_panic")
    for _ in range(NMI_REPEATS):
        machine.qmp.command("inject-nmi")
        end = time.monotonic() + NMI_WAIT_S
        while time.monotonic() < end:
            if not machine.running() or RUNS.search(machine.console()):
                return
            time.sleep(0.05)


def crash_and_capture(machine, how=by_command("crash"), timeout_s=capture.CAPTURE_TIMEOUT_S):
    """Panics by @how and follows the image to its end."""
    start_at = len(machine.console())
    started = time.monotonic()
    how(machine)
    return follow_image(machine, start_at, started, timeout_s)


def follow_image(machine, start_at, started=None, timeout_s=capture.CAPTURE_TIMEOUT_S):
    """From its first line, somewhere in the console's text from @start_at on, to its end."""
    return capture.watch_image(machine, started or time.monotonic(), start_at, timeout_s,
                               door="linux")
