"""The survey on the host's side: arming it with mkdumpdisk, reading it with getdump. Records
are made by surveylog.py, and what mkdumpdisk writes is read by it."""

import json
import os
import pty
import shlex
import struct
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

import logimage as li
import surveylog as sl
from hosttools import check, run
from test_mkdumpdisk import (GETDUMP, MIB, SLOTS, TOOL, add_partitions, digest, dump_slot,
                             failing, fake_boot_image, mk, needs_root, parse_super, read_at,
                             read_gpt, refused, sealed, write_at)

SIZE = 100 * MIB
START = 66 * MIB


@dataclass
class Disk:
    """An image of a dump disk, or with @start 0 of its dump partition."""
    path: Path
    sector: int
    start: int
    size: int  # of the dump partition

    @property
    def at(self):
        """Where the survey's record is."""
        return self.start + self.size - (1 + SLOTS) * self.sector - sl.AREA

    @property
    def uuid(self):
        return read_at(self.path, self.start, 32)[16:]

    @property
    def header(self):
        return sl.parse(read_at(self.path, self.at, 512))

    def put(self, ranges=(), **fields):
        write_at(self.path, self.at, sl.record(ranges, **{"uuid": self.uuid, **fields}))

    def dump(self):
        write_at(self.path, self.start + self.sector,
                 dump_slot(parse_super(read_at(self.path, self.start, self.sector))))


def make_disk(folder, sector=512):
    path = folder / "disk.img"
    r = mk("--size", SIZE, "--sector-size", sector, "--image", fake_boot_image(folder / "mbr"),
           "--yes", path)
    assert r.returncode == 0, r.stderr
    dump = read_gpt(path, sector, SIZE)[2]
    assert dump["start"] == START
    return Disk(path, sector, START, dump["bytes"])


@pytest.fixture(params=[512, 4096])
def disk(tmp_path, request):
    return make_disk(tmp_path, request.param)


@pytest.fixture
def disk512(tmp_path):
    return make_disk(tmp_path)


def partition_of(disk, path):
    path.write_bytes(read_at(disk.path, disk.start, disk.size))
    return Disk(path, disk.sector, 0, disk.size)


def arm(disk, *args, **kw):
    r = mk("--survey", "--yes", *args, disk.path, **kw)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    return r.stdout


def changed_bytes(before, after):
    return [i for i in range(0, len(before), 512) if before[i:i + 512] != after[i:i + 512]]


def survey(disk, *args, code=0):
    r = run(GETDUMP, "survey", disk.path, *args)
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r


def survey_json(disk, code=0):
    return json.loads(survey(disk, "--json", code=code).stdout)


# --- arming --------------------------------------------------------------------------------


def test_arming_writes_one_block(disk):
    before = disk.path.read_bytes()
    out = arm(disk)
    after = disk.path.read_bytes()
    assert changed_bytes(before, after) == [disk.at]
    h = disk.header
    assert h["magic"] == b"AFTRSRV1" and h["version"] == 1 and h["uuid"] == disk.uuid
    assert h["state"] == sl.ARMED and h["flags"] == 0 and h["door"] == 0
    assert (h["wanted"], h["done"], h["count"], h["lost"]) == (2, 0, 0, 0)
    assert h["seed"] != 0 and abs(h["armed"] - time.time()) < 600
    assert "survey armed, 2 cycles" in out and "3 times in a row" in out
    assert "BIOS" in out and "UEFI" in out and "note" not in out


def test_seeds_differ(disk512):
    seeds = set()
    for _ in range(3):
        arm(disk512)
        seeds.add(disk512.header["seed"])
    assert len(seeds) == 3


@pytest.mark.parametrize("word,cycles", [("--survey=1", 1), ("--survey=16", 16), ("-u5", 5)])
def test_cycles(disk512, word, cycles):
    r = mk(word, "-y", disk512.path)
    assert r.returncode == 0 and disk512.header["wanted"] == cycles
    assert f"{cycles} cycle" in r.stdout and f"{cycles + 1} times" in r.stdout


def test_force_confirms(disk512):
    out = arm(disk512, "--force")
    assert disk512.header["flags"] == 1 and "not looked for" in out
    assert "confirmed: a crash in memory is not looked for" in survey(disk512, code=3).stdout


def test_json_report(disk512):
    disk512.dump()
    j = json.loads(arm(disk512, "--json"))
    assert j.pop("next").startswith("shut the machine down in order")
    assert j == {"target": str(disk512.path), "dry_run": False, "survey": "armed",
                 "uuid": str(uuid.UUID(bytes_le=disk512.uuid)), "before": "never armed",
                 "written": True, "cycles": 2, "starts": 3, "crash_comes_first": True,
                 "dumps_not_cleared": 1, "superblock_damaged": False}


def test_dry_run_writes_nothing(disk512):
    disk512.path.chmod(0o444)
    before = digest(disk512.path)
    r = mk("--survey", "--dry-run", disk512.path)
    assert r.returncode == 0 and "would be armed" in r.stdout and "nothing was written" in r.stdout
    assert digest(disk512.path) == before


def test_dumps_stay(disk512):
    disk512.dump()
    assert "note: 1 dump not cleared stays" in arm(disk512)
    assert read_at(disk512.path, disk512.start + 512, 8) == b"AFTRDMP1"


@pytest.mark.parametrize("sector", [512, 4096])
def test_image_of_a_partition(tmp_path, sector):
    part = partition_of(make_disk(tmp_path, sector), tmp_path / "part.img")
    arm(part)
    assert part.header["state"] == sl.ARMED
    assert survey_json(part, code=3)["state"] == "armed"
    write_at(part.path, 0, bytes(512))
    assert "superblocks is damaged" in arm(part, "--force")
    assert part.header["flags"] == 1


@pytest.mark.parametrize("front", [True, False])
def test_one_superblock_is_enough(disk, front):
    end = disk.start + disk.size - disk.sector
    write_at(disk.path, disk.start + 100 if front else end + 100, b"damage")
    at, path = disk.at, disk.path
    out = arm(disk)
    assert "one of the superblocks is damaged" in out
    assert sl.parse(read_at(path, at, 512))["state"] == sl.ARMED


def test_both_superblocks_damaged(disk):
    for at in (disk.start, disk.start + disk.size - disk.sector):
        write_at(disk.path, at + 100, b"damage")
    before = digest(disk.path)
    refused(mk("--survey", "--yes", disk.path), disk.path, "is not a dump disk", "prepare it")
    assert digest(disk.path) == before


def test_no_dump_disk(tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"x", bytes(MIB), os.urandom(MIB)):
        path.write_bytes(content)
        refused(mk("--survey", "--yes", path), path, "is not a dump disk", "prepare it")
    refused(mk("--survey", "-y", tmp_path), tmp_path, "is a directory", "name a dump disk")
    refused(mk("--survey", "-y", "/dev/null"), "/dev/null", "is no disk", "name a dump disk")
    refused(mk("--survey", "-y", tmp_path / "y"), tmp_path / "y", "does not exist", "name a dump")
    refused(mk("--survey", "-y", "off"), "off", "does not exist", "did you mean --survey=off")


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("whole", [True, False])
def test_disk_without_room(tmp_path, block, whole):
    """Prepared before there were surveys: it still is a dump disk for everything else."""
    log = li.Log(block)
    li.standard(log)
    path = tmp_path / "old.img"
    path.write_bytes(li.gpt_disk(log.disk, block) if whole else log.disk)
    before = digest(path)
    old = Disk(path, block, 0, 0)
    for args in (["--survey"], ["--survey=off"], ["--survey", "--dry-run"]):
        refused(mk(*args, "--yes", path), path, "without room for a survey",
                "fetch its dumps with getdump, then prepare it again")
    assert digest(path) == before
    err = survey(old, code=1).stderr
    assert "without room for a survey; fetch its dumps, then prepare it again" in err
    assert survey_json(old, code=1)["state"] == "never armed"
    for command in ("list", "info", "verify"):
        assert run(GETDUMP, command, path).returncode == 0


def test_two_dump_partitions(tmp_path):
    disk = make_disk(tmp_path)
    part = read_at(disk.path, disk.start, disk.size)
    big = tmp_path / "two.img"
    with open(big, "wb") as f:
        f.truncate(300 * MIB)
    check("sgdisk", "-n", "1:0:+34M", "-t", f"1:{li.TYPE}", "-n", "2:0:+34M", "-t",
          f"2:{li.TYPE}", big)
    for number in (1, 2):
        start = read_gpt(big, 512, 300 * MIB)[number - 1]
        check("sgdisk", "-d", str(number), "-n",
              f"{number}:{start['start'] // 512}:{(start['start'] + len(part)) // 512 - 1}",
              "-t", f"{number}:{li.TYPE}", big)
        write_at(big, start["start"], part)
    refused(mk("--survey", "-y", big), big, "holds 2 dump partitions", "name the one")


def test_image_in_use_by_a_virtual_machine(disk512):
    import fcntl
    with open(disk512.path, "r+b") as f:
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0))
        refused(mk("--survey", "--yes", disk512.path), disk512.path, "in use by another",
                "end that")
    arm(disk512)


def test_not_confirmed(disk512):
    before = digest(disk512.path)
    refused(mk("--survey", disk512.path), disk512.path, "not confirmed", "--yes.*overwrite")
    assert digest(disk512.path) == before


@pytest.mark.parametrize("answer,code", [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
@pytest.mark.parametrize("force", [False, True])
def test_asks_on_a_terminal(disk512, answer, code, force):
    disk512.put(sl.OVMF)
    master, slave = pty.openpty()
    args = [TOOL, "--survey=3", *(["--force"] if force else []), disk512.path]
    with subprocess.Popen(args, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as p:
        os.write(master, answer.encode())
        out, err = p.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert p.returncode == code
    assert "overwrites all memory" in err and "resets it, 3 times" in err
    assert "orderly shutdown" in err and "result of the survey before will be lost" in err
    assert ("would\nbe lost" in err or "would be lost" in err) == force
    assert ("captures it" in err) == (not force)
    assert disk512.header["state"] == (sl.DONE if code else sl.ARMED)
    assert ("is gone" in out) == (code == 0)


@pytest.mark.parametrize("args,words", [
    (["--survey=0", "a"], "1-16"), (["--survey=17", "a"], "1-16"), (["--survey=", "a"], "1-16"),
    (["--survey=-1", "a"], "1-16"), (["--survey=on", "a"], "off"), (["--survey"], "no TARGET"),
    (["--survey", "2", "a"], "more than one TARGET"),
    (["--survey", "--level", "3", "a"], "--level is for preparing"),
    (["--survey", "--level", "3", "--force", "a"], "--level is for preparing"),
    (["--survey", "--size", "1G", "a"], "--size"), (["--survey", "--compress", "lzf", "a"],
                                                    "--compress"),
    (["--survey", "--after", "halt", "a"], "--after"), (["--survey", "--label", "x", "a"],
                                                        "--label"),
    (["--survey", "--overwrite", "never", "a"], "--overwrite"),
    (["--survey", "--sector-size", "512", "a"], "--sector-size"),
    (["--survey", "--kexec", "a"], "--kexec"), (["--survey", "--console", "screen", "a"],
                                                "--console"),
    (["--survey", "--image", "x", "a"], "--image"), (["--survey", "--root", "/x", "a"], "--root"),
    (["--survey=off", "--force", "a"], "--force")])
def test_usage(tmp_path, args, words):
    r = mk(*args, cwd=tmp_path)
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr.startswith("mkdumpdisk: ") and words in r.stderr and "--help" in r.stderr
    assert not list(tmp_path.iterdir())


def test_preparing_loses_the_record(disk512):
    disk512.put(sl.OVMF)
    r = mk("--force", "--yes", "--image", disk512.path.parent / "mbr", disk512.path)
    assert r.returncode == 0, r.stderr
    assert not any(read_at(disk512.path, disk512.at, sl.AREA))


# --- disarming -----------------------------------------------------------------------------


def off(disk):
    return mk("--survey=off", disk.path)


@pytest.mark.parametrize("state", [sl.ARMED, sl.FILLING, sl.FILLED])
def test_off(disk, state):
    disk.put(sl.OVMF, state=state, done=1)
    before = disk.path.read_bytes()
    r = off(disk)
    assert r.returncode == 0 and "survey disarmed" in r.stdout
    assert changed_bytes(before, disk.path.read_bytes()) == [disk.at]
    assert not any(read_at(disk.path, disk.at, 512))
    assert survey_json(disk, code=1)["state"] == "never armed"


def test_off_removes_a_damaged_record(disk512):
    disk512.put(sl.OVMF)
    write_at(disk512.path, disk512.at + 300, b"x")
    r = off(disk512)
    assert r.returncode == 0 and "before       damaged" in r.stdout
    assert not any(read_at(disk512.path, disk512.at, 512))


@pytest.mark.parametrize("state,word", [(sl.DONE, "done"), (sl.ENDED, "ended"),
                                        (sl.IDLE, "never armed"), (None, "never armed")])
def test_off_leaves_what_is_not_armed(disk512, state, word):
    if state is not None:
        disk512.put(sl.OVMF, state=state, reason=54 if state == sl.ENDED else 0)
    before = digest(disk512.path)
    r = off(disk512)
    assert r.returncode == 0 and "no survey is armed" in r.stdout and word in r.stdout
    assert digest(disk512.path) == before


# --- writes that fail ----------------------------------------------------------------------


def test_every_write_can_fail(disk512, shim):
    disk512.put(sl.OVMF)
    tail = read_at(disk512.path, disk512.at + 512, 66 * 512)
    for n in range(1, 10):
        r = mk("--survey", "--yes", disk512.path, env=failing(shim, n))
        assert read_at(disk512.path, disk512.at + 512, 66 * 512) == tail
        if r.returncode == 0:
            break
        refused(r, disk512.path, "record failed: Input/output error", "check the disk")
        assert disk512.header["state"] in (sl.DONE, sl.ARMED)
    assert n == 3


def test_output_that_cannot_be_written(disk512):
    with open("/dev/full", "w") as full:
        for args in ([TOOL, "--survey", "--yes"], [GETDUMP, "survey"]):
            disk512.put(sl.OVMF)
            r = subprocess.run([*args, disk512.path], stdout=full, stderr=subprocess.PIPE)
            assert r.returncode == 1 and r.stderr.count(b"\n") == 1


# --- block devices -------------------------------------------------------------------------


@needs_root
def test_block_devices(tmp_path, loop):
    disk = make_disk(tmp_path)
    dev = loop(disk.path, "-P")
    add_partitions(dev)
    refused(mk("--survey", "-y", disk.path), disk.path, f"in use as {dev}", "losetup")
    assert mk("--survey=1", "-y", dev).returncode == 0
    assert sl.parse(read_at(dev, disk.at, 512))["wanted"] == 1
    part = f"{dev}p3"
    fd = os.open(part, os.O_RDONLY | os.O_EXCL)
    try:
        refused(mk("--survey=4", "-y", part), part, "Device or resource busy", "end the program")
    finally:
        os.close(fd)
    r = mk("--survey=4", "-y", part)
    assert r.returncode == 0, r.stderr
    assert sl.parse(read_at(part, disk.at - disk.start, 512))["wanted"] == 4
    assert run(GETDUMP, "survey", part).returncode == 3
    refused(mk("--survey", "-y", f"{dev}p2"), f"{dev}p2", "is not a dump disk", "prepare")


@needs_root
def test_read_only_device(tmp_path, loop):
    disk = make_disk(tmp_path)
    dev = loop(disk.path, "-r")
    r = mk("--survey", "-y", dev)
    assert r.returncode == 1 and "make it writable" in r.stderr
    r = mk("--survey", "--dry-run", dev)
    assert r.returncode == 0, r.stderr


# --- getdump survey ------------------------------------------------------------------------


def test_never_armed(disk):
    r = survey(disk, code=1)
    assert r.stdout == "" and r.stderr == (
        f"getdump: {disk.path}: no survey was made; arm one with mkdumpdisk --survey\n")
    assert survey_json(disk, code=1) == {"disk": str(uuid.UUID(bytes_le=disk.uuid)),
                                         "state": "never armed"}


def test_result(disk):
    disk.put(sl.OVMF, joined=2)
    r = survey(disk)
    assert r.stderr == ""
    lost = sum(x[1] for x in sl.OVMF) // 4096
    for line in ("survey: done", "armed: 2023-11-14T22:13:20Z", "ended: 2023-11-14T22:23:20Z",
                 "via: uefi", "cycles: 2 of 2",
                 "memory: 1.0 GiB, 1012.3 MiB compared in the last cycle", "survives: 95.79%",
                 f"lost: {lost} pages, 43.0 MiB, in 4 ranges",
                 "  0x000000001000-0x0000000a0000   636.0 KiB  ours",
                 "  0x000001000000-0x000001704000     7.0 MiB  changed",
                 "  0x00003bb02000-0x00003bb05000    12.0 KiB  firmware map, changed",
                 "  0x00003dca0000-0x000040000000    35.4 MiB  firmware map",
                 "not reserved: 159 pages below 1 MiB, which Linux does not use since 5.13",
                 "reserve: 45 MiB in 3 regions",
                 "memmap=8M$0x1000000,1M$0x3bb00000,36M$0x3dc00000",
                 r"memmap=8M\\\$0x1000000,1M\\\$0x3bb00000,36M\\\$0x3dc00000"):
        assert line in r.stdout.splitlines(), (line, r.stdout)
    assert "2 ranges were joined" in r.stdout and "note: Linux itself goes to 16 MiB" in r.stdout


def test_result_as_json(disk):
    disk.put(sl.OVMF, joined=2)
    j = survey_json(disk)
    notes = j["reserve"].pop("notes")
    assert len(notes) == 2 and "GRUB's menu" in notes[1]
    words = {sl.FIRMWARE: "firmware map", sl.CHANGED: "changed", sl.LOADER: "loader",
             sl.OURS: "ours"}
    assert j == {
        "disk": str(uuid.UUID(bytes_le=disk.uuid)), "state": "done",
        "armed": "2023-11-14T22:13:20Z", "ended": "2023-11-14T22:23:20Z", "via": "uefi",
        "confirmed": False, "cycles_wanted": 2, "cycles_done": 2, "ram_pages": 1 << 18,
        "checked_pages": (1 << 18) - 3000, "lost_pages": sum(x[1] for x in sl.OVMF) // 4096,
        "survives_percent": 95.79, "joined": 2,
        "ranges": [{"start": hex(pa), "end": hex(pa + size), "bytes": size,
                    "why": [w for bit, w in words.items() if why & bit]}
                   for pa, size, why in sl.OVMF],
        "reserve": {"mib": 45, "pages_below_1_mib": 159,
                    "plain": "memmap=8M$0x1000000,1M$0x3bb00000,36M$0x3dc00000",
                    "grub": r"memmap=8M\\\$0x1000000,1M\\\$0x3bb00000,36M\\\$0x3dc00000",
                    "regions": [{"start": "0x1000000", "bytes": 8 * MIB},
                                {"start": "0x3bb00000", "bytes": MIB},
                                {"start": "0x3dc00000", "bytes": 36 * MIB}]}}


def test_nothing_lost(disk512):
    disk512.put()
    out = survey(disk512).stdout
    assert "survives: 100.00%" in out and "lost: 0 pages" in out and "reserve: nothing" in out
    assert "memmap" not in out and survey_json(disk512)["reserve"]["plain"] == ""


def test_one_page_shows(disk512):
    disk512.put([(0x5000, 0x1000, sl.OURS)], ram=1 << 30)
    assert "survives: 99.99%" in survey(disk512).stdout


def test_many_regions(disk512):
    disk512.put([((100 + 50 * i) << 20, MIB, sl.CHANGED) for i in range(10)])
    out = survey(disk512).stdout
    assert "reserve: 10 MiB in 10 regions" in out and "KASLR" in out


@pytest.mark.parametrize("state,done,words", [
    (sl.ARMED, 0, "start the dump disk 3 more times in a row"),
    (sl.FILLING, 1, "being filled, or that was cut short"),
    (sl.FILLED, 0, "start the dump disk 2 more times in a row"),
    (sl.FILLED, 1, "start the dump disk 1 more time in a row"),
    (sl.ENDED, 1, "result: none\n")])
def test_no_result_yet(disk512, state, done, words):
    disk512.put(sl.OVMF, state=state, done=done, reason=56 if state == sl.ENDED else 0)
    out = survey(disk512, code=3).stdout
    assert words in out and f"cycles: {done} of 2 done" in out and "memmap" not in out
    j = survey_json(disk512, code=3)
    assert "ranges" not in j and "reserve" not in j and j["cycles_done"] == done
    if state == sl.ENDED:
        assert "reason: E56 memory does not hold the survey's pattern" in out
        assert j["reason_code"] == 56 and "pattern" in j["reason"]


@pytest.mark.parametrize("fields,code", [
    ({"magic": b"AFTRSRV2"}, 54), ({"version": 2}, 33), ({"state": 6}, 54),
    ({"uuid": b"u" * 16}, 54), ({"wanted": 0}, 54), ({"wanted": 17}, 54), ({"done": 3}, 54),
    ({"count": 2049}, 54), ({"count": 0xFFFFFFFF}, 54), ({"count": 3}, 54),
    ({"ranges_crc": 1}, 54)])
def test_damaged_fields(disk, fields, code):
    disk.put(sl.OVMF, **fields)
    err = survey(disk, code=1).stderr
    assert f"(E{code})" in err and err.count("\n") == 1
    assert survey_json(disk, code=1)["state"] == "damaged"
    assert "before       damaged" in arm(disk)
    assert disk.header["state"] == sl.ARMED


@pytest.mark.parametrize("ranges", [
    [(0x1800, 0x1000, 1)], [(0x1000, 0x800, 1)], [(0x1000, 0, 1)],
    [(0x1000, 0x2000, 1), (0x2000, 0x1000, 1)], [(0x2000, 0x1000, 1), (0x1000, 0x1000, 1)],
    [((1 << 52) - 0x1000, 0x2000, 1)], [(1 << 63, 0x1000, 1)]])
def test_damaged_ranges(disk512, ranges):
    disk512.put(ranges)
    assert "(E54)" in survey(disk512, code=1).stderr


def test_every_byte_of_the_record_counts(disk512):
    """Of the header; those between header and ranges, and behind the ranges, do not."""
    good = sl.record(sl.OVMF, uuid=disk512.uuid)
    for at in [*range(0, 512, 7), 511, 4096, 4096 + 24 * len(sl.OVMF) - 1]:
        bad = bytearray(good)
        bad[at] ^= 0x10
        write_at(disk512.path, disk512.at, bad)
        assert "(E54)" in survey(disk512, code=1).stderr, at
    for at in (512, 4095):
        bad = bytearray(good)
        bad[at] ^= 0x10
        write_at(disk512.path, disk512.at, bad)
        survey(disk512)


def test_odd_figures(disk512):
    """A record with good checksums and figures that can not be: nothing breaks."""
    disk512.put(sl.OVMF, ram=1, end=0xFFFFFFFFFFFFFFFF, checked=0xFFFFFFFFFFFFFFFF,
                lost=0xFFFFFFFFFFFFFFFF, joined=0xFFFFFFFF, door=99, armed=1 << 63, ended=0)
    out = survey(disk512).stdout
    assert "survives: 0.00%" in out and "via: unknown" in out and "armed: unknown" in out
    disk512.put(state=sl.ENDED, reason=0xFFFFFFFF)
    assert "unknown failure" in survey(disk512, code=3).stdout


def test_image_that_ends_before_the_record(disk512):
    disk512.put(sl.OVMF)
    cut = disk512.path.with_name("cut.img")
    cut.write_bytes(read_at(disk512.path, 0, disk512.at + 512))
    short = Disk(cut, 512, START, 0)
    assert "(E61)" in survey(short, code=1).stderr
    r = mk("--survey", "-y", cut)
    refused(r, cut, "is not a dump disk", "prepare")


def test_arming_after_a_result(disk512):
    disk512.put(sl.OVMF)
    out = arm(disk512)
    assert "before       done" in out and "result of the survey before is gone" in out
    assert survey_json(disk512, code=3)["state"] == "armed"


# --- the words -----------------------------------------------------------------------------


def test_shell_reads_the_escaped_words(disk512, tmp_path):
    """/etc/default/grub is read by sh; GRUB's own script then takes one backslash more."""
    disk512.put(sl.OVMF)
    words = survey_json(disk512)["reserve"]
    config = tmp_path / "grub"
    config.write_text(f'GRUB_CMDLINE_LINUX="quiet {words["grub"]}"\n')
    seen = check("sh", "-c", f'. {shlex.quote(str(config))}; printf %s "$GRUB_CMDLINE_LINUX"')
    assert seen == "quiet " + words["plain"].replace("$", "\\$")


def test_help():
    assert "survey" in run(GETDUMP, "--help").stdout
    out = run(TOOL, "--help").stdout
    assert "--survey[=N|off]" in out and "--survey=off TARGET" in out
