"""Victims that panic in many ways, on many kernels and machines, with the image loaded; and
one such story: the memory at the image's first instruction and at its end is kept."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import capture
import gdbstub
import kernels
import kexec
import matrix_kernels
import tools
from machine import GIB, Setup

BIG = 5 * GIB
FIVE_LEVELS_FROM = (6, 1)  # Debian's cloud kernels are built for it since then
HIGH = "16M@0x180000000"  # an address above 4 GiB
DEAF_CPU = 1
INTERRUPTS = 1 << 9  # of the flags
LOST_RIP = 0x10  # where an oops happens
USER = 3  # of a code segment: its privilege
LIMIT_S = 900

INTEL = ("-device", "intel-iommu,intremap=off")
INTEL_FULL = ("-device", "intel-iommu,intremap=on,caching-mode=on")
PANICS = {
    "sysrq": (kexec.by_command("crash"), "sysrq triggered crash"),
    "break": (kexec.by_break, "sysrq triggered crash"),
    "nmi": (kexec.by_nmi, "NMI: Not continuing"),
    "memory": (kexec.by_command("exhaust"), "[Oo]ut of memory.*panic_on_oom"),
    "deaf": (kexec.by_command("crash"), "sysrq triggered crash"),
    "oops": (lambda machine: None, "BUG: kernel NULL pointer dereference|Oops"),
}


@dataclass(frozen=True)
class Scene:
    suite: str
    call: str = "kexec_load"
    panic: str = "sysrq"
    cpu_model: str = "qemu64"
    cpus: int = 1
    ram_bytes: int = GIB
    crashkernel: str = "16M"
    iommu: tuple = ()
    cmdline: str = ""

    def __str__(self):
        iommu = self.iommu[1].replace(",", "-") if self.iommu else ""
        words = (self.suite, self.call, self.panic, self.cpu_model, f"{self.cpus}cpu",
                 f"{self.ram_bytes / GIB:g}GiB", self.crashkernel, iommu,
                 self.cmdline if not iommu else "")
        return "-".join(filter(None, words))


def intel(suite, call, devices, **options):
    return Scene(suite, call, iommu=devices, cmdline="intel_iommu=on", **options)


FEW = (Scene("bullseye", "kexec_file_load", "memory", crashkernel="4M"),
       intel("sid", "kexec_load", INTEL_FULL, cpu_model="max", cpus=4, panic="nmi"),
       Scene("bookworm", "kexec_load", "deaf", cpus=2))
ALL = (*FEW,
       *(Scene(suite, call) for suite in matrix_kernels.SUITES for call in kexec.CALLS),
       *(Scene(suite, call, cpu_model="max", cpus=4)
         for suite in matrix_kernels.SUITES for call in kexec.CALLS),
       *(Scene(suite, call, crashkernel="4M", cpus=4)
         for suite in matrix_kernels.SUITES for call in kexec.CALLS),
       *(Scene("bookworm", call, ram_bytes=BIG, crashkernel=HIGH) for call in kexec.CALLS),
       Scene("sid", "kexec_file_load", cpu_model="max", cpus=4, ram_bytes=BIG, crashkernel=HIGH),
       *(intel(suite, "kexec_file_load", INTEL) for suite in matrix_kernels.SUITES),
       intel("bookworm", "kexec_load", INTEL_FULL),
       intel("trixie", "kexec_load", INTEL_FULL, cpu_model="max", cpus=4),
       *(Scene(suite, "kexec_file_load", panic, cpus=4)
         for suite in ("bookworm", "sid") for panic in PANICS if panic != "sysrq"),
       Scene("bookworm", cpus=4, cmdline="crash_kexec_post_notifiers"),
       Scene("sid", cpus=4, cmdline="crash_kexec_post_notifiers"))


def scenes():
    return ALL if os.environ.get("AFTERIMAGE_MATRIX") == "all" else FEW


@dataclass(frozen=True)
class Story:
    """What a scene left behind, all in @folder."""
    scene: Scene
    kernel: kernels.Kernel
    nonce: str
    console: str  # from the start on
    reserved: list
    own: tuple  # first byte and end of what the image asked its loader for
    crash_kexec: int  # address of the kernel's function
    result: capture.Capture
    folder: Path
    disk: Path
    before: Path  # RAM at the image's first instruction
    after: Path  # and when the image had ended


def make_deaf(machine, stub):
    """Stops the machine with one processor in a program's loop, and clears its interrupt
    flag: neither timer nor other processors reach it any more, but an NMI does."""
    kexec.ask(machine, f"occupy {DEAF_CPU}")
    for _ in range(20):
        machine.stop()
        stub.connect()
        stub.choose(DEAF_CPU)
        _, flags, segment = stub.place()
        if segment & USER == USER:
            stub.set_register(gdbstub.FLAGS, flags & ~INTERRUPTS, 4)
            stub.choose(0)
            return
        stub.leave()
        machine.cont()
    raise gdbstub.StubError("the processor is never in its program")


def make_oops(machine, stub):
    """Leads a processor astray in the kernel, on a machine that stands where it panics."""
    handler = kexec.address(machine, "sysrq_handle_crash")
    machine.stop()
    stub.connect()
    stub.go(handler, LIMIT_S, meanwhile=lambda: machine.type("crash"))
    stub.set_register(gdbstub.RIP, LOST_RIP)


def stop(machine, stub, panic):
    """Stops the victim short of its panic."""
    if panic == "deaf":
        make_deaf(machine, stub)
    elif panic == "oops":
        make_oops(machine, stub)
    else:
        machine.stop()
        stub.connect()


def follow(loaded, stub, scene, step):
    """From the running victim to the image's end, with a stop at the image's start. What the
    victim said of its memory and where the image was, then what the image said."""
    machine = loaded.machine
    how, _ = PANICS[scene.panic]
    reserved = kexec.reserved(machine)
    crash_kexec = kexec.address(machine, "__crash_kexec")
    start = len(machine.console())
    stop(machine, stub, scene.panic)
    own_pa = kexec.image_pa(machine.setup, reserved)
    step(f"{scene}: image at {own_pa:#x}, panic by {scene.panic}")
    stub.go(own_pa + kexec.ENTRY64, LIMIT_S, meanwhile=lambda: how(machine))
    machine.save_ram(machine.setup.ram_file.parent / "before")
    stub.leave()
    machine.cont()
    return reserved, own_pa, crash_kexec, kexec.follow_image(machine, start)


def play(scene, folder, step):
    kernel = matrix_kernels.get(scene.suite)
    disk = tools.make_disk(folder / "dump.img", "2G", "--level", "31")
    cd = kexec.make_cd(kernel, folder, scene.crashkernel, scene.cmdline)
    with gdbstub.Stub() as stub:
        setup = Setup(ram_file=folder / "ram", ram_bytes=scene.ram_bytes, disk=disk, cd=cd,
                      cpus=scene.cpus, cpu_model=scene.cpu_model, limit_s=LIMIT_S,
                      extra=(*scene.iommu, *stub.options(running=True)))
        loaded = kexec.start(setup, scene.call, step=step)
        with loaded.machine as machine:
            reserved, own_pa, crash_kexec, result = follow(loaded, stub, scene, step)
            machine.save_ram(folder / "after")
            console = machine.console()
    setup.ram_file.unlink()
    cd.unlink()
    step(result.lines[-2])
    return Story(scene, kernel, loaded.nonce, console, reserved,
                 (own_pa, own_pa + kexec.OWN_BYTES), crash_kexec, result, folder, disk,
                 folder / "before", folder / "after")


def levels(scene, kernel):
    """Of page tables that a kernel uses on a scene's processor."""
    capable = scene.cpu_model == "max" and matrix_kernels.series(kernel) >= FIVE_LEVELS_FROM
    return 5 if capable else 4


def iommu_units(result):
    """How many units of DMA remapping the image found switched on."""
    found = [re.match(r"afterimage: DMA remapping was on in (\d+) units?", line)
             for line in result.lines]
    return sum(int(match[1]) for match in found if match)
