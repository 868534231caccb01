"""What the QEMU tests share: the kernel, one hung victim's memory, the first dump made of
it, and the lines that show a watcher where the run is."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import autorig
import capture
import faults
import kernels
import tools
import uefi
import victim
from machine import Setup

DISK_SIZE = "4G"
COPIED_DISK_SIZE = "512M"
FULL = "1"  # every page but zero ones: what was filtered can not be compared


@dataclass(frozen=True)
class FirstDump:
    crash: capture.Crash
    result: capture.Capture
    disk: Path
    ram_after: Path
    firmware_ram: Path  # the same memory with firmware's traces only
    reset_at: float  # host's time, seconds since 1970


@pytest.fixture(scope="session")
def step(request):
    """Prints a line past pytest's capture, with the seconds since the session began."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def show(text):
        with manager.global_and_fixture_disabled():
            print(f"\n  [{time.monotonic() - began:6.1f} s] {text}", end="", flush=True)
    return show


@pytest.fixture(scope="session")
def kernel(step):
    found = kernels.get()
    step(f"kernel {found.release} ({found.version})")
    return found


@pytest.fixture(scope="session")
def first(tmp_path_factory, kernel, step):
    """The whole story once, with a real reset of the running machine."""
    folder = tmp_path_factory.mktemp("first")
    disk = tools.make_disk(folder / "dump.img", DISK_SIZE, "--level", FULL)
    cd = victim.make_cd(kernel, folder)
    step("dump disk and victim's CD made; booting the victim")
    setup = Setup(ram_file=folder / "ram", disk=disk, cd=cd)
    machine, nonce, release = capture.start_victim(setup, step)
    with machine:
        step(f"victim {nonce} ready; hanging it")
        capture.hang(machine)
        crash = capture.keep_truth(machine, folder / "truth", nonce, release)
        step("nobody answers; memory kept; pressing reset")
        reset_at = time.time()
        result = capture.reset_and_capture(machine)
        machine.save_ram(folder / "after")
    step(f"dump {result.state} {result.seconds:.1f} s after the reset")
    (folder / "ram").unlink()
    firmware = capture.firmware_only(folder, disk, crash, folder / "firmware")
    yield FirstDump(crash, result, disk, folder / "after", firmware, reset_at)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def uefi_first(tmp_path_factory, kernel, step):
    """The whole story with UEFI firmware, and a victim that keeps off what a reset destroys."""
    folder = tmp_path_factory.mktemp("uefi")
    disk = tools.make_disk(folder / "dump.img", DISK_SIZE, "--level", FULL)
    lost = uefi.measure(folder, disk)
    word = uefi.memmap_word(uefi.reservation(lost))
    step(f"a reset changes {len(lost)} pages; the victim gets {word}")
    yield uefi.play(folder, disk, uefi.make_cd(kernel, folder, word), step, lost=lost)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def small(tmp_path_factory, kernel, step):
    """What faults are tried on by the dozen; see faults.py."""
    folder = tmp_path_factory.mktemp("small")
    yield faults.make_small(folder, victim.make_cd(kernel, folder), step)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """An unused dump disk, to be copied."""
    return tools.make_disk(tmp_path_factory.mktemp("blank") / "dump.img", COPIED_DISK_SIZE,
                           "--level", FULL)


@pytest.fixture(autouse=True)
def tidy(tmp_path):
    """Disks and memories are big: a test's go when it is over."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
def disk(blank, tmp_path):
    """The test's own unused dump disk."""
    return tools.copy(blank, tmp_path / "dump.img")


@pytest.fixture
def run_image(first, tmp_path, step):
    """Captures the kept memory on a disk: run_image(disk, crash=..., **Setup's options)."""
    def run(disk, crash=first.crash, **options):
        result = capture.capture(tmp_path, disk, crash, **options)
        step(result.lines[-2] if len(result.lines) > 1 else "no line")
        (tmp_path / "ram").unlink()
        return result
    return run


@pytest.fixture(scope="session")
def auto_guests(tmp_path_factory):
    """auto_guests(ordinary): the system's disk, made once for each kernel."""
    made = {}

    def get(ordinary):
        if ordinary not in made:
            made[ordinary] = autorig.make_guest(tmp_path_factory.mktemp("guest"), ordinary)
        return made[ordinary]
    return get


@pytest.fixture
def auto_start(auto_guests, tmp_path, step):
    """auto_start(firmware, ordinary, **Rig's options): a machine whose system is up after a power-on,
    and the id of the system's boot."""
    rigs = []

    def run(firmware, ordinary=False, disk=None, **options):
        guest = tmp_path / "guest.img"
        if not guest.exists():
            tools.copy(auto_guests(ordinary), guest)
        disk = disk or tools.make_disk(tmp_path / "dump.img", "1G", "--auto")
        rig = autorig.Rig(tmp_path, firmware, guest, disk, **options)
        rigs.append(rig)
        decision, nonce = rig.up_again(0)
        step(f"{firmware}: {decision.line[23:]}, after {decision.cpu_s:.2f} s")
        return rig, nonce

    yield run
    for rig in rigs:
        rig.close()
