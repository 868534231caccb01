"""mkdumpdisk as its users see it: image files, loop devices, and every refusal.

The boot image here is made up; the fields that mkdumpdisk checks and fills are real.
Loop devices and mounts need root: without it those tests are skipped and say so.
"""

import hashlib
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import time
import uuid

import pytest

from efifile import efi_file
from hosttools import check, run

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
TOOL = os.path.join(BUILD, "mkdumpdisk")
GETDUMP = os.path.join(BUILD, "getdump")
MIB = 1 << 20
SIZE = 160 * MIB
DUMP_TYPE = "3F5D8C62-6B0E-4E2C-9A41-AF7E1D0B5C90"
BOOT_TYPE = "21686148-6449-6E6F-744E-656564454649"
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
SLOTS = 64
SURVEY = 65536  # bytes of its record

os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for loop devices")


# --- helpers -------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(block):
    """The last four bytes of 512 set to the checksum of the rest and four zeros."""
    return block[:508] + struct.pack("<I", crc32c(block[:508] + bytes(4)))


def mk(*args, **kw):
    return run(TOOL, *args, **kw)


def made(*args, **kw):
    r = mk(*args, **kw)
    assert r.returncode == 0, r.stderr
    assert r.stderr == ""
    return r.stdout


def refused(r, target, words, todo, code=1):
    """One line `mkdumpdisk: TARGET: what; what to do` and nothing on stdout."""
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    assert r.stdout == ""
    lines = r.stderr.splitlines()
    assert len(lines) == 1, r.stderr
    assert lines[0].startswith(f"mkdumpdisk: {target}: "), lines[0]
    what, _, advice = lines[0].rpartition("; ")
    assert re.search(words, what), lines[0]
    assert re.search(todo, advice), lines[0]


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(MIB):
            h.update(chunk)
    return h.hexdigest()


def read_at(path, offset, count):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(count)


def write_at(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def sparse(path, size=SIZE):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def fake_boot_image(path, image_bytes=50064):
    header = b"\x90" * 4 + b"AFTRBOOT" + struct.pack("<III", 2, image_bytes, 0xDEAD)
    body = bytes((i * 7 + 3) & 255 for i in range(image_bytes - 96))
    sector = bytearray((i * 3 + 1) & 255 for i in range(512))
    sector[428:432] = b"AIMB"
    path.write_bytes(bytes(sector) + header.ljust(96, b"\0") + body)
    return path


@pytest.fixture
def mbr(tmp_path):
    return fake_boot_image(tmp_path / "boot.mbr")


@pytest.fixture
def mounted(tmp_path):
    """Mounts devices; unmounts them in the end. Asked for after loop, so undone before it."""
    points = []

    def mount(device):
        points.append(tmp_path / f"mnt{len(points)}")
        points[-1].mkdir()
        check("mount", device, points[-1])
        return points[-1]

    yield mount
    for point in points:
        check("umount", point)


def add_partitions(dev):
    """By partx, for kernels that were built without the table's format."""
    run("partx", "-a", dev)
    check("partx", "-u", dev)


def partition_start(dev, number):
    """As the kernel sees it, in bytes; None if it sees no such partition."""
    name = os.path.basename(dev)
    path = f"/sys/block/{name}/{name}p{number}/start"
    if not os.path.exists(path):
        return None
    with open(path, encoding="ascii") as f:
        return int(f.read()) * 512


def parse_super(block):
    names = ("magic version block_bytes uuid blocks slots level compressor after overwrite zero "
             "created label").split()
    s = dict(zip(names, struct.unpack_from("<8sII16sQIIIIIIQ64s", block)))
    assert s["magic"] == b"AFTRSUP1" and s["version"] == 1 and s["zero"] == 0
    assert struct.unpack_from("<I", block, 136)[0] * s["block_bytes"] == SURVEY
    assert not any(block[140:508]) and not any(block[512:])
    assert block[508:512] == sealed(block)[508:]
    s["label"] = s["label"].split(b"\0")[0].decode()
    return s


def check_dump_area(path, start, size, sector):
    """Both superblocks and both directories; the superblock."""
    first = read_at(path, start, sector)
    assert first == read_at(path, start + size - sector, sector)
    s = parse_super(first)
    assert s["block_bytes"] == sector and s["blocks"] == size // sector and s["slots"] == SLOTS
    assert abs(s["created"] - time.time()) < 600
    assert not any(read_at(path, start + sector, SLOTS * sector))
    tail = (1 + SLOTS) * sector + SURVEY
    assert not any(read_at(path, start + size - tail, tail - sector))
    return s


def read_gpt(path, sector, size):
    """Header and partitions; both tables and their checksums checked by hand."""
    import zlib

    def table(lba):
        h = bytearray(read_at(path, lba * sector, 92))
        assert h[:8] == b"EFI PART"
        crc, = struct.unpack_from("<I", h, 16)
        h[16:20] = bytes(4)
        assert zlib.crc32(h) == crc
        my, other, first, last = struct.unpack_from("<QQQQ", h, 24)
        entries_lba, count, entry_bytes, entries_crc = struct.unpack_from("<QIII", h, 72)
        entries = read_at(path, entries_lba * sector, count * entry_bytes)
        assert my == lba and zlib.crc32(entries) == entries_crc
        return other, first, last, entries

    last_lba = size // sector - 1
    backup, first, last, entries = table(1)
    assert backup == last_lba
    assert table(last_lba)[3] == entries
    parts = []
    for i in range(0, len(entries), 128):
        e = entries[i:i + 128]
        start, end = struct.unpack_from("<QQ", e, 32)
        if any(e[:16]):
            assert first <= start <= end <= last
            parts.append({"type": str(uuid.UUID(bytes_le=e[:16])).upper(), "uuid": e[16:32],
                          "start": start * sector, "bytes": (end - start + 1) * sector,
                          "name": e[56:128].decode("utf-16-le").rstrip("\0")})
    return parts


def check_boot(path, mbr, sector, uuid_bytes, console=(3, 0x3F8, 115200), start=(0, 3)):
    """@start: flags and seconds."""
    source = mbr.read_bytes()
    code = read_at(path, 0, 440)
    assert code[:416] == source[:416] and code[432:] == source[432:440]
    image_bytes = len(source) - 512
    assert struct.unpack_from("<QHHI", code, 416) == (
        MIB // sector, -(-image_bytes // sector), sector, 0x424D4941)
    image = read_at(path, MIB, image_bytes)
    header = image[:96]
    assert header[:20] == source[512:532] and image[96:] == source[608:]
    assert header[24:40] == uuid_bytes
    assert struct.unpack_from("<BBHI", header, 40) == (console[0], 0, console[1], console[2])
    assert struct.unpack_from("<I", header, 48) == (crc32c(image[96:]),)
    with open(path, "rb") as f:
        dump = read_gpt(path, sector, f.seek(0, os.SEEK_END))[2]
    blocks, = struct.unpack_from("<Q", read_at(path, dump["start"], 48), 32)
    assert blocks == dump["bytes"] // sector
    survey_lba = dump["start"] // sector + blocks - 1 - SLOTS - SURVEY // sector
    assert struct.unpack_from("<BBH8xQQ", header, 52) == (
        *start, 1 + SLOTS, dump["start"] // sector, survey_lba)
    assert not any(header[56:64]) and not any(header[80:96])
    crc, = struct.unpack_from("<I", header, 20)
    assert crc == crc32c(header[:20] + bytes(4) + header[24:])
    assert not any(read_at(path, MIB + image_bytes, MIB - image_bytes))


def check_protective_mbr(path, sector, size):
    """UEFI 2.10 s5.2.3: one entry of type 0xee over the whole disk, nothing else."""
    tail = read_at(path, 440, 72)
    assert tail[:6] == bytes(6) and tail[70:] == b"\x55\xaa"
    entry = tail[6:22]
    assert entry[0] == 0 and entry[4] == 0xEE
    assert struct.unpack_from("<II", entry, 8) == (1, size // sector - 1)
    assert not any(tail[22:70])
    assert not any(read_at(path, 512, sector - 512))


def check_esp(path, sector, tmp_path):
    esp = tmp_path / "esp.img"
    with open(path, "rb") as f:
        f.seek(2 * MIB)
        esp.write_bytes(f.read(64 * MIB))
    out = check("fsck.fat", "-n", "-v", esp)
    assert f"{sector} bytes per logical sector" in out
    assert f"{2 * MIB // sector} hidden sectors" in out
    assert f"{64 * MIB // sector} sectors total" in out
    assert ("32 bit entries" if sector == 512 else "16 bit entries") in out
    assert "is AFTERIMAGE" in check("mdir", "-i", f"{path}@@2M", "::")


def check_disk(path, mbr, tmp_path, sector=512, size=SIZE, console=(3, 0x3F8, 115200),
               start=(0, 3)):
    parts = read_gpt(path, sector, size)
    assert [(p["type"], p["start"], p["name"]) for p in parts] == [
        (BOOT_TYPE, MIB, "afterimage boot"), (ESP_TYPE, 2 * MIB, "afterimage EFI"),
        (DUMP_TYPE, 66 * MIB, "afterimage dump")]
    assert [p["bytes"] for p in parts[:2]] == [MIB, 64 * MIB]
    dump = parts[2]
    assert (size - 2 * MIB) <= dump["start"] + dump["bytes"] < size
    s = check_dump_area(path, dump["start"], dump["bytes"], sector)
    assert s["uuid"] == dump["uuid"]
    check_boot(path, mbr, sector, s["uuid"], console, start)
    check_protective_mbr(path, sector, size)
    check_esp(path, sector, tmp_path)
    return s


def dump_slot(super_block, generation=1, state=2, flags=0):
    disk_uuid = super_block["uuid"]
    first = 1 + SLOTS
    slot = struct.pack("<8sII16s16sIIII", b"AFTRDMP1", 1, generation, disk_uuid, b"d" * 16, 1,
                       state, flags, 0) + struct.pack("<QQQQQ", first, 10, 10, 5, 9)
    return sealed(slot.ljust(512, b"\0"))


# --- image files ---------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [512, 4096])
def test_new_image(tmp_path, mbr, sector):
    img = tmp_path / "disk.img"
    out = made("--size", "160M", "--sector-size", sector, "--image", mbr, "--yes", img)
    assert img.stat().st_size == SIZE
    assert img.stat().st_blocks * 512 < 8 * MIB
    s = check_disk(img, mbr, tmp_path, sector)
    assert (s["level"], s["compressor"], s["after"], s["overwrite"], s["label"]) == (31, 1, 0, 0, "")
    assert str(uuid.UUID(bytes_le=s["uuid"])) in out
    assert "dump level   31" in out and "boot menu" in out and "dry" not in out
    assert "note" not in out


def test_other_tools_agree(tmp_path, mbr):
    img = tmp_path / "disk.img"
    made("-s", "160M", "-i", mbr, "-y", img)
    assert "No problems found" in check("sgdisk", "-v", img)
    table = json.loads(check("sfdisk", "--json", img))["partitiontable"]
    assert table["label"] == "gpt" and table["sectorsize"] == 512
    assert [p["type"] for p in table["partitions"]] == [BOOT_TYPE, ESP_TYPE, DUMP_TYPE]
    assert not any(p.get("bootable") for p in table["partitions"])
    assert "dos" not in check("blkid", "-p", "-o", "value", "-s", "PTTYPE", img)


def test_big_image_is_sparse(tmp_path, mbr):
    img = tmp_path / "disk.img"
    made("--size", "4G", "--image", mbr, "--yes", img)
    assert img.stat().st_size == 4 << 30 and img.stat().st_blocks * 512 < 8 * MIB
    assert "No problems found" in check("sgdisk", "-v", img)


def test_all_settings(tmp_path, mbr):
    img = tmp_path / "disk.img"
    out = made("--size", "160M", "--image", mbr, "--yes", "--level", 1, "--compress", "zlib",
               "--after", "poweroff", "--overwrite", "oldest", "--label", "Käfig 7",
               "--console", "serial:1:9600", img)
    s = check_disk(img, mbr, tmp_path, console=(1, 0x2F8, 9600))
    assert (s["level"], s["compressor"], s["after"], s["overwrite"], s["label"]) == (
        1, 2, 1, 1, "Käfig 7")
    for word in ("dump level   1", "zlib", "poweroff", "oldest", "0x2f8 at 9600", "Käfig 7"):
        assert word in out


@pytest.mark.parametrize("text,fields", [
    ("serial", (1, 0x3F8, 115200)), ("screen", (2, 0x3F8, 115200)),
    ("serial,screen", (3, 0x3F8, 115200)), ("screen,serial:3", (3, 0x2E8, 115200)),
    ("serial:2:57600", (1, 0x3E8, 57600)), ("serial:0x5000:300,screen", (3, 0x5000, 300))])
def test_console(tmp_path, mbr, text, fields):
    img = tmp_path / "disk.img"
    made("--size", "100M", "--image", mbr, "--yes", "--console", text, img)
    s = check_dump_area(img, 66 * MIB, 33 * MIB, 512)
    check_boot(img, mbr, 512, s["uuid"], fields)


def settings_of(img):
    """The line that the UEFI application reads."""
    return check("mtype", "-i", f"{img}@@2M", "::/EFI/afterimage/afterimage.cfg")


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("args,start,words", [
    ([], (0, 3), "menu=3"), (["--menu", "0"], (0, 0), "menu=0"),
    (["--menu", "60"], (0, 60), "menu=60"), (["--auto"], (1, 3), "menu=3 auto"),
    (["--auto", "--menu", "1"], (1, 1), "menu=1 auto")])
def test_start(tmp_path, mbr, sector, args, start, words):
    img = tmp_path / "disk.img"
    text = made("--size", "160M", "--sector-size", sector, "--image", mbr, "--yes", *args, img)
    s = check_disk(img, mbr, tmp_path, sector, start=start)
    assert settings_of(img) == (f"dump={uuid.UUID(bytes_le=s['uuid'])} "
                                f"console=serial:0x3f8:115200,screen {words}\n")
    report = json.loads(made("--size", "160M", "--sector-size", sector, "--image", mbr, "--yes",
                             "--force", "--json", *args, img))
    assert (report["automatic"], report["menu_seconds"]) == (bool(start[0]), start[1])
    assert "warning_after" not in report and "warning" not in text
    assert report["next"] == text.splitlines()[-1].removeprefix("next: ")
    auto = ("start        automatic: captures a kernel that did not shut down in order, boots the "
            "next disk otherwise")
    assert (auto in text) == bool(start[0])
    assert ("start        captures whenever it is booted" in text) == (not start[0])
    assert (f"the console waits {start[1]} s for a key" if start[1] else "nobody is asked") in text
    for word in ("--boot-entry=first", "BIOS setup", "survey"):
        assert (word in report["next"]) == bool(start[0])


@pytest.mark.parametrize("after,words", [("reboot", None), ("halt", "stands still"),
                                         ("poweroff", "is switched off")])
def test_automatic_machine_that_does_not_come_back(tmp_path, mbr, after, words):
    img = tmp_path / "disk.img"
    args = ["--size", "100M", "--image", mbr, "--yes", "--force", "--after", after]
    text = made(*args, "--auto", img)
    report = json.loads(made(*args, "--auto", "--json", img))
    if words:
        assert words in report["warning_after"] and "--after reboot" in report["warning_after"]
        assert f"warning: {report['warning_after']}" in text.splitlines()
    else:
        assert "warning" not in text and "warning_after" not in report
    assert "warning" not in made(*args, img)


def test_every_disk_has_its_own_uuid(tmp_path, mbr):
    seen = set()
    for i in range(3):
        img = tmp_path / f"disk{i}.img"
        made("--size", "100M", "--image", mbr, "--yes", img)
        seen.add(read_at(img, 66 * MIB, 32)[16:])
    assert len(seen) == 3


def test_existing_empty_file_keeps_its_size(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img")
    made("--image", mbr, "--yes", img)
    check_disk(img, mbr, tmp_path)


@pytest.mark.parametrize("sector", [512, 4096])
def test_force_wipes_what_was_there(tmp_path, mbr, sector):
    img = tmp_path / "disk.img"
    img.write_bytes(os.urandom(SIZE))
    check("mkfs.ext4", "-q", "-F", "-E", "nodiscard", img)
    made("--force", "--sector-size", sector, "--image", mbr, "--yes", img)
    check_disk(img, mbr, tmp_path, sector)
    dump = read_gpt(img, sector, SIZE)[2]
    end = dump["start"] + dump["bytes"]
    table = 2 * sector + 16384
    assert not any(read_at(img, table, MIB - table))
    assert not any(read_at(img, dump["start"] + sector, MIB - sector))
    assert not any(read_at(img, end - MIB, MIB - sector))
    assert not any(read_at(img, end, SIZE - end - 16384 - sector))
    assert "ext4" not in run("wipefs", img).stdout


def test_force_replaces_file_with_new_size(tmp_path, mbr):
    img = tmp_path / "disk.img"
    img.write_bytes(b"x" * (200 * MIB))
    made("--size", "160M", "--force", "--image", mbr, "--yes", img)
    check_disk(img, mbr, tmp_path)
    assert img.stat().st_blocks * 512 < 8 * MIB


@pytest.mark.parametrize("sector", [512, 4096])
def test_least_size(tmp_path, mbr, sector):
    img = tmp_path / "disk.img"
    r = mk("--size", "1M", "--sector-size", sector, "--image", mbr, "--yes", img)
    refused(r, img, "is too small: 1.0 MiB .1048576 bytes., needs", "larger")
    assert not img.exists()
    need = int(re.search(r"needs .*\((\d+) bytes", r.stderr)[1])
    made("--size", need, "--sector-size", sector, "--image", mbr, "--yes", img)
    check_disk(img, mbr, tmp_path, sector, need)


def test_dry_run(tmp_path, mbr):
    img = tmp_path / "disk.img"
    out = made("--dry-run", "--size", "160M", "--image", mbr, img)
    assert not img.exists()
    assert "would become" in out and "nothing was written" in out
    sparse(img)
    before = digest(img)
    report = json.loads(made("--dry-run", "--json", "--image", mbr, img))
    assert report["dry_run"] is True and digest(img) == before
    real = made("--size", "160M", "--force", "--image", mbr, "--yes", img)
    assert real.splitlines()[1:4] == out.splitlines()[1:4]


def test_json(tmp_path, mbr):
    img = tmp_path / "disk.img"
    j = json.loads(made("--json", "--size", "160M", "--image", mbr, "--yes", "--label", 'a"b', img))
    s = check_disk(img, mbr, tmp_path)
    assert j["target"] == str(img) and j["kind"] == "image" and j["dry_run"] is False
    assert j["bytes"] == SIZE and j["sector_bytes"] == 512
    assert j["uuid"] == str(uuid.UUID(bytes_le=s["uuid"])) and j["label"] == 'a"b'
    assert j["capacity_bytes"] == (s["blocks"] - 2 - 2 * SLOTS) * 512 - SURVEY
    assert j["console"] == {"serial": True, "port": 0x3F8, "baud": 115200, "screen": True}
    assert [p["start_bytes"] for p in j["partitions"]] == [MIB, 2 * MIB, 66 * MIB]
    assert (j["level"], j["compress"], j["after"], j["overwrite"]) == (31, "lzf", "reboot", "never")


# --- where the boot image is found ---------------------------------------------------------


def test_boot_image_beside_program_then_in_lib(tmp_path, mbr):
    bindir, lib = tmp_path / "p" / "bin", tmp_path / "p" / "lib" / "afterimage"
    bindir.mkdir(parents=True)
    lib.mkdir(parents=True)
    tool = bindir / "mkdumpdisk"
    shutil.copy(TOOL, tool)
    img = tmp_path / "disk.img"
    args = ("--size", "100M", "--force", "--yes", img)
    refused(run(tool, *args), img, "afterimage.mbr is neither in .*/p/bin nor in", "--image FILE")
    assert not img.exists()
    installed = fake_boot_image(lib / "afterimage.mbr", 30000)
    refused(run(tool, *args), img, "afterimage.efi is neither in .*/p/bin nor in",
            "--efi-image FILE")
    assert not img.exists()
    (lib / "afterimage.efi").write_bytes(efi_file())
    assert run(tool, *args).returncode == 0
    check_boot(img, installed, 512, read_at(img, 66 * MIB, 32)[16:])
    beside = fake_boot_image(bindir / "afterimage.mbr", 20000)
    assert run(tool, *args).returncode == 0
    check_boot(img, beside, 512, read_at(img, 66 * MIB, 32)[16:])


def spoil(offset):
    def change(data):
        return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1:]
    return change


@pytest.mark.parametrize("change,words", [
    (spoil(512 + 4), "image's mark"), (spoil(428), "boot sector's mark"),
    (spoil(512 + 12), "another version"), (lambda d: d[:-1], "cut short"),
    (lambda d: d + b"x", "cut short"), (lambda d: d[:500], "too short"),
    (lambda d: b"", "too short"), (lambda d: d + bytes(200 * 1024), "too long")])
def test_bad_boot_image(tmp_path, mbr, change, words):
    img = tmp_path / "disk.img"
    mbr.write_bytes(change(mbr.read_bytes()))
    refused(mk("--size", "100M", "--image", mbr, "--yes", img), mbr, words, "make|--image")
    assert not img.exists()


def test_boot_image_cannot_be_read(tmp_path):
    img = tmp_path / "disk.img"
    for bad in (tmp_path / "absent", tmp_path):
        refused(mk("--size", "100M", "--image", bad, "--yes", img), bad, "cannot read", "--image")
    assert not img.exists()


def test_largest_boot_image(tmp_path):
    img = tmp_path / "disk.img"
    for sector in (512, 4096):
        mbr = fake_boot_image(tmp_path / "big.mbr", 160 * 1024)
        made("--size", "100M", "--sector-size", sector, "--force", "--image", mbr, "--yes", img)
        check_boot(img, mbr, sector, read_at(img, 66 * MIB, 32)[16:])


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("args,words", [
    ([], "no TARGET"), (["a", "b"], "more than one TARGET"), (["--level", "32", "a"], "0-31"),
    (["--level", "-1", "a"], "0-31"), (["--level", "x", "a"], "0-31"),
    (["--compress", "zstd", "a"], "zstd does not fit the boot image; use lzf or zlib"),
    (["--compress", "gzip", "a"], "gzip"), (["--after", "sleep", "a"], "sleep"),
    (["--overwrite", "all", "a"], "all"), (["--size", "0", "a"], "--size"),
    (["--size", "4X", "a"], "--size"), (["--size", "99999999T", "a"], "--size"),
    (["--sector-size", "1024", "a"], "512 or 4096"), (["--label", "x" * 64, "a"], "63"),
    (["--label", "a\nb", "a"], "printable"), (["--label", b"\xff", "a"], "printable"),
    (["--nonsense", "a"], "--nonsense"), (["-Q", "a"], "-Q"), (["--level"], "--level"),
    (["--console", "", "a"], "--console"), (["--console", "serial:4", "a"], "--console"),
    (["--console", "serial:0:7", "a"], "--console"),
    (["--console", "serial:0:1", "a"], "--console"), (["--console", "serial:0:0", "a"], "--console"),
    (["--console", "serial:0x10", "a"], "--console"), (["--console", "seriall", "a"], "--console"),
    (["--console", "serial:0x3f8x", "a"], "--console"), (["--console", "vga", "a"], "--console"),
    (["--console", "screen,", "a"], "--console"), (["--console", "s" * 100, "a"], "--console"),
    (["--menu", "61", "a"], "'61' is not 0-60 seconds"), (["--menu", "-1", "a"], "0-60 seconds"),
    (["--menu", "", "a"], "0-60 seconds"), (["--menu", "3s", "a"], "0-60 seconds"),
    (["--menu", "99999999999999999999", "a"], "0-60 seconds"), (["--menu"], "needs a value")])
def test_usage(tmp_path, args, words):
    r = subprocess.run([TOOL] + args, capture_output=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    err = r.stderr.decode("utf-8", "replace")
    assert r.returncode == 2 and r.stdout == b""
    assert err.startswith("mkdumpdisk: ") and words in err and "--help" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_help_and_version():
    out = made("--help")
    for option in ("size", "level", "compress", "after", "console", "overwrite", "label", "force",
                   "yes", "dry-run", "json", "image", "sector-size", "help", "version"):
        assert f"--{option}" in out
    for bit in ("1 zero", "2 page cache", "4 all page", "8 user", "16 free", "31"):
        assert bit in out
    assert re.fullmatch(r"mkdumpdisk \d+\.\d+\.\d+\n", made("--version"))


def test_output_that_cannot_be_written(tmp_path, mbr):
    with open("/dev/full", "w") as full:
        r = subprocess.run([TOOL, "--help"], stdout=full, stderr=subprocess.PIPE)
        assert r.returncode == 1 and b"cannot be written" in r.stderr
        r = subprocess.run([TOOL, "--size", "100M", "--image", mbr, "--yes", tmp_path / "d.img"],
                           stdout=full, stderr=subprocess.PIPE, text=True)
        assert r.returncode == 1 and "report could not be printed" in r.stderr


def test_not_a_disk(tmp_path, mbr):
    fifo, sock = tmp_path / "fifo", tmp_path / "sock"
    os.mkfifo(fifo)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(sock))
    for path, words in ((tmp_path, "is a directory"), ("/dev/null", "is a character device"),
                        (fifo, "is a pipe"), (sock, "is a socket")):
        for more in ([], ["--size", "100M"]):
            r = mk("--force", "--yes", "--image", mbr, *more, path)
            refused(r, path, words, "name a disk")
    listener.close()


def test_does_not_exist(tmp_path, mbr):
    img = tmp_path / "absent.img"
    refused(mk("--yes", "--image", mbr, img), img, "does not exist", "--size")
    below = tmp_path / "no" / "disk.img"
    refused(mk("--yes", "--image", mbr, "--size", "100M", below), below, "cannot be created", "dir")
    through = mbr / "disk.img"
    refused(mk("--yes", "--image", mbr, through), through, "cannot be examined", "name a disk")


def test_exists_already(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img")
    before = digest(img)
    refused(mk("--yes", "--image", mbr, "--size", "160M", img), img, "exists already", "--force")
    assert digest(img) == before


def test_size_not_whole_sectors(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img", SIZE + 512)
    refused(mk("--yes", "--sector-size", 4096, "--image", mbr, img), img,
            "not a multiple of 4096", "whole sectors")
    made("--yes", "--image", mbr, img)


def test_too_small(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img", 80 * MIB)
    before = digest(img)
    refused(mk("--yes", "--force", "--image", mbr, img), img, "too small.*needs", "larger")
    assert digest(img) == before


def test_not_confirmed(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img")
    before = digest(img)
    refused(mk("--image", mbr, img), img, "not confirmed", "--yes")
    assert digest(img) == before


@pytest.mark.parametrize("answer,code", [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_asks_on_a_terminal(tmp_path, mbr, answer, code):
    img = sparse(tmp_path / "disk.img")
    check("mkfs.ext4", "-q", "-F", img)
    before = digest(img)
    master, slave = pty.openpty()
    args = [TOOL, "--force", "--image", mbr, img]
    with subprocess.Popen(args, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as p:
        os.write(master, answer.encode())
        out, err = p.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert p.returncode == code
    assert f"Make {img} a dump disk?" in err and "holds ext4 file system" in err
    assert (digest(img) == before) == (code == 1)
    assert ("not confirmed" in err) == (code == 1) and (out == "") == (code == 1)


def make_lvm(path):
    """Label and header of a physical volume (lvm2 format, label in the second sector)."""
    label = bytearray(512)
    label[:8] = b"LABELONE"
    struct.pack_into("<QII8s", label, 8, 1, 0, 32, b"LVM2 001")
    label[32:64] = b"0123456789abcdefghijklmnopqrstuv"
    struct.pack_into("<Q", label, 64, SIZE)
    crc = 0xF597A6CF
    for byte in label[20:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    struct.pack_into("<I", label, 16, crc)
    write_at(path, 512, label)


def make_raid(path):
    """A version 1.2 superblock of md, 4 KiB from the start."""
    sb = bytearray(512)
    struct.pack_into("<III", sb, 0, 0xA92B4EFC, 1, 0)
    sb[16:32] = b"r" * 16
    struct.pack_into("<Q", sb, 144, 8)
    struct.pack_into("<I", sb, 216, 0)
    total = sum(struct.unpack_from("<64I", sb))
    struct.pack_into("<I", sb, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    write_at(path, 4096, sb)


def make_luks(path):
    header = b"LUKS\xba\xbe" + struct.pack(">H", 1)
    write_at(path, 0, header.ljust(168, b"\0") + str(uuid.uuid4()).encode().ljust(40, b"\0"))


HOLDERS = [
    ("ext4", lambda p: check("mkfs.ext4", "-q", "-F", p), "holds ext4 file system"),
    ("vfat", lambda p: check("mkfs.fat", p), "holds .*vfat file system"),
    ("swap", lambda p: check("mkswap", p), "holds swap space"),
    ("lvm", make_lvm, "holds LVM2_member .RAID or LVM"),
    ("raid", make_raid, "holds linux_raid_member .RAID or LVM"),
    ("luks", make_luks, "holds crypto_LUKS .encrypted"),
    ("dos", lambda p: check("sh", "-c", f"echo ,, | sfdisk -q -X dos {p}"),
     "holds dos partition table with 1 partition"),
    ("gpt", lambda p: check("sgdisk", "-n", "1:0:+10M", "-n", "2:0:0", p),
     "holds gpt partition table with 2 partitions"),
    ("empty gpt", lambda p: check("sgdisk", "-o", p), "holds gpt partition table with 0"),
    ("unknown", lambda p: write_at(p, MIB - 1, b"x"), "holds data of an unknown kind"),
]


@pytest.mark.parametrize("fill,words", [h[1:] for h in HOLDERS], ids=[h[0] for h in HOLDERS])
def test_holding_data(tmp_path, mbr, fill, words):
    img = sparse(tmp_path / "disk.img")
    fill(img)
    before = digest(img)
    refused(mk("--yes", "--image", mbr, img), img, words, "--force")
    assert digest(img) == before
    made("--yes", "--force", "--image", mbr, img)
    check_disk(img, mbr, tmp_path)


@pytest.mark.parametrize("sector,given", [(512, 512), (4096, 4096), (4096, 512), (512, 4096)])
def test_dump_disk_with_dumps(tmp_path, mbr, sector, given):
    """Also when --sector-size is not the one it was made with."""
    img = tmp_path / "disk.img"
    made("--size", "160M", "--sector-size", sector, "--image", mbr, "--yes", img)
    args = ("--yes", "--sector-size", given, "--image", mbr, img)
    refused(mk(*args), img, "dump log without dumps to fetch", "--force")
    dump = read_gpt(img, sector, SIZE)[2]
    s = parse_super(read_at(img, dump["start"], sector))
    front = dump["start"] + 3 * sector
    back = dump["start"] + dump["bytes"] + (2 - 1 - SLOTS) * sector
    write_at(img, front, dump_slot(s))
    refused(mk(*args), img, "with 1 dump not cleared", "getdump.*--force")
    write_at(img, back, dump_slot(s, generation=2, flags=1))
    refused(mk(*args), img, "without dumps", "--force")
    write_at(img, front, dump_slot(s, generation=3))
    write_at(img, front + sector, dump_slot(s, state=1))
    refused(mk(*args), img, "with 2 dumps not cleared", "getdump.*--force")
    write_at(img, dump["start"], bytes(sector))
    refused(mk(*args), img, "with 2 dumps not cleared", "getdump.*--force")
    write_at(img, front + 100, b"torn")
    write_at(img, back, bytes(512))
    refused(mk(*args), img, "with 2 dumps not cleared", "getdump.*--force")
    before = digest(img)
    refused(mk(*args), img, "dumps not cleared", "--force")
    assert digest(img) == before
    made("--force", *args)
    check_disk(img, mbr, tmp_path, given)


def test_dumps_found_by_backup_table(tmp_path, mbr):
    img = tmp_path / "disk.img"
    made("--size", "160M", "--image", mbr, "--yes", img)
    s = parse_super(read_at(img, 66 * MIB, 512))
    write_at(img, 66 * MIB + 512, dump_slot(s))
    write_at(img, 512, bytes(512))
    refused(mk("--yes", "--image", mbr, img), img, "with 1 dump not cleared", "--force")


def test_image_in_use_by_a_virtual_machine(tmp_path, mbr):
    """QEMU holds open-file-description read locks on single bytes of an image."""
    import fcntl
    img = sparse(tmp_path / "disk.img")
    with open(img, "r+b") as f:
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0)
        fcntl.fcntl(f, 37, lock)  # F_OFD_SETLK
        for args in (["--yes"], ["--dry-run"]):
            refused(mk("--force", *args, "--image", mbr, img), img, "in use by another", "end that")
    made("--yes", "--image", mbr, img)


def test_read_only_file(tmp_path, mbr):
    img = sparse(tmp_path / "disk.img")
    img.chmod(0o444)
    user = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    for directory in [tmp_path, *tmp_path.parents][:3]:
        directory.chmod(directory.stat().st_mode | 0o055)
    mbr.chmod(0o644)
    tool = shutil.copy(TOOL, tmp_path)  # the tree may be where nobody else can go
    refused(run(tool, "--yes", "--image", mbr, img, **user), img, "cannot be opened: Permission",
            "root")
    new = tmp_path / "new.img"
    if user:
        refused(run(tool, "--yes", "--size", "100M", "--image", mbr, new, **user), new,
                "cannot be created: Permission", "directory")
    assert not new.exists()


def test_mkfs_fat_fails(tmp_path, mbr):
    """No memory for the partition's contents: nothing is written."""
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    img = sparse(tmp_path / "disk.img")
    before = digest(img)
    r = mk("--yes", "--image", mbr, img, preexec_fn=limit)
    refused(r, img, "cannot make the EFI system partition in memory", "memory")
    assert digest(img) == before


def test_impossible_size_leaves_the_old_file(tmp_path, mbr):
    """More than the file system takes is found out before anything is lost."""
    import resource

    img = sparse(tmp_path / "disk.img")
    write_at(img, 5 * MIB, b"mine")
    before = digest(img)
    r = mk("--yes", "--force", "--size", "1G", "--image", mbr, img,
           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500 * MIB, 500 * MIB)))
    refused(r, img, "sizing it failed: File too large", "--size")
    assert digest(img) == before


# --- failures half way ---------------------------------------------------------------------


def failing(shim, at, program="mkdumpdisk"):
    return dict(os.environ, LD_PRELOAD=str(shim), FAIL_AT=str(at), FAIL_PROGRAM=program)


def check_failed(r, target):
    """It says what failed and in what state the target is; that boots only if complete."""
    assert r.returncode == 1 and r.stdout == ""
    line, = r.stderr.splitlines()
    assert line.startswith(f"mkdumpdisk: {target}: "), line
    assert "Input/output error" in line
    assert "in memory" in line or "its old contents are lost and it is not a dump disk yet" in line
    assert not any(read_at(target, 0, 440)) or "boot sector failed" in line


def test_every_write_can_fail(tmp_path, mbr, shim):
    img = sparse(tmp_path / "disk.img", 100 * MIB)
    args = ("--force", "--yes", "--image", mbr, img)
    for n in range(1, 1000):
        r = mk(*args, env=failing(shim, n))
        if r.returncode == 0:
            break
        check_failed(r, img)
    assert 100 < n < 1000
    check_disk(img, mbr, tmp_path, size=100 * MIB)


def test_failed_new_image_is_removed(tmp_path, mbr, shim):
    img = tmp_path / "new.img"
    args = ("--size", "100M", "--yes", "--image", mbr, img)
    for n in range(1, 1000):
        r = mk(*args, env=failing(shim, n))
        if r.returncode == 0:
            break
        assert "Input/output error" in r.stderr and not img.exists()
        assert "in memory" in r.stderr or "nothing was left behind" in r.stderr
    assert 10 < n < 1000
    check_disk(img, mbr, tmp_path, size=100 * MIB)


def test_mkfs_fat_fails_half_way(tmp_path, mbr, shim):
    img = sparse(tmp_path / "disk.img")
    before = digest(img)
    for n in (1, 3, 10):
        r = mk("--yes", "--image", mbr, img, env=failing(shim, n, "mkfs.fat"))
        line = r.stderr.splitlines()[-1]
        assert r.returncode == 1 and re.search("mkfs.fat failed: .*; reinstall", line)
        assert digest(img) == before


# --- real block devices --------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("sector", [512, 4096])
def test_block_device(tmp_path, mbr, loop, sector):
    dev = loop(sparse(tmp_path / "disk"), "-P", "-b", str(sector))
    out = made("--yes", "--image", mbr, dev)
    assert "dump disk" in out
    check_disk(dev, mbr, tmp_path, sector)
    add_partitions(dev)
    assert [partition_start(dev, i) for i in (1, 2, 3)] == [MIB, 2 * MIB, 66 * MIB]
    table = json.loads(check("sfdisk", "--json", dev))["partitiontable"]
    assert table["sectorsize"] == sector and len(table["partitions"]) == 3
    refused(mk("--yes", "--image", mbr, dev), dev, "dump log without dumps to fetch", "--force")
    made("--yes", "--force", "--image", mbr, dev)
    check_disk(dev, mbr, tmp_path, sector)


@needs_root
def test_device_that_can_not_be_reached_from_here(tmp_path, mbr, loop):
    """It may be meant for another place: a warning, for people and in JSON."""
    dev = loop(sparse(tmp_path / "disk"))
    warning = "is made up by Linux (loop, RAID, device mapper), which the image can not drive"
    for option in ("--dry-run", "--yes", "--force"):
        text = made("--yes", option, "--image", mbr, dev)
        assert (f"warning: it {warning}; before it is needed, attach it to NVMe, AHCI (SATA) or "
                "virtio-blk") in text.splitlines()
    assert json.loads(made("--dry-run", "--force", "--json", "--image", mbr, dev))["warning"] == \
        warning
    image = sparse(tmp_path / "image")
    assert "warning" not in made("--dry-run", "--image", mbr, image)
    assert "warning" not in json.loads(made("--dry-run", "--json", "--image", mbr, image))


@needs_root
def test_kernel_forgets_old_partitions(tmp_path, mbr, loop):
    disk = sparse(tmp_path / "disk")
    check("sgdisk", "-n", "1:100M:+10M", "-n", "9:120M:+10M", disk)
    dev = loop(disk, "-P")
    add_partitions(dev)
    assert partition_start(dev, 1) == 100 * MIB and partition_start(dev, 9) == 120 * MIB
    made("--yes", "--force", "--image", mbr, dev)
    assert partition_start(dev, 1) in (None, MIB) and partition_start(dev, 9) is None


@needs_root
def test_device_options_that_do_not_fit(tmp_path, mbr, loop):
    disk = sparse(tmp_path / "disk")
    dev = loop(disk)
    refused(mk("--yes", "--size", "100M", "--image", mbr, dev), dev, "its own size", "leave out")
    refused(mk("--yes", "--sector-size", 4096, "--image", mbr, dev), dev, "sectors of 512", "leave")
    made("--yes", "--sector-size", 512, "--image", mbr, dev)


@needs_root
def test_device_with_odd_sectors(tmp_path, mbr, loop):
    dev = loop(sparse(tmp_path / "disk"), "-b", "1024")
    refused(mk("--yes", "--image", mbr, dev), dev, "sectors of 1024 bytes", "512 or 4096")


@needs_root
def test_read_only_device(tmp_path, mbr, loop):
    dev = loop(sparse(tmp_path / "disk"), "-r")
    r = mk("--yes", "--image", mbr, dev)
    refused(r, dev, "read-only|cannot be opened", "writable|root")


@needs_root
def test_mounted_disk(tmp_path, mbr, loop, mounted):
    disk = sparse(tmp_path / "disk")
    check("mkfs.ext4", "-q", "-F", disk)
    dev = loop(disk)
    point = mounted(dev)
    for force in ([], ["--force"]):
        refused(mk("--yes", *force, "--image", mbr, dev), dev, f"mounted on {point}", "unmount")
    check("mountpoint", point)


@needs_root
def test_mounted_partition(tmp_path, mbr, loop, mounted):
    """The disk of it, and itself, but not its neighbour."""
    disk = sparse(tmp_path / "disk", 300 * MIB)
    check("sgdisk", "-n", "1:0:+100M", "-n", "2:0:0", disk)
    dev = loop(disk, "-P")
    add_partitions(dev)
    check("mkfs.ext4", "-q", f"{dev}p1")
    point = mounted(f"{dev}p1")
    for target in (dev, f"{dev}p1"):
        r = mk("--yes", "--force", "--image", mbr, target)
        refused(r, target, f"mounted on {point}", "unmount")
    out = made("--yes", "--image", mbr, f"{dev}p2")
    assert "mkdumpdisk --kexec" in out and "partition 1" not in out
    assert f"give the partition the type {DUMP_TYPE.lower()} with sfdisk --part-type" in out
    check("sfdisk", "--no-reread", "--no-tell-kernel", "--part-type", dev, "2", DUMP_TYPE)
    assert run(GETDUMP, "list", dev).returncode == 0


@needs_root
def test_partition(tmp_path, mbr, loop):
    """Only the partition changes, and needs no boot image."""
    disk = sparse(tmp_path / "disk", 300 * MIB)
    check("sgdisk", "-n", "1:0:+100M", "-n", "2:0:0", disk)
    dev = loop(disk, "-P")
    add_partitions(dev)
    part = f"{dev}p2"
    start = partition_start(dev, 2)
    size = int(check("blockdev", "--getsize64", part))
    head, tail = read_at(dev, 0, start), read_at(dev, start + size, 300 * MIB - start - size)
    j = json.loads(made("--yes", "--json", "--image", "/nonexistent", part))
    assert j["kind"] == "partition" and j["partitions"] == [] and j["bytes"] == size
    s = check_dump_area(part, 0, size, 512)
    assert j["uuid"] == str(uuid.UUID(bytes_le=s["uuid"]))
    assert read_at(dev, 0, start) == head
    assert read_at(dev, start + size, 300 * MIB - start - size) == tail
    refused(mk("--yes", part), part, "dump log without dumps to fetch", "--force")
    write_at(part, 512, dump_slot(s))
    refused(mk("--yes", part), part, "with 1 dump not cleared", "--force")
    write_at(part, 0, bytes(512))
    refused(mk("--yes", part), part, "with 1 dump not cleared", "--force")
    made("--yes", "--force", part)
    # The boot area of a dump disk finds its partition by the UUID.
    assert check_dump_area(part, 0, size, 512)["uuid"] == s["uuid"]
    check("mkfs.ext4", "-q", "-F", part)
    refused(mk("--yes", part), part, "holds .*ext4", "--force")
    made("--yes", "--force", part)
    check_dump_area(part, 0, size, 512)
    assert run("blkid", "-p", "-o", "value", "-s", "TYPE", part).stdout == ""


@needs_root
def test_small_partition(tmp_path, loop):
    disk = sparse(tmp_path / "disk")
    check("sgdisk", "-n", "1:0:+16M", disk)
    dev = loop(disk, "-P")
    add_partitions(dev)
    refused(mk("--yes", f"{dev}p1"), f"{dev}p1", "too small.*needs 16.1 MiB", "larger")


@needs_root
def test_image_attached_to_a_loop_device(tmp_path, mbr, loop):
    disk = sparse(tmp_path / "disk")
    dev = loop(disk)
    r = mk("--yes", "--force", "--image", mbr, disk)
    refused(r, disk, f"is in use as {dev}", "losetup -d")


@needs_root
def test_swap_in_use(tmp_path, mbr, loop):
    disk = sparse(tmp_path / "disk")
    check("mkswap", disk)
    dev = loop(disk)
    check("swapon", dev)
    try:
        refused(mk("--yes", "--force", "--image", mbr, dev), dev, "in use as swap", "swapoff")
    finally:
        check("swapoff", dev)


@needs_root
def test_opened_exclusively(tmp_path, mbr, loop):
    dev = loop(sparse(tmp_path / "disk"))
    fd = os.open(dev, os.O_RDONLY | os.O_EXCL)
    try:
        for args in (["--yes"], ["--dry-run"]):
            r = mk("--force", *args, "--image", mbr, dev)
            refused(r, dev, "cannot be opened: Device or resource busy", "end the program")
    finally:
        os.close(fd)


@needs_root
def test_device_mapper_on_top(tmp_path, mbr, loop):
    disk = sparse(tmp_path / "disk", 300 * MIB)
    check("sgdisk", "-n", "1:0:0", disk)
    dev = loop(disk, "-P")
    add_partitions(dev)
    name = f"mkdumpdisk-test-{os.getpid()}"
    subprocess.run("modprobe -q dm_mod", shell=True, stderr=subprocess.DEVNULL, check=False)
    if not os.path.exists("/sys/class/misc/device-mapper"):
        pytest.skip("this kernel has no device mapper")
    check("dmsetup", "create", name, "--table", f"0 2048 linear {dev}p1 0")
    try:
        for target in (dev, f"{dev}p1"):
            r = mk("--yes", "--force", "--image", mbr, target)
            refused(r, target, "in use by", "stop that device")
    finally:
        check("dmsetup", "remove", name)


@needs_root
def test_running_root(mbr):
    """A dry run, with every permission given: the checks come first."""
    number = os.stat("/").st_dev
    system = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    root = f"/dev/{os.path.basename(system)}"
    if not os.path.exists(root):
        pytest.skip("the root file system is not on a block device")
    targets = {root}
    parent = check("lsblk", "-n", "-d", "-o", "PKNAME", root).strip()
    if parent:
        targets.add(f"/dev/{parent}")
    for target in targets:
        r = mk("--dry-run", "--yes", "--force", "--image", mbr, target)
        refused(r, target, "part of the running root", "another disk")


@needs_root
def test_writes_to_a_device_can_fail(tmp_path, mbr, loop, shim):
    dev = loop(sparse(tmp_path / "disk", 100 * MIB))
    for n in range(1, 110, 9):
        check_failed(mk("--force", "--yes", "--image", mbr, dev, env=failing(shim, n)), dev)
    made("--force", "--yes", "--image", mbr, dev)
    check_disk(dev, mbr, tmp_path, size=100 * MIB)
