"""The UEFI door with kernels of other Debian suites, four processors, five levels of page
tables, and firmware's two sizes; part of make check-matrix only."""

import shutil
from dataclasses import dataclass

import pytest

import compare
import matrix_kernels
import tools
import uefi

PAGE = compare.PAGE


@dataclass(frozen=True)
class Guest:
    suite: str
    firmware: uefi.Firmware = uefi.NORMAL
    cpu_model: str = "qemu64"

    def __str__(self):
        return f"{self.suite}-{self.firmware.code.removesuffix('.fd')}-{self.cpu_model}"


GUESTS = (Guest("bullseye"), Guest("bookworm", uefi.SMALL), Guest("trixie", cpu_model="max"),
          Guest("sid", uefi.SMALL, "max"), Guest("sid", uefi.SECURE_OFF))


@pytest.fixture(scope="module", params=GUESTS, ids=str)
def story(request, tmp_path_factory, step):
    guest = request.param
    kernel = matrix_kernels.get(guest.suite)
    step(f"{guest}: {kernel.release}")
    folder = tmp_path_factory.mktemp("uefi")
    disk = tools.make_disk(folder / "dump.img", "4G", "--level", "1")
    machine = {"cpus": 4, "cpu_model": guest.cpu_model,
               "extra": uefi.flash(folder, guest.firmware)}
    lost = uefi.measure(folder, disk, **machine)
    word = uefi.memmap_word(uefi.reservation(lost))
    yield uefi.play(folder, disk, uefi.make_cd(kernel, folder, word), step, lost=lost, **machine)
    shutil.rmtree(folder)


def test_the_dump_is_the_memory_at_the_hang(story, step):
    assert story.result.state == "complete", story.result.lines
    assert story.crash.nonce in tools.getdump("dmesg", story.disk).stdout
    raw = tools.extract(story.disk, "raw", story.folder / "raw")
    found = compare.dump_against_ram(raw, story.crash.ram, story.crash)
    reserved = uefi.reservation(story.lost)
    outside = [page for page in found.low + found.high
               if not any(start <= page * PAGE < end for start, end in reserved)]
    step(f"{found.equal} pages equal, {len(outside)} of Linux's differ")
    assert compare.ranges_text(outside) == ""


def test_the_image_writes_to_its_own_memory_alone(story):
    start, end = story.own
    changed = list(compare.changed_bytes(story.before, story.after, story.crash.ram_bytes))
    assert [f"{a:#x}-{b:#x}" for a, b in changed if a < start or b > end] == []
    assert changed
