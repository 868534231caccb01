"""The kexec door: a victim that has loaded the image for a panic, and what happens when it
panics."""

import time
from dataclasses import dataclass

import capture
import tools
import victim
from machine import Machine, MachineError, Setup

LOAD_TIMEOUT_S = 30
CALLS = {"kexec_load": "-c", "kexec_file_load": "-s"}  # kexec's option for each system call


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


def crash_and_capture(machine, how="crash", timeout_s=capture.CAPTURE_TIMEOUT_S):
    """Panics by the victim's command @how (None: somebody else did), and follows the image to
    its end."""
    start_at = len(machine.console())
    started = time.monotonic()
    if how:
        machine.type(how)
    return capture.watch_image(machine, started, start_at, timeout_s, door="linux")
