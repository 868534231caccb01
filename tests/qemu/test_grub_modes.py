"""The image started by Multiboot in every mode that GRUB leaves behind, with every compressor,
with wrong words, and by another loader."""

import time

import pytest

import capture
import png
import screen
import tools
import uefi
import victim
from machine import GIB, Machine, Setup
from test_grub_multiboot import DRAWN_S, check_graphics, check_text_mode, grub_cd

MODE = """\
insmod all_video
set timeout=0
{command} /afterimage.elf {words}
set gfxpayload={mode}
echo
boot
"""


def boot(folder, disk, crash, mode, command, platform=victim.BIOS, **options):
    """The image started in a graphics mode of GRUB's: the result, and what the screen shows, as a
    picture and as text."""
    words = f"dump={tools.dump_entry(disk)[2]}"
    cd = grub_cd(folder, MODE.format(command=command, words=words, mode=mode), platform)
    with capture.power_on(folder, disk, crash, cd=cd, **options) as machine:
        result = capture.watch_image(machine, machine.started, door="multiboot")
        time.sleep(DRAWN_S)
        picture = screen.take(machine)
        text = screen.read_text_mode(machine)
        machine.screenshot(tools.BUILD / f"grub-{platform}-{command}-{mode}.png")
    return result, picture, text


MODES = [(mode, command, platform) for platform in (victim.BIOS, victim.UEFI)
         for command in ("multiboot", "multiboot2")
         for mode in ("text", "800x600x8", "800x600x16", "800x600x24", "800x600x32",
                      "1920x1080x32", "keep")]


def is_grey(picture):
    """Letters have about as much of each colour."""
    _, _, lines = png.lines(picture)
    bright = [line[at:at + 3] for line in lines for at in range(0, len(line), 3)
              if max(line[at:at + 3]) > screen.INK * 2]
    return bright and all(max(pixel) - min(pixel) < 0x30 for pixel in bright)


@pytest.mark.parametrize("mode,command,platform", MODES,
                         ids=["-".join(words) for words in MODES])
def test_modes(mode, command, platform, disk, tmp_path):
    """Whatever GRUB leaves behind, the screen shows what can be shown on it. There is nothing to
    capture."""
    is_bios = platform == victim.BIOS
    extra = () if is_bios else uefi.flash(tmp_path)
    result, picture, text = boot(tmp_path, disk, None, mode, command, platform,
                                 extra=(*extra, "-global", "VGA.vgamem_mb=64"))
    assert (result.state, result.code) == ("none", 17), result.lines
    if is_bios and (mode == "text" or mode == "keep" and command == "multiboot"):
        check_text_mode(text, result.lines)
    elif mode != "800x600x8":  # a palette: the serial port has it
        check_graphics(screen.read(picture), result.lines)
        assert is_grey(picture)


@pytest.mark.parametrize("method", ["none", "lzf", "zlib"])
@pytest.mark.parametrize("command", ["multiboot", "multiboot2"])
def test_compressors(method, command, first, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1", "--compress", method)
    result, _, _ = boot(tmp_path, disk, first.crash, "text", command)
    assert result.state == "complete", result.lines
    step(f"{command} {method}: {tools.info(disk)['dump']['compress']}, {result.written_bytes}")
    tools.getdump("verify", disk)


def test_loader_without_a_map(tmp_path):
    """QEMU's own loader has its memory map where the image goes, and overwrites it."""
    disk = tools.make_disk(tmp_path / "dump.img", "2G")
    words = f"dump={tools.dump_entry(disk)[2]}"
    setup = Setup(ram_file=tmp_path / "ram", ram_bytes=GIB, disk=disk,
                  extra=("-kernel", str(tools.program("afterimage.elf")), "-append", words))
    with Machine(setup) as machine:
        result = capture.watch_image(machine, machine.started, door="multiboot")
    assert (result.state, result.code) == ("none", 41), result.lines


@pytest.mark.parametrize("words,code", [("dump=nonsense", 48),
                                        ("dump=00000000-0000-0000-0000-000000000001", 30)])
def test_wrong_words(words, code, first, disk, tmp_path):
    cd = grub_cd(tmp_path, MODE.format(command="multiboot", words=words, mode="text"))
    with capture.power_on(tmp_path, disk, first.crash, cd=cd) as machine:
        result = capture.watch_image(machine, machine.started, door="multiboot")
    assert (result.state, result.code) == ("none", code), result.lines
