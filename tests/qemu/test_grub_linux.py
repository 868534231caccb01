"""GRUB's command `linux` starts the image on a machine that hung and was reset: no kexec, no
list of the old kernel's memory, but the same file, with firmware's memory map."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import capture
import compare
import gdbstub
import kexec
import panicking
import readers
import tools
import victim
from machine import GIB

PAGE = compare.PAGE
MAX_LOST_HIGH = 1024  # pages that firmware and GRUB overwrite above 1 MiB


@dataclass(frozen=True)
class Story:
    crash: capture.Crash
    before: Path  # RAM when the image's first function begins
    after: Path  # and when it had ended
    own: tuple  # first byte and end of the image's memory
    result: capture.Capture
    disk: Path
    folder: Path


@pytest.fixture(scope="module")
def story(first, tmp_path_factory, step):
    folder = tmp_path_factory.mktemp("grub")
    disk = tools.make_disk(folder / "dump.img", "2G", "--level", "1")
    cd = kexec.make_grub_cd(folder, f"dump={tools.dump_entry(disk)[2]}")
    with gdbstub.Stub() as stub:
        with capture.power_on(folder, disk, first.crash, cd=cd, extra=stub.options()) as machine:
            stub.connect()
            stub.go(gdbstub.symbol("door_linux", "bzimage"))
            machine.save_ram(folder / "before")
            own_pa = panicking.pa_of(machine, gdbstub.symbol("image_start", "bzimage"))
            stub.leave()
            machine.cont()
            result = kexec.follow_image(machine, 0)
            machine.save_ram(folder / "after")
    (folder / "ram").unlink()
    step(f"image at {own_pa:#x}: {result.lines[-2]}")
    yield Story(first.crash, folder / "before", folder / "after",
                (own_pa, own_pa + kexec.OWN_BYTES), result, disk, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def raw(story):
    return tools.extract(story.disk, "raw", story.folder / "raw")


def test_dump_is_complete(story):
    assert story.result.state == "complete", story.result.lines
    assert f"afterimage: kernel {story.crash.release} of host test-victim" in story.result.lines
    assert not any("registers" in line for line in story.result.lines)
    tools.getdump("verify", story.disk)
    info = tools.info(story.disk)["dump"]
    assert info["via"] == "linux" and info["pages"]["missing"] == 0
    assert info["cpus_with_registers"] == 0
    assert story.crash.nonce in tools.getdump("dmesg", story.disk).stdout


def test_every_page_is_as_the_image_found_it(story, raw):
    found = compare.compare(raw, story.before, story.crash.usable)
    start, end = story.own
    assert [hex(page * PAGE) for page in found.low + found.high
            if not start <= page * PAGE < end] == []


def test_firmware_and_grub_overwrite_few_pages(story, step):
    found = compare.compare(story.crash.ram, story.before, story.crash.usable)
    step("overwritten before the image began: " + found.describe())
    assert 0 < len(found.high) <= MAX_LOST_HIGH


def test_the_image_writes_to_its_own_memory_alone(story):
    start, end = story.own
    changed = list(compare.changed_bytes(story.before, story.after, GIB))
    assert [f"{a:#x}-{b:#x}" for a, b in changed if a < start or b > end] == []
    assert changed


def test_drgn_opens_it(story, kernel):
    kdump = tools.extract(story.disk, "kdump", story.folder / "kdump")
    report = readers.drgn(kdump, kernel.vmlinux)
    assert {name for _, name in report["tasks"]} >= set(victim.PROCESSES)
    assert re.search(story.crash.nonce, "\n".join(report["log"]))
