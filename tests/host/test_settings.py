"""mkdumpdisk --settings: what a prepared dump disk does when it is started is shown and changed,
and nothing else on it is."""

import hashlib
import json
import os
import re
import shutil
import struct

import pytest

from hosttools import check, done, refused, run
from kexectree import BUILD, MIB, TOOL
from logimage import crc32c

SETTINGS = "::/EFI/afterimage/afterimage.cfg"
AREA, ESP, DUMP = MIB, 2 * MIB, 66 * MIB
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"


def prepare(folder, sector):
    disk = folder / "dump.img"
    check(TOOL, "--size", "100M", "--sector-size", sector, "--menu", 5, "--console",
          "serial:1:9600", "--yes", disk)
    return disk


@pytest.fixture(scope="module", name="prepared")
def make_prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("disk"), 512)


@pytest.fixture
def disk(prepared, tmp_path):
    return shutil.copy(prepared, tmp_path / "dump.img")


def settings(*args, **kw):
    return run(TOOL, "--settings", *args, **kw)


def part(disk, start, end=None):
    with open(disk, "rb") as f:
        f.seek(start)
        return f.read(-1 if end is None else end - start)


def words(disk):
    return check("mtype", "-i", f"{disk}@@{ESP}", SETTINGS)


def header(disk):
    """Console, port, baud, flags, seconds; the seal must be good."""
    h = part(disk, AREA, AREA + 96)
    assert struct.unpack_from("<I", h, 20)[0] == crc32c(h[:20] + bytes(4) + h[24:])
    console, port, baud = struct.unpack_from("<BxHI", h, 40)
    return (console, port, baud, h[52], h[53])


def facts(disk):
    return json.loads(done(settings("--json", disk)))


@pytest.mark.parametrize("args,fields,line", [
    (["--auto"], (1, 0x2f8, 9600, 1, 5), "console=serial:0x2f8:9600 menu=5 auto"),
    (["--auto=on", "--menu", "60"], (1, 0x2f8, 9600, 1, 60),
     "console=serial:0x2f8:9600 menu=60 auto"),
    (["--menu", "0"], (1, 0x2f8, 9600, 0, 0), "console=serial:0x2f8:9600 menu=0"),
    (["--auto=off"], (1, 0x2f8, 9600, 0, 5), "console=serial:0x2f8:9600 menu=5"),
    (["--console", "screen"], (2, 0x3f8, 115200, 0, 5), "console=screen menu=5"),
])
def test_change(prepared, disk, args, fields, line):
    uuid = words(disk).split()[0]
    out = done(settings(*args, disk))
    assert header(disk) == fields and words(disk) == f"{uuid} {line}\n"
    assert ("automatic: captures" in out) == bool(fields[3])
    assert ("--boot-entry=first" in out) == bool(fields[3])
    found = facts(disk)
    assert (found["automatic"], found["menu_seconds"]) == (bool(fields[3]), fields[4])
    assert found["console"]["port"] == fields[1] and f"dump={found['uuid']}" == uuid
    # Nothing else changed: the sector, the image, the dump partition; the other files.
    for start, end in ((0, AREA), (AREA + 96, ESP), (DUMP, None)):
        assert part(disk, start, end) == part(prepared, start, end)
    assert part(disk, AREA, AREA + 20) == part(prepared, AREA, AREA + 20)
    assert part(disk, AREA + 24, AREA + 40) == part(prepared, AREA + 24, AREA + 40)
    assert part(disk, AREA + 54, AREA + 96) == part(prepared, AREA + 54, AREA + 96)
    with open(os.path.join(BUILD, "afterimage.efi"), "rb") as f:
        image = f.read()
    for name in ("BOOT/BOOTX64.EFI", "afterimage/afterimage.efi"):
        copy = disk.parent / "copy"
        check("mcopy", "-n", "-i", f"{disk}@@{ESP}", f"::/EFI/{name}", copy)
        assert copy.read_bytes() == image
        copy.unlink()
    esp = disk.parent / "esp"
    esp.write_bytes(part(disk, ESP, DUMP))
    check("fsck.fat", "-n", esp)


def test_large_blocks(tmp_path):
    disk = prepare(tmp_path, 4096)
    before = part(disk, AREA + 96, ESP) + part(disk, DUMP)
    done(settings("--auto", "--console", "serial,screen", disk))
    assert header(disk) == (3, 0x3f8, 115200, 1, 5) and words(disk).endswith(" menu=5 auto\n")
    assert part(disk, AREA + 96, ESP) + part(disk, DUMP) == before


def test_and_back(prepared, disk):
    """What is asked for twice is the same; all can be taken back."""
    for args in (["--auto"], ["--auto"], ["--auto=off"]):
        done(settings(*args, disk))
    assert header(disk) == header(prepared) and words(disk) == words(prepared)
    done(settings("--auto", "--auto=off", "--menu", "1", "--menu", "5", disk))
    assert header(disk) == header(prepared)


def digest(disk):
    return hashlib.sha256(part(disk, 0)).digest()


@pytest.mark.parametrize("args", [[], ["--dry-run", "--auto", "--menu", "9"], ["--json"]])
def test_look(disk, args):
    before = digest(disk)
    out = done(settings(*args, disk))
    assert digest(disk) == before
    if "--json" in args:
        assert json.loads(out)["written"] is False
        return
    assert ("nothing was written (--dry-run)" in out) == ("--dry-run" in args)
    assert ("waits 9 s" if args else "waits 5 s") in out and "serial port 0x2f8 at 9600" in out


def test_read_only_disk_can_be_looked_at(disk, loop):
    """Not by its mode: root, who runs these tests, may write to any file."""
    dev = loop("-r", disk)
    assert "captures whenever it is booted" in done(settings(dev))
    refused(settings("--auto", dev), dev, "", "")


def test_a_dump_disk_that_does_not_come_back(tmp_path):
    disk = tmp_path / "d.img"
    check(TOOL, "--size", "100M", "--after", "halt", "--yes", disk)
    assert "warning: after a capture the machine stands still" in done(settings("--auto", disk))
    assert "stands still" in facts(disk)["warning_after"]
    assert "warning" not in done(settings("--auto=off", disk))


def test_survey_stays(disk):
    check(TOOL, "--survey", "--yes", disk)
    before = part(disk, DUMP)
    done(settings("--auto", disk))
    assert part(disk, DUMP) == before


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("args,text", [
    (["--settings"], "no TARGET given"), (["--settings", "a", "b"], "more than one TARGET"),
    (["--settings", "--auto=maybe", "a"], "--auto: 'maybe' is neither on nor off"),
    (["--settings", "--level", "1", "a"], "--level is for preparing a disk; --settings changes"),
    (["--settings", "--force", "a"], "--force is for preparing"),
    (["--settings", "--check", "a"], "--settings and --check are two things"),
    (["--settings", "--survey", "a"], "--settings and --survey are two things"),
    (["--settings", "--kexec", "a"], "--settings and --kexec are two things"),
    (["--settings", "--boot-entry", "a"], "--settings and --boot-entry are two things"),
    (["--settings", "--image", "i", "a"], "--settings takes no image"),
    (["--settings", "--efi-image", "i", "a"], "--settings takes no image"),
    (["--settings", "--root", "/", "a"], "--root"), (["--settings=x", "a"], "not with a value"),
    (["--kexec", "--auto=off", "a"], "--auto is for preparing a disk, --settings, --boot-entry"),
    (["--grub", "--auto=off", "a"], "--auto is not for --grub"),
])
def test_usage(args, text):
    refused(run(TOOL, *args), "", re.escape(text), "--help", code=2)


def patch(disk, at, data):
    with open(disk, "r+b") as f:
        f.seek(at)
        f.write(data)


@pytest.mark.parametrize("at,data,text", [
    (AREA + 53, b"\x09", "a damaged one"), (AREA + 4096, b"\x11\x22\x33", "a damaged one"),
    (AREA + 12, b"\1", "of another version"), (428, b"GRUB", "no boot area of its own"),
    (416, b"\xff" * 8, "no boot area of its own")])
def test_damaged(disk, at, data, text):
    patch(disk, at, data)
    before = digest(disk)
    for args in ([], ["--auto"]):
        refused(settings(*args, disk), disk, text, "prepare the disk again")
    assert digest(disk) == before


def test_another_dump_partition(disk):
    """The settings are whole, but tell of another place."""
    h = bytearray(part(disk, AREA, AREA + 96))
    struct.pack_into("<Q", h, 64, 1)
    struct.pack_into("<I", h, 20, crc32c(bytes(h[:20] + bytes(4) + h[24:])))
    patch(disk, AREA, h)
    refused(settings("--auto", disk), disk, "for another dump partition", "prepare the disk again")


def test_damaged_esp(disk):
    patch(disk, ESP, bytes(4096))
    before = digest(disk)
    for args in ([], ["--dry-run"]):
        refused(settings("--auto", *args, disk), disk, "mcopy failed", "mtools")
    assert digest(disk) == before


def test_not_a_dump_disk(disk, tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(bytes(MIB))
    refused(settings("--auto", empty), empty, "is not a dump disk", "prepare it first")
    refused(settings(tmp_path / "none"), tmp_path / "none", "does not exist", "name a dump disk")
    alone = tmp_path / "part"
    alone.write_bytes(part(disk, DUMP, DUMP + 33 * MIB))
    refused(settings(alone), alone, "is a dump partition, and has no settings in it",
            "to --boot-entry, --systemd-boot or --grub again")


def test_mounted(disk, loop, tmp_path):
    """Its EFI system partition is written behind nobody's back."""
    dev = loop(disk)
    run("partx", "-a", dev)
    check("partx", "-u", dev)
    check("mkfs.ext2", "-q", "-F", f"{dev}p2")  # not every kernel has FAT
    point = tmp_path / "mnt"
    point.mkdir()
    check("mount", f"{dev}p2", point)
    try:
        for args in ([], ["--dry-run"]):
            refused(settings("--auto", *args, dev), dev, "mounted", "unmount")
        done(settings(dev))
    finally:
        check("umount", point)
        run("partx", "-d", dev)
    assert header(disk)[3] == 0


def test_every_write_can_fail(prepared, disk, shim):
    """The settings of each way to start are the old or the new ones, whole."""
    old, new = words(prepared), None
    for n in range(1, 60, 3):
        shutil.copy(prepared, disk)
        env = dict(os.environ, LD_PRELOAD=str(shim), FAIL_AT=str(n), FAIL_PROGRAM="mkdumpdisk")
        r = settings("--auto", disk, env=env)
        if r.returncode == 0:
            break
        assert r.returncode == 1 and r.stderr.count("\n") == 1
        assert header(disk) in ((1, 0x2f8, 9600, 0, 5), (1, 0x2f8, 9600, 1, 5))
        assert part(disk, DUMP) == part(prepared, DUMP)
        done(settings("--auto", disk))  # the next try puts it right
        new = words(disk)
        assert new == old.rstrip("\n") + " auto\n" and header(disk)[3] == 1
    assert new and n > 4
