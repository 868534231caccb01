"""GRUB's boot menu starts the image on a machine that hung and was reset: by Multiboot 1 from
BIOS, by Multiboot 2 from UEFI firmware, by a key that somebody presses. Every page is followed
from the hang to the image's first function, and from there into the dump."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import capture
import compare
import gdbstub
import screen
import tools
import uefi
import victim

PAGE = compare.PAGE
DUMP_ENTRY = "Dump memory of the crashed system"
MENU = """\
insmod all_video
serial --unit=0 --speed=115200
terminal_output {output}
set timeout=-1
menuentry "Another system" {{
	echo another system
	sleep 600
}}
menuentry "{title}" {{
	{command} /afterimage.elf {words}
	echo
}}
"""
MENU_S = 60
DRAWN_S = 0.5
LOW_END, LOAD_PA = 0xa0000, 0x1000
FIRMWARE_MORE = 1024  # pages that it may get further down in another run
LOST_TEXT = "overwritten by "
OURS = "overwritten by afterimage"
MAX_LOST = {victim.BIOS: 1024, victim.UEFI: 12288}  # pages above 1 MiB


def grub_cd(folder, config, platform=victim.BIOS, file="afterimage.elf"):
    content = folder / "cd"
    content.mkdir()
    shutil.copy(tools.program(file), content / "afterimage.elf")
    return victim.make_grub_cd(content, config, folder / "grub.iso", platform)


def choose_entry(machine):
    """The second entry of the menu, which waits for ever with the first one marked."""
    machine.wait_console(DUMP_ENTRY, MENU_S)
    machine.press("down", "ret")


@dataclass(frozen=True)
class Story:
    platform: str
    crash: capture.Crash
    before: Path  # RAM when the image's first function begins
    result: capture.Capture
    shown: screen.Screen  # when it had ended
    disk: Path
    raw: Path
    firmware: frozenset  # pages that firmware alone changes, as far as is known


def play(folder, crash, platform, step, extra=()):
    disk = tools.make_disk(folder / "dump.img", "2G", "--level", "1")
    is_bios = platform == victim.BIOS
    config = MENU.format(title=DUMP_ENTRY, command="multiboot" if is_bios else "multiboot2",
                         words=f"dump={tools.dump_entry(disk)[2]}",
                         output="console serial" if is_bios else "console")
    cd = grub_cd(folder, config, platform)
    with gdbstub.Stub() as stub:
        with capture.power_on(folder, disk, crash, cd=cd,
                              extra=(*extra, *stub.options())) as machine:
            stub.connect()
            stub.go(gdbstub.symbol("door_multiboot", "elf"),
                    meanwhile=lambda: choose_entry(machine))
            machine.save_ram(folder / "before")
            stub.leave()
            machine.cont()
            result = capture.watch_image(machine, time.monotonic(), door="multiboot")
            time.sleep(DRAWN_S)
            shown = screen.read_text_mode(machine) if is_bios else \
                screen.read(screen.take(machine))
            machine.screenshot(tools.BUILD / f"grub-{platform}.png")
    (folder / "ram").unlink()
    step(f"{platform}: {result.lines[-2]}")
    return disk, result, shown


@pytest.fixture(scope="module", params=[victim.BIOS, victim.UEFI])
def story(request, tmp_path_factory, step):
    platform = request.param
    folder = tmp_path_factory.mktemp("multiboot")
    if platform == victim.BIOS:
        first = request.getfixturevalue("first")
        crash, extra = first.crash, ()
        found = compare.compare(crash.ram, first.firmware_ram, crash.usable)
        firmware = frozenset(found.high)
    else:
        first = request.getfixturevalue("uefi_first")
        crash, extra = first.crash, uefi_words(folder, first)
        firmware = frozenset(page for start, end in uefi.reservation(first.lost)
                             for page in range(start // PAGE - FIRMWARE_MORE, end // PAGE))
    disk, result, shown = play(folder, crash, platform, step, extra)
    raw = tools.extract(disk, "raw", folder / "raw")
    yield Story(platform, crash, folder / "before", result, shown, disk, raw, firmware)
    shutil.rmtree(folder)


def uefi_words(folder, first):
    """QEMU's words for the firmware that the victim knew, its mind made up."""
    shutil.copyfile(first.folder / uefi.VARIABLES, folder / uefi.VARIABLES)
    return uefi.flash(folder)


def why(story, pages):
    """What the dump says of each page."""
    text = tools.getdump("why", story.disk, *(f"{page * PAGE:#x}" for page in pages)).stdout
    return dict(zip(pages, (line.split(": ", 1)[1] for line in text.splitlines()
                            if line.startswith("0x")), strict=True))


def test_dump_is_complete(story):
    assert story.result.state == "complete", story.result.lines
    assert f"afterimage: kernel {story.crash.release} of host test-victim" in story.result.lines
    assert story.result.action == "rebooting" and story.result.ended == "guest-reset"
    tools.getdump("verify", story.disk)
    info = tools.info(story.disk)["dump"]
    assert info["via"] == "multiboot" and info["pages"]["missing"] == 0
    assert info["compress"] == "lzf" and info["cpus_with_registers"] == 0
    assert story.crash.nonce in tools.getdump("dmesg", story.disk).stdout


def test_every_page_is_as_the_image_found_it(story):
    found = compare.compare(story.raw, story.before, story.crash.usable)
    pages = found.low + found.high
    assert {page: text for page, text in why(story, pages).items()
            if not text.startswith(OURS)} == {}
    assert pages


def test_the_image_is_where_nobody_is(story, step):
    """Below 1 MiB, which costs the old kernel nothing; UEFI's arena where firmware was."""
    found = compare.compare(story.raw, story.before, story.crash.usable)
    step(f"{story.platform}: the image overwrote {len(found.low)} pages below 1 MiB, "
         f"{len(found.high)} above: {compare.ranges_text(found.high)}")
    assert min(found.low) * PAGE >= LOAD_PA and max(found.low) * PAGE < LOW_END
    assert all(text.startswith(OURS) for text in why(story, [LOAD_PA // PAGE]).values())
    assert story.platform == victim.UEFI or not found.high


def test_what_is_lost_is_named(story, step):
    """Of the pages that are not as they were at the hang, those with contents are named, but for
    what only a survey tells of firmware; the others read as zeros."""
    found = compare.compare(story.crash.ram, story.before, story.crash.usable)
    step(f"{story.platform}: {len(found.low)} pages below 1 MiB and {len(found.high)} above "
         f"overwritten before the image began, {len(story.firmware)} of them firmware's")
    said = why(story, found.high)
    assert {hex(page * PAGE): text for page, text in said.items()
            if not text.startswith((LOST_TEXT, "zero")) and page not in story.firmware} == {}
    assert 0 < len(found.high) <= MAX_LOST[story.platform]


def check_text_mode(shown, lines):
    """80 columns without wrapping between words: compared letter by letter."""
    rows = [line[i:i + 80].rstrip() for line in lines for i in range(0, len(line), 80)]
    assert list(shown.rows[:len(rows)]) == rows


def check_graphics(shown, lines):
    words = " ".join(lines).split()
    assert shown.words() == words[-len(shown.words()):] and len(shown.words()) > 20, shown.rows


def test_screen_shows_it(story):
    check_shown = check_text_mode if story.platform == victim.BIOS else check_graphics
    check_shown(story.shown, story.result.lines)
    assert story.shown.permille == 1000 and story.shown.percent == "100%"
