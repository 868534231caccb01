"""The guests that the page filter is tested on, and one guest's story: a victim with memory
of every kind is hung, its memory kept, and its machine reset into a capture at level 31."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import capture
import excluded
import matrix_kernels
import newest
import tools
import victim
import vmcore
from kernels import Kernel
from machine import GIB, MIB, MachineError, Setup

BIG = 4 * GIB + 512 * MIB
FIVE_LEVELS_FROM = (6, 1)  # Debian's cloud kernels are built for it since then
FILL_MIB = 64
BALLOON_MIB = 24
CLASSES_TIMEOUT_S = 120
LIMIT_S = 600  # of the whole machine
DISK_SIZE = "4G"


@dataclass(frozen=True)
class Guest:
    suite: str
    cpu_model: str = "qemu64"
    ram_bytes: int = GIB
    nodes: int = 1

    def __str__(self):
        return (f"{self.suite}-{self.ram_bytes / GIB:g}GiB-{self.nodes}node"
                f"-{'capable' if self.cpu_model == 'max' else 'plain'}")


FEW = (Guest("bullseye"), Guest("sid", "max"))  # the oldest and the newest
ALL = (*FEW, Guest("bookworm"), Guest("trixie"), Guest("sid"),
       *(Guest(suite, "max", BIG, 2) for suite in matrix_kernels.SUITES))


def everything():
    return os.environ.get("AFTERIMAGE_MATRIX") == "all"


def guests():
    return ALL if everything() else FEW


def full_level(guest):
    """Of the dump that is filtered later: with zero pages only where that takes no minutes."""
    return 0 if everything() and guest.ram_bytes == GIB else 1


@dataclass(frozen=True)
class Scene:
    """What a guest's story left behind, all in @folder."""
    guest: Guest
    kernel: Kernel
    crash: capture.Crash
    console: str  # what the victim said of its memory
    result: capture.Capture
    folder: Path
    disk: Path  # with the dump at level 31
    after: Path  # RAM when the image had ended
    core: Path  # vmcore of the memory at the hang
    found: vmcore.Kernel
    makedumpfile: list  # the words that start it


def inflate_balloon(machine, start):
    """Takes memory away from the victim while it runs, as a host short of memory does."""
    machine.type("start_balloon")
    machine.wait_console(f"^{capture.PROMPT}balloon up", CLASSES_TIMEOUT_S, start)
    target = machine.setup.ram_bytes - BALLOON_MIB * MIB
    machine.qmp.command("balloon", value=target)
    deadline = time.monotonic() + CLASSES_TIMEOUT_S
    while machine.qmp.command("query-balloon")["actual"] > target:
        if time.monotonic() > deadline:
            raise MachineError("the balloon did not take its pages:\n"
                               + machine.console()[start:])
        time.sleep(0.1)


def make_classes(machine):
    """Has the victim make memory of every kind; what it says of it."""
    start = len(machine.console())
    inflate_balloon(machine, start)
    machine.type(f"fill {FILL_MIB}")
    machine.wait_console(f"^{capture.PROMPT}filled", CLASSES_TIMEOUT_S, start)
    machine.type("classes")
    machine.wait_console(f"^{capture.PROMPT}classes made", CLASSES_TIMEOUT_S, start)
    return machine.console()[start:]


def play(guest, folder, step):
    kernel = matrix_kernels.get(guest.suite)
    modules = matrix_kernels.modules(guest.suite, kernel)
    step(f"{guest}: {kernel.release} ({kernel.version})")
    disk = tools.make_disk(folder / "dump.img", DISK_SIZE, "--level", "31")
    files = victim.make_files_disk(folder / "files.img")
    setup = Setup(ram_file=folder / "ram", ram_bytes=guest.ram_bytes, nodes=guest.nodes,
                  disk=disk, cd=victim.make_cd(kernel, folder, victim.MOVABLE, modules=modules),
                  cpu_model=guest.cpu_model, extra=victim.classes_options(files),
                  limit_s=LIMIT_S)
    machine, nonce, release = capture.start_victim(setup, step)
    with machine:
        console = make_classes(machine)
        step("memory of every kind made; hanging the victim")
        capture.hang(machine)
        crash = capture.keep_truth(machine, folder / "truth", nonce, release)
        result = capture.reset_and_capture(machine)
        machine.save_ram(folder / "after")
    for file in (*setup.ram_files(), files, setup.cd):
        file.unlink()
    step(f"dump {result.state} {result.seconds:.1f} s after the reset")
    found = vmcore.make(crash, folder / "core")
    return Scene(guest, kernel, crash, console, result, folder, disk, folder / "after",
                 folder / "core", found, newest.command("makedumpfile"))


def numbers(scene):
    """The victim's own counts by name."""
    return {name: int(value) for name, value in
            re.findall(rf"{capture.PROMPT}meminfo (\w+): *(\d+)", scene.console)}


def kept_by_makedumpfile(scene, core, level):
    return excluded.by_makedumpfile(scene.makedumpfile, core, level, scene.folder / "filtered")
