"""The kexec door's main path: a real kernel panics, jumps to the image, and every byte of
memory is followed: from the first instruction of panic() to the image's own first one, and
from there to its end."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import amdvi
import capture
import compare
import gdbstub
import kexec
import newest
import panicking
import readers
import tools
from machine import GIB, Setup

PAGE = compare.PAGE
MAX_PANIC_PAGES = 64  # that the panicking kernel changes
OURS = "overwritten by afterimage"
LIMIT_S = 600


@dataclass(frozen=True)
class Story:
    crash: capture.Crash  # the memory at panic()
    before: Path  # at the image's first instruction
    after: Path  # when the image had ended
    reserved: tuple  # first byte and end
    own: tuple  # likewise what the image asked its loader for
    places: list  # of the panicking kernel's memory
    functions: dict  # addresses in the kernel
    result: capture.Capture
    disk: Path


def save(machine, folder, name):
    machine.save_ram(folder / name)
    return folder / name


def play(loaded, stub, folder, step):
    """From the running victim to the image's end, with two stops on the way."""
    machine = loaded.machine
    functions = {name: kexec.address(machine, name) for name in ("panic", "__crash_kexec")}
    (reserved,) = kexec.reserved(machine)
    places = panicking.known_places(machine)
    start = len(machine.console())
    machine.stop()
    stub.connect()
    stub.go(functions["panic"], meanwhile=lambda: machine.type("crash"))
    crash = capture.keep_truth(machine, folder / "truth", loaded.nonce, loaded.release)
    places += panicking.places_at_panic(machine, stub)
    image_pa = kexec.image_pa(machine.setup, [reserved])
    step(f"victim at panic(), image at {image_pa:#x} of {reserved[0]:#x}-{reserved[1]:#x}")
    stub.go(image_pa + kexec.ENTRY64)
    before = save(machine, folder, "before")
    step("at the image's first instruction")
    stub.leave()
    machine.cont()
    result = kexec.follow_image(machine, start)
    after = save(machine, folder, "after")
    step(result.lines[-2])
    return Story(crash, before, after, reserved, (image_pa, image_pa + kexec.OWN_BYTES), places,
                 functions, result, folder / "dump.img")


@pytest.fixture(scope="module")
def story(tmp_path_factory, kernel, step):
    folder = tmp_path_factory.mktemp("kexec")
    disk = tools.make_disk(folder / "dump.img", "4G", "--level", "1")
    with gdbstub.Stub() as stub:
        setup = Setup(ram_file=folder / "ram", disk=disk, cd=kexec.make_cd(kernel, folder),
                      limit_s=LIMIT_S, extra=stub.options(running=True))
        loaded = kexec.start(setup, "kexec_load", f"dump={tools.dump_entry(disk)[2]}", step)
        step("victim up, image loaded")
        with loaded.machine:
            yield play(loaded, stub, folder, step)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("extracted")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def files(story, folder):
    return {kind: tools.extract(story.disk, kind, folder / f"dump.{kind}")
            for kind in ("raw", "kdump", "elf")}


def inside(pages, range_):
    start, end = range_
    return {page for page in pages if start <= page * PAGE < end}


def test_dump_is_complete(story):
    result = story.result
    assert result.state == "complete" and result.number == 1
    assert result.action == "rebooting" and result.ended == "guest-reset"
    assert f"afterimage: kernel {story.crash.release} of host test-victim" in result.lines
    assert "afterimage: it stopped with: sysrq triggered crash" in result.lines
    assert kexec.registers_line(1) in result.lines
    tools.getdump("verify", story.disk)


def test_info_tells_of_the_panic(story):
    info = tools.info(story.disk)["dump"]
    assert info["via"] == "linux"
    assert info["panic"] == "sysrq triggered crash"
    assert info["cpus_with_registers"] == 1
    assert info["pages"]["missing"] == 0


def test_every_page_is_as_the_image_found_it(story, files, step):
    """Outside the reserved memory; page 0 is no memory of Linux."""
    found = compare.compare(files["raw"], story.before, story.crash.usable)
    pages = set(found.low + found.high)
    step("dump against the memory at the image's start: " + found.describe())
    assert pages - inside(pages, story.reserved) <= {0}


def test_the_panicking_kernel_changes_few_pages(story, step):
    found = compare.compare(story.crash.ram, story.before, story.crash.usable)
    pages = set(found.low + found.high)
    changed = pages - inside(pages, story.reserved)
    counts = panicking.describe(sorted(changed), story.places)
    step(f"between panic() and the image {len(changed)} pages changed: {counts}; "
         + compare.ranges_text([page for page in sorted(changed)
                                if panicking.name_page(page, story.places) == "other"]))
    assert 0 < len(changed) <= MAX_PANIC_PAGES
    assert {"stack", "crash_notes", "vmcoreinfo"} <= set(counts)


def test_the_image_writes_to_its_own_memory_alone(story, step):
    """Byte for byte, all of the machine's RAM, from the image's first instruction on."""
    start, end = story.own
    assert story.reserved[0] <= start and end <= story.reserved[1]
    changed = list(compare.changed_bytes(story.before, story.after, GIB))
    outside = [f"{a:#x}-{b:#x}" for a, b in changed if a < start or b > end]
    step(f"the image wrote to {len(changed)} pages of its own {(end - start) // PAGE}")
    assert outside == []
    assert changed


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_crash_shows_the_back_trace(kind, files, story, kernel, folder, step):
    text = readers.crash_traces(files[kind], kernel.vmlinux, folder, newest.command("crash"))
    step(f"crash on {kind}: " + " ".join(re.findall(r"#\d+ \[[0-9a-f]+\] (\S+)", text)[:6]))
    assert "sysrq triggered crash" in re.search(r"^ *PANIC: (.+)", text, re.M)[1]
    for name in ("machine_kexec", "__crash_kexec", "panic", "sysrq_handle_crash",
                 "write_sysrq_trigger"):
        assert re.search(rf"#\d+ \[[0-9a-f]+\] {name}\b", text), text
    assert re.search(r"PID: 1 .* CPU: 0 +COMMAND: \"init\"", text), text


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_drgn_shows_the_registers(kind, files, story, kernel):
    report = readers.drgn(files[kind], kernel.vmlinux)
    assert any(story.crash.nonce in line for line in report["log"])
    assert report["current"] == ["init"]


def test_gdb_shows_the_registers(files, story):
    """gdb without symbols: the processor was in __crash_kexec when it left its registers."""
    ((rip, _),) = readers.gdb_registers(files["elf"])
    assert 0 <= rip - story.functions["__crash_kexec"] < kexec.CRASH_KEXEC_BYTES


def test_amd_iommu_that_is_on_is_switched_off(kernel, tmp_path, step):
    """At the image's first instruction the IOMMU keeps every device from all memory."""
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "31")
    with gdbstub.Stub() as stub, amdvi.Amdvi() as iommu:
        setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=kexec.make_cd(kernel, tmp_path),
                      limit_s=LIMIT_S, extra=(*iommu.options(), *stub.options(running=True)))
        with kexec.start(setup, "kexec_file_load", step=step).machine as machine:
            (reserved,) = kexec.reserved(machine)
            at = len(machine.console())
            machine.stop()
            stub.connect()
            image_pa = kexec.image_pa(setup, [reserved])
            stub.go(image_pa + kexec.ENTRY64, meanwhile=lambda: machine.type("crash"))
            table_pa = sum(reserved) // 2
            assert not any(tools.read_bytes(setup.ram_file, table_pa, amdvi.TABLE_BYTES))
            iommu.switch_on(table_pa)
            stub.leave()
            machine.cont()
            result = kexec.follow_image(machine, at)
    step(result.lines[-2])
    assert result.state == "complete", result.lines
    assert "afterimage: DMA remapping was on in 1 unit" in result.lines
