"""Panics of every kind, on kernels from 5.10 to the newest: each ends in a complete dump with
every processor's registers, made without a byte written outside the image's own memory."""

import re
import shutil

import pytest

import compare
import kexec
import kexec_scenes
import newest
import readers
import tools
from machine import ram_offset

PAGE = compare.PAGE


@pytest.fixture(scope="module", params=kexec_scenes.scenes(), ids=str)
def story(request, tmp_path_factory, step):
    folder = tmp_path_factory.mktemp("scene")
    yield kexec_scenes.play(request.param, folder, step)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def elf(story):
    return tools.extract(story.disk, "elf", story.folder / "dump.elf")


def test_dump_is_complete(story):
    result, cpus = story.result, story.scene.cpus
    assert result.state == "complete", result.lines
    assert f"afterimage: kernel {story.kernel.release} of host test-victim" in result.lines
    assert kexec.registers_line(cpus) in result.lines
    tools.getdump("verify", story.disk)


def test_info_tells_of_panic_and_machine(story):
    info = tools.info(story.disk)["dump"]
    expected = kexec_scenes.PANICS[story.scene.panic][1]
    assert info["via"] == "linux"
    assert re.search(expected, info["panic"])
    assert info["cpus_with_registers"] == story.scene.cpus
    assert info["pages"]["missing"] == 0
    assert info["page_table_levels"] == kexec_scenes.levels(story.scene, story.kernel)
    assert story.nonce in tools.getdump("dmesg", story.disk).stdout


def test_scene_is_what_it_should_be(story):
    scene = story.scene
    log = tools.getdump("dmesg", story.disk).stdout
    if scene.panic == "break":
        assert "<IRQ>" in log and "serial8250_interrupt" in log
    if scene.panic == "nmi":
        assert "<NMI>" in log
    if scene.crashkernel == kexec_scenes.HIGH:
        assert story.own[0] >= 4 << 30
    assert kexec_scenes.iommu_units(story.result) == (1 if scene.iommu else 0)


def test_the_image_writes_to_its_own_memory_alone(story):
    """Byte for byte, all of the machine's RAM, from the image's first instruction on."""
    size = story.scene.ram_bytes
    start, end = (ram_offset(pa, size) for pa in story.own)
    changed = list(compare.changed_bytes(story.before, story.after, size))
    assert [f"{a:#x}-{b:#x}" for a, b in changed if a < start or b > end] == []
    assert changed


def test_pages_are_as_the_image_found_them(story):
    """Every page that is in the dump, wherever it is; which are is test_classes.py's part."""
    raw = tools.extract(story.disk, "raw", story.folder / "raw")
    size = story.scene.ram_bytes
    present = wrong = 0
    with open(story.before, "rb") as ram:
        for pa, page in compare.data_pages(raw):
            present += 1
            ram.seek(ram_offset(pa, size))
            wrong += ram.read(PAGE) != page
    raw.unlink()
    assert wrong == 0
    assert present > 1000


def test_processors_left_their_registers(story, elf):
    """The one that panicked in the function that calls the image, or where the oops was; a
    deaf one in its program."""
    registers = readers.gdb_registers(elf)
    assert len(registers) == story.scene.cpus
    start, count = story.crash_kexec, kexec.CRASH_KEXEC_BYTES
    if story.scene.panic == "oops":
        start, count = kexec_scenes.LOST_RIP, 1
    assert len([rip for rip, _ in registers if start <= rip < start + count]) == 1
    if story.scene.panic == "deaf":
        rip, flags = registers[kexec_scenes.DEAF_CPU]
        assert rip < 1 << 47 and not flags & kexec_scenes.INTERRUPTS


def test_crash_shows_every_processor(story, elf):
    """Where there is debug information for the kernel: of this Debian's own."""
    if not story.kernel.vmlinux:
        lines = readers.makedumpfile_dmesg(elf, story.folder)
        assert any(story.nonce in line for line in lines)
        return
    text = readers.crash_traces(elf, story.kernel.vmlinux, story.folder, newest.command("crash"))
    for cpu in range(story.scene.cpus):
        assert f"CPU: {cpu} " in text
    assert "__crash_kexec" in text
