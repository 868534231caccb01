"""Panics of a kernel with four processors in different states: every reader shows the
registers and the back trace of each, and they are what the kernel left in its memory."""

import re
import shutil
import time
from dataclasses import dataclass
from datetime import datetime

import pytest

import capture
import kexec
import newest
import readers
import registers
import tools
from machine import GIB, Setup

CPUS = 4
USER, BUSY, PANICS = 1, 2, 3  # processors; the others idle
OFFLINE = 1
CLOCK_TOLERANCE_S = 60  # a busy machine boots and panics late; a wrong zone is an hour off
ORDER_TIMEOUT_S = 60
PANIC = "sysrq triggered crash"
# From the innermost: crash names functions without those that the compiler merged into others.
PANIC_TRACE = ["__crash_kexec", "panic", "sysrq_handle_crash", "write_sysrq_trigger", "vfs_write"]
KINDS = ("kdump", "elf")
USER_CS, KERNEL_CS = 0x33, 0x10
KERNEL_HALF = 1 << 63
# The NMI can come while a processor serves its timer or a device; not every reader sees what was
# interrupted.
INTERRUPTED = {"common_interrupt", "asm_sysvec_apic_timer_interrupt",
               "sysvec_apic_timer_interrupt", "clockevents_program_event", "hrtimer_interrupt",
               "irq_enter_rcu", "tick_nohz_irq_enter", "irq_exit_rcu", "__irq_exit_rcu"}
AT_WORK = {"read_zero", "vfs_read", "vfs_write"} | INTERRUPTED
IDLE = {"do_idle"} | INTERRUPTED
DEBIANS_OWN, NEWEST = "debian-12", "newest"


@dataclass(frozen=True)
class Panic:
    offline: tuple  # processors
    notes: list  # of each processor, by the kernel's memory; None: it left none
    result: capture.Capture
    info: dict
    files: dict
    at: float  # host's time, seconds since 1970
    qemu: str  # its registers of all processors when the image had begun

    def online(self):
        return [cpu for cpu in range(CPUS) if cpu not in self.offline]

    def left(self):
        """The notes there are, in order."""
        return [note for note in self.notes if note]

    def fields(self, cpu):
        return registers.fields(self.notes[cpu])


def order(machine, command):
    """One command of the victim, to its end."""
    start = len(machine.console())
    machine.type(f"{command}; say ordered")
    machine.wait_console(rf"^{capture.PROMPT}ordered", ORDER_TIMEOUT_S, start)


def keep_busy(machine, offline):
    """Gives every processor something to be found at."""
    order(machine, f"taskset -p -c {PANICS} $$ >/dev/null")
    if USER not in offline:
        order(machine, f"{{ taskset -c {USER} sh -c 'while :; do :; done' & }}")
    order(machine, f"{{ taskset -c {BUSY} dd if=/dev/zero of=/dev/null bs=16M & }}")
    order(machine, "sleep 1")  # until they are where they belong


def panic(machine, folder, offline):
    """The memory and QEMU's registers when the image begins, and how it ended. Takes
    processors offline in the same breath: the emulator may lose the serial port's interrupt
    with them."""
    off = "".join(f"echo 0 >/sys/devices/system/cpu/cpu{cpu}/online; " for cpu in offline)
    start = len(machine.console())
    at, started = time.time(), time.monotonic()
    machine.type(off + "crash")
    machine.wait_console(r"^afterimage \S+ via linux", 60, start)
    machine.stop()
    machine.save_ram(folder / "truth")
    qemu = machine.qmp.command("human-monitor-command", **{"command-line": "info registers -a"})
    machine.cont()
    return at, qemu, capture.watch_image(machine, started, start, door="linux")


def play(folder, kernel, step, offline=()):
    disk = tools.make_disk(folder / "dump.img", "1G")
    setup = Setup(ram_file=folder / "ram", disk=disk, cd=kexec.make_cd(kernel, folder), cpus=CPUS)
    loaded = kexec.start(setup, "kexec_load", step=step)
    with loaded.machine as machine:
        keep_busy(machine, offline)
        at, qemu, result = panic(machine, folder, offline)
    (folder / "ram").unlink()
    step(f"victim without processors {offline}: dump {result.state}")
    notes = registers.Kernel(folder / "truth", GIB, kernel.release, kernel.vmlinux).notes(CPUS)
    files = {kind: tools.extract(disk, kind, folder / f"dump.{kind}") for kind in KINDS}
    return Panic(offline, notes, result, tools.info(disk)["dump"], files, at, qemu)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("registers")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def whole(folder, kernel, step):
    (folder / "whole").mkdir()
    return play(folder / "whole", kernel, step)


@pytest.fixture(scope="module")
def reduced(folder, kernel, step):
    """One processor was taken offline before the panic."""
    (folder / "reduced").mkdir()
    return play(folder / "reduced", kernel, step, (OFFLINE,))


@pytest.fixture(scope="module", params=["whole", "reduced"])
def story(request):
    return request.getfixturevalue(request.param)


def drgn(age, dump, kernel):
    python = newest.python() if age == NEWEST else ["/usr/bin/python3"]
    return registers.drgn(dump, kernel.vmlinux, python)


def crash(dump, kernel, folder):
    return registers.crash(dump, kernel.vmlinux, folder, newest.command("crash"))


def same(seen, wanted):
    """All that a reader shows of one processor's registers, by the names of the notes."""
    seen = {name.replace(".", "_"): value for name, value in seen.items()}
    assert seen["rip"] == wanted["rip"] and seen["rsp"] == wanted["rsp"]
    assert {name: wanted[name] for name in seen} == seen


def in_order(wanted, frames):
    rest = iter(frames)
    return all(name in rest for name in wanted)


# --- what the kernel left, and the dump --------------------------------------------------


def test_kernel_left_registers_of_the_processors_that_were_on(story):
    assert [cpu for cpu in range(CPUS) if story.notes[cpu]] == story.online()
    assert story.fields(PANICS)["pid"] == 1
    assert story.fields(0)["pid"] == 0
    assert story.fields(BUSY)["pid"] > 1
    for cpu in story.online():
        kernel = story.fields(cpu)["rip"] >= KERNEL_HALF
        assert kernel or cpu == USER
        assert story.fields(cpu)["cs"] == (KERNEL_CS if kernel else USER_CS)


def test_image_found_them(story):
    count = len(story.online())
    assert story.result.state == "complete"
    (line,) = [line for line in story.result.lines if "registers of" in line]
    assert f"registers of {count} processors" in line
    assert story.info["cpus_with_registers"] == count
    assert story.info["degraded"] == []


def test_info_says_why_and_when(story):
    assert story.info["panic"] == PANIC
    told = datetime.fromisoformat(story.info["crash_time"].replace("Z", "+00:00")).timestamp()
    assert abs(told - story.at) < CLOCK_TOLERANCE_S


@pytest.mark.parametrize("kind", KINDS)
def test_notes_are_the_kernels_bytes_in_its_order(kind, story):
    assert registers.file_notes(story.files[kind], kind) == story.left()


def test_qemu_agrees_on_who_is_who(whole):
    """The processor that QEMU calls n has the n-th per-CPU memory, and waits in its NMI."""
    blocks = re.split(r"^CPU#", whole.qemu, flags=re.M)[1:]
    assert len(blocks) == CPUS
    bases = {}
    for cpu, block in enumerate(blocks):
        bases[cpu] = int(re.search(r"^GS =\w+ ([0-9a-f]+)", block, re.M)[1], 16)
        assert re.search(r"HLT=(\d)", block)[1] == ("0" if cpu == PANICS else "1")
    # The panicking one runs the image, which keeps none of the kernel's segments.
    assert len({bases[cpu] for cpu in bases if cpu != PANICS}) == CPUS - 1


# --- readers -----------------------------------------------------------------------------


def check_crash(found, story):
    panic_line, cpus = found
    assert PANIC in panic_line
    assert in_order(PANIC_TRACE, cpus[PANICS]["frames"]), cpus[PANICS]["text"]
    for cpu in story.online():
        assert cpus[cpu]["pid"] == story.fields(cpu)["pid"], cpus[cpu]["text"]
        same(cpus[cpu]["registers"], story.fields(cpu))
        if cpu != PANICS:
            assert f"RIP: {story.fields(cpu)['rip']:016x}" in cpus[cpu]["text"]
    assert AT_WORK & set(cpus[BUSY]["frames"]), cpus[BUSY]["text"]
    assert IDLE & set(cpus[0]["frames"]), cpus[0]["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_crash_shows_all_processors(kind, whole, kernel, folder, step):
    found = crash(whole.files[kind], kernel, folder)
    step(f"crash on {kind}: " + " ".join(found[1][PANICS]["frames"][:5]))
    assert sorted(found[1]) == list(range(CPUS))
    check_crash(found, whole)


def test_crash_with_a_processor_offline(reduced, kernel, folder):
    check_crash(crash(reduced.files["kdump"], kernel, folder), reduced)


def check_drgn(found, story):
    assert found["crashed"]["pid"] == 1
    assert in_order(PANIC_TRACE, found["crashed"]["frames"])
    assert sorted(found["cpus"]) == story.online()
    for cpu, seen in found["cpus"].items():
        assert seen["pid"] == story.fields(cpu)["pid"]
        same(seen["registers"], story.fields(cpu))
    assert in_order(PANIC_TRACE, found["cpus"][PANICS]["frames"])
    assert AT_WORK & set(found["cpus"][BUSY]["frames"])
    assert IDLE & set(found["cpus"][0]["frames"])


@pytest.mark.parametrize("age, kind", [(DEBIANS_OWN, "elf"), (NEWEST, "kdump")])
def test_drgn_shows_all_processors(age, kind, whole, kernel):
    check_drgn(drgn(age, whole.files[kind], kernel), whole)


def test_drgn_with_a_processor_offline(reduced, kernel):
    """Debian 12's takes the n-th note for processor n, whatever is offline."""
    check_drgn(drgn(NEWEST, reduced.files["kdump"], kernel), reduced)


def test_gdb_shows_all_processors(whole, kernel):
    threads = registers.gdb(whole.files["elf"], kernel.vmlinux)
    assert sorted(threads) == list(range(1, CPUS + 1))
    for cpu in range(CPUS):
        same(threads[cpu + 1]["registers"], whole.fields(cpu))
    assert "crash" in threads[PANICS + 1]["place"]


@pytest.mark.parametrize("kind", KINDS)
def test_libkdumpfile_shows_all_processors(kind, story):
    found = registers.kdumpfile(story.files[kind], newest.python())
    assert sorted(found) == list(range(len(story.online())))
    for number, cpu in enumerate(story.online()):
        same(found[number], story.fields(cpu))


@pytest.mark.parametrize("age, kind", [(DEBIANS_OWN, "elf"), (NEWEST, "kdump")])
def test_makedumpfile_keeps_them(age, kind, whole, folder):
    program = newest.command("makedumpfile") if age == NEWEST else ["makedumpfile"]
    again = readers.makedumpfile_filter(whole.files[kind], folder / "again", program)
    assert registers.file_notes(again, "kdump") == whole.left()
