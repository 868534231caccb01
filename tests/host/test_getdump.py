"""getdump as users see it, on logs that the C code had no part in making."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess

import pytest

import logimage as li
from dumpfiles import Elf, Kdump

ROOT = pathlib.Path(__file__).resolve().parents[2]
GETDUMP = (ROOT / os.environ.get("BUILD", "build") / "getdump").resolve()
ALL_RAM = {p + i for p, n in li.RAM for i in range(n)}


def getdump(*args, code=0, cwd=None, **kw):
    done = subprocess.run([GETDUMP, *map(str, args)], capture_output=True, cwd=cwd, timeout=120,
                          check=False, **kw)
    assert done.returncode == code, (args, done.returncode, done.stdout[-300:], done.stderr)
    done.err = done.stderr.decode()
    if code == 1:
        assert re.match(r"getdump: .+: .+", done.err), done.err
    return done


def out(*args, **kw):
    return getdump(*args, **kw).stdout.decode()


@pytest.fixture(scope="module", params=[512, 4096])
def block(request):
    return request.param


@pytest.fixture(scope="module", name="log")
def make_log(block):
    log = li.Log(block)
    li.standard(log)
    return log


@pytest.fixture(name="image")
def make_image(log, tmp_path):
    return log.save(tmp_path / "disk.img")


def check_kdump(path, missing=frozenset(), lost_meta=False):
    k = Kdump(path)
    assert k.version == 6
    if not lost_meta:
        assert k.ram == ALL_RAM
        assert k.dumped == li.HERE | li.ZEROS
        assert k.max32 == k.max_mapnr == 0x400
        assert k.vmcoreinfo == li.INFO
        assert k.phys_base == li.PHYS_BASE
    assert k.uts[4] == b"x86_64"
    assert k.missing >= missing
    for pfn, data in k.pages.items():
        assert data == (li.page(pfn) if pfn in li.HERE else bytes(li.PAGE)), hex(pfn)
    return k


# --- looking -----------------------------------------------------------------------------


def test_list_is_one_line_per_dump(block, tmp_path):
    log = li.Log(block)
    li.standard(log, 2)
    li.standard(log, 1, level=24).put_header(flags=1)
    log.dump(3, node=b"bad\x1b[2Jhost", release=b"").put_header(reason=27)
    lines = out("list", log.save(tmp_path / "i")).splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].split()[:6] == ["1", "2025-06-15T15:06:41Z", "complete,cleared",
                                    "6.1.0-test", "crashhost", "24"]
    assert lines[1].split()[2] == "complete" and re.fullmatch(r"[\d.]+KiB", lines[1].split()[6])
    assert lines[2].split()[2:5] == ["incomplete", "-", "bad?[2Jhost"]
    assert "E27 writing to the dump disk failed" in lines[2]


def test_list_of_no_dumps_is_empty(tmp_path):
    image = li.Log().save(tmp_path / "i")
    assert out("list", image) == ""
    assert "no dumps" in getdump("info", image, code=1).err
    assert "no dumps" in getdump("extract", image, code=1, cwd=tmp_path).err
    assert out("verify", image) == ""


def test_info_says_everything(image):
    text = out("info", image)
    for line in ("number: 1", "state: complete", "kernel: 6.1.0-test", "  zero: 32",
                 "phys_base: 0xfffffffffef00000", "  free: 701", "duration_ms: 1234"):
        assert line in text.splitlines(), line
    info = json.loads(out("info", image, "--json"))
    assert info["disk"]["label"] == "rack 7"
    assert info["dump"]["pages"] == {"ram": len(ALL_RAM), "in_dump": len(li.HERE), "zero": 32,
                                     "excluded": len(ALL_RAM) - len(li.HERE) - 32, "missing": 0}
    assert info["dump"]["classes"]["overwritten by afterimage"] == 1
    assert info["dump"]["cleared"] is False


def test_info_names_what_was_given_up(tmp_path):
    log = li.Log()
    li.standard(log).put_header(degraded=2048 | 16 | 8)
    image = log.save(tmp_path / "disk.img")
    assert json.loads(out("info", image, "--json"))["dump"]["degraded"] == [
        "one of the superblocks was damaged",
        "pages were kept that the level asked for leaves out",
        "another dump disk failed before: the dump began anew on this one"]


def test_info_names_the_crash(tmp_path):
    """So that two dumps of the same are seen to be that; nothing if it is not known."""
    log = li.Log()
    li.standard(log, 1).put_header(crash=0xfedcba9876543210)
    li.standard(log, 2)
    image = log.save(tmp_path / "disk.img")
    assert "crash_id: 0xfedcba9876543210" in out("info", image, "-n1").splitlines()
    assert json.loads(out("info", image, "--json", "-n1"))["dump"]["crash_id"] == \
        "0xfedcba9876543210"
    assert "crash_id" not in json.loads(out("info", image, "--json"))["dump"]


def test_a_dump_is_chosen_by_number(tmp_path):
    log = li.Log()
    for number in (1, 2, 3):
        li.standard(log, number)
    image = log.save(tmp_path / "i")
    assert json.loads(out("info", image, "--json"))["dump"]["number"] == 3
    assert json.loads(out("info", image, "--json", "-n2"))["dump"]["number"] == 2
    assert "no dump 4" in getdump("info", image, "-n", 4, code=1).err
    assert "no dump 4" in getdump("verify", image, "-n", 4, code=1).err
    getdump("extract", image, cwd=tmp_path)
    assert (tmp_path / "dump.3.kdump").exists()


# --- extracting --------------------------------------------------------------------------


@pytest.mark.parametrize("method, flag", [("zlib", 1), ("none", 0), ("lzo", 2), ("zstd", 0x20)])
def test_extract_kdump(image, tmp_path, method, flag):
    getdump("extract", image, "-c", method, "-o", tmp_path / "k")
    k = Kdump(tmp_path / "k")
    assert k.status == flag
    if method in ("zlib", "none"):
        k = check_kdump(tmp_path / "k")
        assert set(k.pages) == li.HERE | li.ZEROS
    assert len({k.places[p] for p in li.ZEROS}) == 1
    assert k.time == 1750000001 and k.level == 31 and k.cpus == 1 and k.split == 0
    assert k.uts == [b"Linux", b"crashhost", b"6.1.0-test", b"#1 SMP", b"x86_64", b"(none)"]


def test_extract_elf(image, tmp_path):
    getdump("extract", image, "-f", "elf", "-o", tmp_path / "e")
    e = Elf(tmp_path / "e")
    assert [(s[4], s[3], s[5]) for s in e.loads] == [
        (0, li.PAGE_OFFSET, 0x9F000),
        (0x100000, li.PAGE_OFFSET + 0x100000, 0x300000),
        (0x100000, li.STEXT, 0x300000)]
    assert all(s[5] == s[6] for s in e.loads)
    assert b"VMCOREINFO\0" in e.notes and li.INFO in e.notes
    for pfn in ALL_RAM:
        assert e.phys(pfn) == (li.page(pfn) if pfn in li.HERE else bytes(li.PAGE)), hex(pfn)


def test_extract_raw(image, tmp_path):
    getdump("extract", image, "-f", "raw", "-o", tmp_path / "r")
    data = (tmp_path / "r").read_bytes()
    assert len(data) == 0x400 * li.PAGE
    for pfn in range(0x400):
        want = li.page(pfn) if pfn in li.HERE else bytes(li.PAGE)
        assert data[pfn * li.PAGE:(pfn + 1) * li.PAGE] == want, hex(pfn)


def test_extracted_files_are_sparse(tmp_path):
    log = li.Log()
    d = log.dump(1)
    d.classes([(0, 16, li.KEPT), (16, 65536, li.ZERO), (1 << 20, 16, li.KEPT)])
    d.pages(range(16))
    d.pages(range(1 << 20, (1 << 20) + 16))
    d.end()
    image = log.save(tmp_path / "i")
    for form in ("raw", "elf"):
        getdump("extract", image, "-f", form, "-o", tmp_path / form)
        info = (tmp_path / form).stat()
        assert info.st_size > 256 << 20 and info.st_blocks * 512 < 1 << 20


def test_missing_pages_take_no_room(tmp_path):
    """A dump cut short on a big machine: descriptors of what it lacks are a hole."""
    log = li.Log()
    d = log.dump(1)
    d.classes([(0, 16, li.KEPT)] + [(16 + (i << 16), 1 << 16, li.KEPT) for i in range(4)]
              + [(1 << 20, 16, li.KEPT)])
    d.pages(range(16))
    d.pages(range(1 << 20, (1 << 20) + 16))
    d.end(34)
    getdump("extract", log.save(tmp_path / "i"), "-o", tmp_path / "k", code=3)
    assert (tmp_path / "k").stat().st_blocks * 512 < 1 << 20
    k = Kdump(tmp_path / "k")
    assert k.missing == set(range(16, 16 + (4 << 16)))
    assert k.pages == {p: li.page(p) for p in [*range(16), *range(1 << 20, (1 << 20) + 16)]}


def test_flat_through_a_pipe_is_the_same_file(image, tmp_path):
    getdump("extract", image, "-o", tmp_path / "k")
    flat = getdump("extract", image, "-f", "flat", "-o", "-").stdout
    assert flat.startswith(b"makedumpfile\0\0\0\0" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"\1")
    assert flat.endswith(b"\xff" * 16)
    subprocess.run(["makedumpfile", "-R", tmp_path / "unflat"], input=flat, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)
    assert (tmp_path / "unflat").read_bytes() == (tmp_path / "k").read_bytes()
    getdump("extract", image, "-f", "flat", "-o", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == flat


def test_without_classes_only_zero_pages_are_left_out(tmp_path):
    """The page map could not be used: nothing is claimed to be left out that is not."""
    d = li.Log().dump(1, 1, degraded=128)
    d.note(li.MEMMAP, struct.pack("<QQII", 0, 32 * li.PAGE, 1, 0))
    d.classes([(0, 16, li.KEPT), (16, 15, li.ZERO), (31, 1, li.BY_US)])
    d.pages(range(16))
    image = d.end().log.save(tmp_path / "disk")
    for level in (0, 1, 30, 31):
        err = getdump("extract", image, "--force", "-l", level, "-o", tmp_path / "k").err
        said = f"getdump: {image}: dump 1 does not tell the classes of pages: only zero ones can " \
            "be left out; filter the file with makedumpfile\n"
        assert err == (said if level > 1 else "")
        k = Kdump(tmp_path / "k")
        assert k.level == 1 and k.dumped == set(range(31)) and k.status == 1


def test_registers_become_notes_in_order(tmp_path):
    log = li.Log()
    d = log.dump(1)
    d.note(li.VMCOREINFO, li.INFO)
    notes = [b"\5\0\0\0" + (336).to_bytes(4, "little") + b"\1\0\0\0CORE\0\0\0\0" +
             bytes([cpu]) * 336 for cpu in (1, 2, 3)]
    for n in notes:
        d.note(li.PRSTATUS, n)
    d.note(li.PRSTATUS, notes[0][:100])
    d.pages(range(4))
    d.end()
    image = log.save(tmp_path / "i")
    getdump("extract", image, "-o", tmp_path / "k")
    getdump("extract", image, "-f", "elf", "-o", tmp_path / "e")
    k = Kdump(tmp_path / "k")
    assert k.cpus == 3
    for each in (k.notes, Elf(tmp_path / "e").notes):
        assert each.startswith(b"".join(notes)) and each.rstrip(b"\0").endswith(li.INFO)
    assert k.vmcoreinfo == li.INFO


def test_more_ranges_than_an_elf_header_can_count(tmp_path):
    log = li.Log(mib=20)
    d = log.dump(1)
    runs = [(2 * i, 1, li.ZERO) for i in range(66000)]
    for i in range(0, len(runs), 8000):
        d.classes(runs[i:i + 8000])
    d.end()
    getdump("extract", log.save(tmp_path / "i"), "-f", "elf", "-o", tmp_path / "e")
    e = Elf(tmp_path / "e")
    assert len(e.segments) == 66001
    assert e.loads[-1][4] == 2 * 65999 * li.PAGE


def test_output_is_not_overwritten(image, tmp_path):
    getdump("extract", image, cwd=tmp_path)
    before = (tmp_path / "dump.1.kdump").read_bytes()
    (tmp_path / "dump.1.kdump").write_bytes(b"mine")
    assert "exists already" in getdump("extract", image, cwd=tmp_path, code=1).err
    assert (tmp_path / "dump.1.kdump").read_bytes() == b"mine"
    getdump("extract", image, "--force", cwd=tmp_path)
    assert (tmp_path / "dump.1.kdump").read_bytes() == before
    os.symlink("nowhere", tmp_path / "link")
    assert "not a regular" in getdump("extract", image, "-o", tmp_path / "link", code=1).err
    assert "not a regular" in getdump("extract", image, "--force", "-o", "/dev/null",
                                      code=1).err
    assert "source itself" in getdump("extract", image, "--force", "-o", image, code=1).err
    assert "cannot create" in getdump("extract", image, "-o", tmp_path / "no" / "k", code=1).err


def test_failed_output_is_removed(image, tmp_path):
    """A file size limit makes writing fail at every point; nothing may stay behind."""
    here = tmp_path / "out"
    here.mkdir()
    for form in ("kdump", "elf", "raw", "flat"):
        for limit in (0, 4096, 20000, 200000):
            done = subprocess.run(
                ["/bin/sh", "-c", f"ulimit -f {limit // 512}; exec "
                 f"{GETDUMP} extract {image} -c none -f {form}"
                 if form in ("kdump", "flat") else
                 f"ulimit -f {limit // 512}; exec "
                 f"{GETDUMP} extract {image} -f {form}"],
                cwd=here, capture_output=True, timeout=60, check=False)
            assert done.returncode == 1, (form, limit, done.stderr)
            assert b"cannot write: File too large; choose a place with more room" in done.stderr
            assert not list(here.iterdir())


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_a_signal_leaves_nothing_unless_ignored(image, tmp_path, shim, name):
    """nohup and background jobs ignore signals; the extraction must then go on."""
    here = tmp_path / "out"
    here.mkdir()
    number = int(getattr(signal, f"SIG{name}"))
    for ignored in (False, True):
        # Set either way: the test itself may have been started with the signal ignored.
        action = signal.SIG_IGN if ignored else signal.SIG_DFL
        done = subprocess.run(
            [GETDUMP, "extract", image], cwd=here, timeout=60, check=False,
            env={**os.environ, "LD_PRELOAD": str(shim), "FAIL_PROGRAM": "getdump",
                 "FAIL_AT": "3", "FAIL_SIGNAL": str(number)},
            preexec_fn=lambda: signal.signal(number, action))
        assert done.returncode == (0 if ignored else -number)
        assert [f.name for f in here.iterdir()] == (["dump.1.kdump"] if ignored else [])


def test_full_pipe_reader_gone(image):
    with subprocess.Popen([GETDUMP, "extract", image, "-f", "flat", "-o", "-"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.close()
        err = p.stderr.read()
        assert p.wait(30) == 1
    assert b"the reader of the pipe went away" in err


# --- damage ------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", ["short", "zeros", "garbage"])
def test_a_log_cut_anywhere_still_gives_what_is_there(log, tmp_path, fill):
    places = li.Log(log.block)
    d = li.standard(places)
    if fill != "short":
        d.put_header(state=li.INCOMPLETE)
    end = d.places[-1][0] + d.places[-1][1] + d.places[-1][2]
    start = d.places[0][0]
    cuts = {start + i * (end - start) // 23 for i in range(23)}
    cuts |= {p + x for p, _, _ in d.places for x in (0, 1, 130)} | {end - 1}
    image = tmp_path / "i"
    image.write_bytes(places.disk)
    previous = -1
    for cut in sorted(c for c in cuts if c < end):
        if fill == "short":
            image.write_bytes(places.disk[:cut])
        else:
            rest = bytes(end - cut) if fill == "zeros" else b"\xa5" * (end - cut)
            with open(image, "r+b") as f:
                f.seek(start)
                f.write(places.disk[start:cut] + rest)
        line = out("list", image)
        assert line.split()[2] == "incomplete" and re.search(r"  E6[128] ", line), line
        getdump("extract", image, "--force", "-o", tmp_path / "k", code=3)
        k = check_kdump(tmp_path / "k", lost_meta=True)
        assert k.status & 8
        here = sum(pfn in li.HERE for pfn in k.pages)
        assert here >= previous
        previous = here
    assert previous == len(li.HERE)
    err = getdump("verify", image, code=3).err
    assert "is incomplete" in err


def test_damaged_pages_are_missing_and_said_so(log, tmp_path):
    bad = li.Log(log.block)
    d = li.standard(bad)
    at, payload, stored = d.places[6]
    bad.disk[at + payload + stored // 2] ^= 1
    image = bad.save(tmp_path / "i")
    err = getdump("verify", image, code=1).err
    assert "1 of 18 chunks are damaged" in err and "E63" in err
    err = getdump("extract", image, "-o", tmp_path / "k", code=3).err
    assert "16 missing" in err
    k = check_kdump(tmp_path / "k", missing=set(range(16)))
    assert set(k.pages) == (li.HERE | li.ZEROS) - set(range(16))
    assert k.status == 9
    getdump("extract", image, "-f", "elf", "-o", tmp_path / "e", code=3)
    assert Elf(tmp_path / "e").phys(3) == bytes(li.PAGE)


def test_verify_checks_everything(log, tmp_path):
    image = log.save(tmp_path / "i")
    assert re.fullmatch(r"dump 1: good, 18 chunks, 130 pages\n", out("verify", image))
    bad = li.Log(log.block)
    d = li.standard(bad)
    good = bytes(bad.disk)
    for at, payload, stored in d.places[1:]:
        bad.disk[at + payload + stored - 1] ^= 0x80
        code = 1 if at != d.places[-1][0] else 3
        getdump("verify", bad.save(image), code=code)
        bad.disk[:] = good
    for at, what in ((100, "first superblock"), (len(good) - log.block + 100, "last superblock")):
        bad.disk[at] ^= 1
        assert what in getdump("verify", bad.save(image), code=1).err
        bad.disk[:] = good
    for at in ((1 * log.block), len(good) - (1 + bad.slots) * log.block):
        bad.disk[at + 100] ^= 1
        assert "good" in out("verify", bad.save(image))
        bad.disk[:] = good
    for at in ((1 * log.block), len(good) - (1 + bad.slots) * log.block):
        bad.disk[at + 100] ^= 1
    assert "directory slots" in getdump("verify", bad.save(image), code=1).err


def test_verify_passes_over_reused_space(tmp_path):
    """A cleared dump whose space another one has taken is no damage, unless it is asked for."""
    log = li.Log()
    first = li.standard(log, 1)
    log.free = first.start
    li.standard(log, 2)
    image = log.save(tmp_path / "disk.img")
    getdump("verify", image, code=3)
    getdump("clear", image, "-n", 1)
    assert out("verify", image).startswith("dump 2: good")
    assert "dump 1 is incomplete" in getdump("verify", image, "-n", 1, code=3).err


def test_one_superblock_serves(log, tmp_path):
    for at in (0, len(log.disk) - log.block):
        disk = bytearray(log.disk)
        disk[at:at + 512] = b"\xff" * 512
        (tmp_path / "i").write_bytes(disk)
        done = getdump("list", tmp_path / "i")
        assert b"complete" in done.stdout and "the other one serves" in done.err
        getdump("extract", tmp_path / "i", "--force", "-o", tmp_path / "k")
        check_kdump(tmp_path / "k")


def test_both_superblocks_damaged(log, tmp_path):
    disk = bytearray(log.disk)
    disk[40] ^= 1
    disk[-log.block + 40] ^= 1
    (tmp_path / "i").write_bytes(disk)
    assert "both superblocks" in getdump("list", tmp_path / "i", code=1).err
    whole = li.gpt_disk(bytes(512) + bytes(log.disk[512:-log.block]) + bytes(log.block), log.block)
    (tmp_path / "i").write_bytes(whole)
    assert "(E32)" in getdump("list", tmp_path / "i", code=1).err


def test_a_newer_version_is_refused(tmp_path):
    log = li.Log(version=2)
    err = getdump("list", log.save(tmp_path / "i"), code=1).err
    assert "newer version" in err and "(E33)" in err


def test_unknown_chunks_are_skipped(tmp_path):
    log = li.Log()
    d = log.dump(1)
    d.chunk(42, b"from the future")
    d.pages(range(8))
    d.end()
    image = log.save(tmp_path / "i")
    getdump("verify", image)
    getdump("extract", image, "-o", tmp_path / "k")
    assert set(Kdump(tmp_path / "k").pages) == set(range(8))


# --- sources -----------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [512, 4096])
def test_whole_disks_are_searched(log, tmp_path, sector):
    image = tmp_path / "i"
    disk = li.gpt_disk(log.disk, sector)
    image.write_bytes(disk)
    assert "complete" in out("list", image)
    getdump("extract", image, "-o", tmp_path / "k")
    check_kdump(tmp_path / "k")
    getdump("clear", image, "-n1")
    after = image.read_bytes()
    differing = {i // log.block for i in range(0, len(disk), log.block)
                 if disk[i:i + log.block] != after[i:i + log.block]}
    assert len(differing) == 2
    broken = bytearray(disk)
    broken[sector:sector + 8] = b"broken!!"
    image.write_bytes(broken)
    assert "complete" in out("list", image)
    image.write_bytes(disk[:3 << 20])
    assert " incomplete " not in out("list", image)


def test_a_disk_image_cut_short(log, tmp_path):
    image = tmp_path / "i"
    copy = li.Log(log.block)
    d = li.standard(copy)
    disk = li.gpt_disk(copy.disk, log.block, before=64)
    start = disk.index(b"AFTRSUP1")
    image.write_bytes(disk[:start + d.places[8][0] + 200])
    assert "incomplete" in out("list", image) and "E61" in out("list", image)
    getdump("extract", image, "-o", tmp_path / "k", code=3)
    assert set(check_kdump(tmp_path / "k").pages) == li.ZEROS | set(range(32))
    assert "cut short" in getdump("clear", image, "--all", code=1).err
    for end in (start - 5000, start, start + 100):
        image.write_bytes(disk[:end])
        assert "E61" in getdump("list", image, code=1).err


def test_other_files_are_refused(tmp_path):
    def refused(path, *words):
        err = getdump("list", path, code=1).err
        assert err.startswith(f"getdump: {path}: ") and ";" in err
        for word in words:
            assert word in err, err

    refused(tmp_path, "is a directory")
    refused("/dev/null", "neither a file nor a block device")
    refused(tmp_path / "none", "cannot open", "No such file")
    for size in (0, 1, 511, 4096, 1 << 20):
        (tmp_path / "f").write_bytes(os.urandom(size))
        refused(tmp_path / "f", "is empty" if size == 0 else "(E60)")
    shutil.copy(GETDUMP, tmp_path / "elf")
    refused(tmp_path / "elf", "no dump disk", "(E60)")
    other = li.gpt_disk(bytes(1 << 20), uuid_type=li.uuid.uuid4())
    (tmp_path / "f").write_bytes(other)
    refused(tmp_path / "f", "(E60)")


def test_unreadable_and_unwritable_sources(image, tmp_path):
    before = pathlib.Path(image).read_bytes()
    user = dict(user=65534, group=65534, extra_groups=[]) if os.geteuid() == 0 else {}
    shutil.copy(GETDUMP, tmp_path / "getdump")
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        if user:
            directory.chmod(0o755)

    def as_user(*args):
        return subprocess.run([tmp_path / "getdump", *args], capture_output=True, check=False,
                              text=True, timeout=60, **user)

    os.chmod(image, 0o444)
    assert as_user("list", image).returncode == 0
    done = as_user("clear", image, "--all")
    assert done.returncode == 1 and "cannot open for writing" in done.stderr
    os.chmod(image, 0)
    done = as_user("list", image)
    assert done.returncode == 1 and "Permission denied; run as" in done.stderr
    os.chmod(image, 0o644)
    assert pathlib.Path(image).read_bytes() == before


# --- clearing ----------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
def test_a_block_device_is_a_source(block, tmp_path, loop, whole):
    """A whole disk or its partition, as the administrator of the restarted machine has them."""
    log = li.Log(block)
    li.standard(log)
    image = tmp_path / "i"
    image.write_bytes(li.gpt_disk(log.disk, block) if whole else log.disk)
    device = loop(image, "--sector-size", str(block))
    assert out("list", device).split()[2] == "complete"
    getdump("verify", device)
    getdump("extract", device, "-o", tmp_path / "k")
    check_kdump(tmp_path / "k")
    getdump("clear", device, "-n", 1)
    assert out("list", device).split()[2] == "complete,cleared"


def test_a_read_only_block_device_is_not_cleared(log, tmp_path, loop):
    device = loop(log.save(tmp_path / "i"), "--read-only")
    before = (tmp_path / "i").read_bytes()
    getdump("verify", device)
    getdump("clear", device, "-n", 1, code=1)
    assert (tmp_path / "i").read_bytes() == before


def test_clear_marks_both_copies(block, tmp_path):
    log = li.Log(block)
    for number in (1, 2, 3):
        li.standard(log, number)
    image = pathlib.Path(log.save(tmp_path / "i"))
    getdump("clear", image, "-n", 2)
    after = image.read_bytes()
    changed = {i for i in range(0, len(after), block) if after[i:i + block] != log.disk[i:i + block]}
    assert changed == {2 * block, len(after) - (1 + log.slots - 1) * block}
    front, back = (after[i:i + 512] for i in sorted(changed))
    assert front == back == li.sealed(front, 508)
    assert int.from_bytes(front[12:16], "little") == 3 and front[56] == 1
    states = [line.split()[2] for line in out("list", image).splitlines()]
    assert states == ["complete", "complete,cleared", "complete"]
    getdump("clear", image, "-n", 2)
    assert image.read_bytes() == after
    getdump("clear", image, "--all")
    assert out("list", image).count(",cleared") == 3
    getdump("extract", image, "-n", 2, "-o", tmp_path / "k")
    check_kdump(tmp_path / "k")
    assert "no dump 9" in getdump("clear", image, "-n", 9, code=1).err


# --- usage -------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [
    [], ["list"], ["why", "x"], ["mount", "x"], ["list", "a", "b"],
    ["list", "x", "-n1"], ["list", "x", "--json"], ["info", "x", "-n", "0"], ["info", "x", "-nx"],
    ["extract", "x", "-f", "tar"], ["extract", "x", "-c", "lzf"], ["extract", "x", "-o", "-"],
    ["extract", "x", "-f", "elf", "-c", "zlib"], ["extract", "x", "-f", "raw", "-o", "-"],
    ["extract", "x", "-o", ""], ["clear", "x"], ["clear", "x", "-n1", "--all"], ["list", "x", "-q"],
    ["list", "x", "--nope"], ["info", "x", "-n"], ["extract", "x", "--output"],
    ["verify", "x", "--all"]])
def test_wrong_usage(args):
    err = getdump(*args, code=2).err
    assert err.startswith("getdump: ")


def test_help_and_version():
    text = out("--help")
    for word in ("list", "info", "extract", "verify", "dmesg", "why", "clear", "--force", "--json",
                 "--level", "survey"):
        assert word in text
    assert "mount" not in text
    assert re.fullmatch(r"getdump \(afterimage\) \d+\.\d+\.\d+\n", out("--version"))
    with open("/dev/full", "wb") as full:
        for args in (["--help"], ["--version"]):
            done = subprocess.run([GETDUMP, *args], stdout=full, stderr=subprocess.PIPE,
                                  check=False)
            assert done.returncode == 1 and b"cannot be written" in done.stderr


def test_messages_hold_no_control_characters(image):
    for args, code in ((["list", "no\033[2Jdisk\n"], 1), (["li\nst", image], 2)):
        err = getdump(*args, code=code).err
        assert err.count("\n") == 1 and "\033" not in err
    assert "no?[2Jdisk?: cannot open" in getdump("list", "no\033[2Jdisk\n", code=1).err
    assert "G\u00fc te: cannot open" in getdump("list", "G\u00fc te", code=1).err


def test_full_standard_output(image):
    with open("/dev/full", "wb") as full:
        for args in (["list", image], ["info", image], ["extract", image, "-f", "flat", "-o", "-"]):
            done = subprocess.run([GETDUMP, *args], stdout=full, stderr=subprocess.PIPE, check=False)
            assert done.returncode == 1 and done.stderr, args
