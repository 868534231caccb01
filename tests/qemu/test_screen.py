"""The screen of a capture, read back from screenshots: the same lines as on the serial port,
and the bar; by every front door, in modes of several sizes and pixel formats."""

import shutil
import time

import pytest

import capture
import kexec
import matrix
import png
import screen
import tools
import uefi
import victim
from machine import Setup

# QEMU's words for a display: what firmware finds of it as its best mode.
VGA = "-global VGA.xres={0} -global VGA.yres={1}"
BOCHS = "-vga none -device bochs-display,edid=on,xres={0},yres={1}"
GRAPHICS = """\
set timeout=0
insmod all_video
set gfxpayload={mode}
"""
GRUB_CONFIG = GRAPHICS + """\
linux /afterimage.bzimage {words}
boot
"""
MIDDLE = r"^afterimage: ([3-9]\d\d|\d{4}) MiB of|^afterimage: dump \d+ complete"  # of 1 GiB
DRAWN_S = 0.5  # after its line on the serial port a line is drawn
PICTURE = "capture.png"  # in the build directory, from the mode that it is taken in
PICTURE_MODE = (800, 600)
FEW = None if matrix.everything() else 2  # of the modes


def same_words(shown, lines):
    """Whatever fits on the screen, wrapped or not, is what the serial port got."""
    words = " ".join(lines).split()
    return shown.words() == words[-len(shown.words()):] and len(shown.words()) > 20


def follow(machine, door, read):
    """The screen in the middle of a capture, and at its end."""
    machine.wait_console(rf"^afterimage \S+ via {door}(?=\n)", capture.CAPTURE_TIMEOUT_S)
    machine.freeze_at_reboot()  # looking at a screen takes longer than some captures
    machine.wait_console(MIDDLE, capture.CAPTURE_TIMEOUT_S)
    time.sleep(DRAWN_S)
    middle = read(machine)
    result = capture.watch_image(machine, machine.started, door=door)
    time.sleep(DRAWN_S)
    return middle, read(machine), result


def check(middle, end, result):
    assert result.state == "complete", result.lines
    assert same_words(end, result.lines), end.rows
    assert end.permille == 1000 and end.percent == "100%"
    assert 0 < middle.permille <= 1000 and middle.percent == f"{middle.permille // 10}%"
    assert middle.rows[0] == end.rows[0] == result.lines[0]


def uefi_words(folder, story):
    """QEMU's words for the firmware that the victim of @story knew, its mind made up."""
    shutil.copyfile(story.folder / uefi.VARIABLES, folder / uefi.VARIABLES)
    return uefi.flash(folder)


@pytest.mark.parametrize("display,mode", [(VGA, PICTURE_MODE), (BOCHS, (1366, 768)),
                                          (VGA, (1920, 1080))][:FEW],
                         ids=["800x600", "1366x768", "1920x1080"][:FEW])
def test_uefi(display, mode, uefi_first, tmp_path, step):
    pictures = []

    def read(machine):
        pictures.append(screen.take(machine))
        return screen.read(pictures[-1])

    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1")
    words = (*uefi_words(tmp_path, uefi_first), *display.format(*mode).split())
    with capture.power_on(tmp_path, disk, uefi_first.crash, extra=words) as machine:
        middle, end, result = follow(machine, "uefi", read)
    check(middle, end, result)
    assert (end.width, end.height) == mode
    if mode == PICTURE_MODE:
        (tools.BUILD / PICTURE).write_bytes(png.from_ppm(pictures[0]))
    step(f"{mode[0]}x{mode[1]}: {middle.percent}, then {end.percent}")


@pytest.mark.parametrize("mode,size", [("800x600x16", (800, 600)), ("3840x2160x32", (3840, 2160)),
                                       ("1024x768x24", (1024, 768))][:FEW],
                         ids=["16 bits", "3840x2160", "24 bits"][:FEW])
def test_grub(mode, size, first, tmp_path, step):
    """GRUB tells of its framebuffer in the zero page: 16, 24 and 32 bits a pixel."""
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1")
    cd = grub_cd(tmp_path, mode, f"dump={tools.dump_entry(disk)[2]}")
    with capture.power_on(tmp_path, disk, first.crash, cd=cd,
                          extra=("-global", "VGA.vgamem_mb=64")) as machine:
        middle, end, result = follow(machine, "linux", lambda m: screen.read(screen.take(m)))
    check(middle, end, result)
    assert (end.width, end.height) == size
    step(f"{mode}: {middle.percent}, then {end.percent}")


def grub_cd(folder, mode, words):
    content = folder / "cd"
    content.mkdir()
    shutil.copy(tools.program("afterimage.bzimage"), content)
    return victim.make_grub_cd(content, GRUB_CONFIG.format(mode=mode, words=words),
                               folder / "grub.iso")


def test_panic(kernel, tmp_path, monkeypatch, step):
    """The old kernel was started in a graphics mode and had no driver that changed it."""
    monkeypatch.setattr(victim, "GRUB_CONFIG", victim.GRUB_CONFIG.replace(
        "set timeout=0\n", GRAPHICS.format(mode="1024x768x32")))
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1")
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=kexec.make_cd(kernel, tmp_path))
    with kexec.start(setup, "kexec_file_load", step=step).machine as machine:
        result = kexec.crash_and_capture(machine)
        time.sleep(DRAWN_S)
        end = screen.read(screen.take(machine))
    lines = [line for line in result.lines if not line.startswith("afterimage-test")]
    assert result.state == "complete"
    assert end.rows[0] == lines[0] and same_words(end, lines), end.rows
    assert end.permille == 1000 and end.percent == "100%"


def test_failure_has_no_bar(disk, tmp_path):
    """Nothing to capture: the reason is on the screen, and no bar."""
    cd = grub_cd(tmp_path, "800x600x32", f"dump={tools.dump_entry(disk)[2]}")
    with capture.power_on(tmp_path, disk, cd=cd) as machine:
        result = capture.watch_image(machine, machine.started, door="linux")
        time.sleep(DRAWN_S)
        end = screen.read(screen.take(machine))
    assert result.state == "none"
    assert same_words(end, result.lines), end.rows
    assert end.permille is None and end.percent == ""


def test_serial_alone_leaves_the_screen(first, tmp_path):
    """console=serial: nothing is drawn."""
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1")
    cd = grub_cd(tmp_path, "800x600x32", f"dump={tools.dump_entry(disk)[2]} console=serial")
    with capture.power_on(tmp_path, disk, first.crash, cd=cd) as machine:
        result = capture.watch_image(machine, machine.started, door="linux")
        time.sleep(DRAWN_S)
        end = screen.read(screen.take(machine))
    assert result.state == "complete"
    assert end.permille is None and "complete:" not in end.words()


def test_bios_text_mode(first, disk, tmp_path, step):
    """80 columns without wrapping between words: compared letter by letter."""
    disk = tools.make_disk(tmp_path / "other.img", "2G", "--level", "1")
    with capture.power_on(tmp_path, disk, first.crash) as machine:
        middle, end, result = follow(machine, "bios", screen.read_text_mode)
    assert result.state == "complete"
    rows = [line[i:i + 80] for line in result.lines for i in range(0, len(line), 80)]
    assert list(end.rows[:len(rows)]) == [row.rstrip() for row in rows]
    assert not any(end.rows[len(rows):])
    assert end.permille == 1000 and end.percent == "100%"
    assert 0 < middle.permille <= 1000
    step(f"text mode: {middle.percent}, then {end.percent}")
