"""getdump on dumps of all classes: levels, pages found later, classes dropped or cut short."""
import json
import os
import re
import struct
import subprocess

import pytest

import logimage as li
import oldimage
from dumpfiles import Elf, Kdump
from test_getdump import GETDUMP, getdump, out

FULL = 34
NAMES = {li.KEPT: "kept", li.ZERO: "zero", li.FREE: "free", li.CACHE: "cache",
         li.PRIVATE: "private cache", li.USER: "user", li.HWPOISON: "hwpoison",
         li.OFFLINE: "offline", li.UNREADABLE: "unreadable",
         li.BY_FIRMWARE: "overwritten by firmware",
         li.BY_LOADER: "overwritten by the boot loader",
         li.BY_US: "overwritten by afterimage", li.LOST: "metadata lost"}


def bits(*classes):
    return sum(1 << c for c in classes)


@pytest.fixture(scope="module", params=[512, 4096], name="image")
def make_image(request, tmp_path_factory):
    log = li.Log(request.param)
    li.rich(log)
    return log.save(tmp_path_factory.mktemp("rich") / "disk.img")


def saved(tmp_path, *args, **kw):
    log = li.Log()
    li.rich(log, *args, **kw)
    return log.save(tmp_path / "disk.img")


def expected(level, lacking=()):
    """Pages with a descriptor and contents, and those that read as zeros for free."""
    here = set(range(16))
    zero = set(range(li.CLASS_AT[li.ZERO], li.CLASS_AT[li.ZERO] + 16))
    for klass in li.ALWAYS:
        here |= set(range(li.CLASS_AT[klass], li.CLASS_AT[klass] + 16))
    for klass in li.LATER:
        at = li.CLASS_AT[klass]
        if not li.left_out(klass, level) and klass not in lacking:
            here |= {*range(at, at + 8), at + 14, at + 15}
            zero |= set(range(at + 8, at + 12))
    if level & 1:
        empty = {p for p in here if p % 16 == 15}
        here, zero = here - empty, zero | empty
    return here, zero


def check_kdump(path, level, lacking=()):
    k = Kdump(path)
    here, zero = expected(level, lacking)
    assert k.level == level
    assert k.ram == li.RICH_RAM
    assert k.dumped == here | zero
    assert not k.missing
    for pfn, data in k.pages.items():
        assert data == (li.rich_page(pfn) if pfn in here else bytes(li.PAGE)), hex(pfn)
    assert len({k.places[p] for p in zero}) == 1
    assert not {k.places[p] for p in zero} & {k.places[p] for p in here}
    return k


def check_linear(page_at, level):
    here, _ = expected(level)
    for pfn in li.RICH_RAM:
        want = li.rich_page(pfn) if pfn in here else bytes(li.PAGE)
        assert page_at(pfn) == want, hex(pfn)


# --- extract -l ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", range(32))
def test_extract_at_every_level(image, tmp_path, level):
    done = getdump("extract", image, "-l", level, "-o", tmp_path / "k")
    assert done.err == ""
    assert check_kdump(tmp_path / "k", level).status == 1
    getdump("extract", image, f"--level={level}", "-f", "flat", "-o", tmp_path / "f")
    with open(tmp_path / "f", "rb") as flat:
        subprocess.run(["makedumpfile", "-R", tmp_path / "u"], stdin=flat, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
    assert (tmp_path / "u").read_bytes() == (tmp_path / "k").read_bytes()
    getdump("extract", image, "-l", level, "-f", "elf", "-o", tmp_path / "e")
    e = Elf(tmp_path / "e")
    assert [(s[4], s[5]) for s in e.loads[:2]] == [
        (0, 16 * li.PAGE), (0x20 * li.PAGE, 16 * len(li.CLASS_AT) * li.PAGE)]
    check_linear(e.phys, level)
    getdump("extract", image, "-l", level, "-f", "raw", "-o", tmp_path / "r")
    data = (tmp_path / "r").read_bytes()
    assert len(data) == (max(li.RICH_RAM) + 1) * li.PAGE
    check_linear(lambda pfn: data[pfn * li.PAGE:(pfn + 1) * li.PAGE], level)


@pytest.mark.parametrize("form", ["raw", "elf"])
def test_zero_pages_become_holes(image, tmp_path, form):
    """Zero pages that the dump holds take room in the file at level 0 and none at level 1."""
    blocks = []
    for level in (0, 1):
        getdump("extract", image, "-f", form, "-l", level, "-o", tmp_path / f"{level}")
        blocks.append((tmp_path / f"{level}").stat().st_blocks)
    empty = len([p for p in expected(0)[0] if p % 16 == 15])
    assert empty == 9 and blocks[0] - blocks[1] == empty * li.PAGE // 512


def test_without_a_level_everything_is_extracted(image, tmp_path):
    assert getdump("extract", image, "-o", tmp_path / "k").err == ""
    check_kdump(tmp_path / "k", 0)


@pytest.mark.parametrize("applied", [2, 9, 16, 31])
def test_levels_add_up(tmp_path, applied):
    """What the dump lacks already stays away, and is named if it was asked for."""
    passes = [c for c in li.LATER if not li.left_out(c, applied)]
    image = saved(tmp_path, level=applied, passes=passes)
    for level in (0, 4, 9, 24, 31):
        done = getdump("extract", image, "--force", "-l", level, "-o", tmp_path / "k")
        check_kdump(tmp_path / "k", level | applied)
        lacking = [NAMES[c] for c in sorted(li.LATER)
                   if li.left_out(c, applied) and not li.left_out(c, level)]
        if lacking:
            assert f"taken at level {applied} and lacks" in done.err
            assert done.err.rstrip().endswith(
                ("classes " if lacking[1:] else "class ") + ", ".join(lacking)), done.err
        else:
            assert done.err == ""
    assert getdump("extract", image, "--force", "-o", tmp_path / "k").err == ""


@pytest.mark.parametrize("level", ["32", "-1", "", "x", "1x", "0x1f", "31 ", "4294967296"])
def test_levels_that_are_none(level):
    assert "is not a dump level" in getdump("extract", "x", "-l", level, code=2).err
    assert getdump("info", "x", "-l", "1", code=2).err.startswith("getdump: info does not take")


# --- dropped and incomplete classes -------------------------------------------------------


def test_dropped_classes_are_named(tmp_path):
    image = saved(tmp_path, passes=(li.USER, li.PRIVATE), degraded=256,
                  dropped=bits(li.CACHE, li.FREE))
    done = getdump("extract", image, "-o", tmp_path / "k")
    assert "dump 1 lacks the classes free, cache: it would not have fit; use a larger" in done.err
    assert check_kdump(tmp_path / "k", 18, (li.CACHE, li.FREE)).status == 1
    done = getdump("extract", image, "--force", "-l", 16, "-o", tmp_path / "k")
    assert "lacks the class cache: it" in done.err
    assert getdump("extract", image, "--force", "-l", 31, "-o", tmp_path / "k").err == ""
    assert "good" in out("verify", image)
    line = out("list", image)
    assert line.split()[2] == "complete" and line.endswith("  dropped: free, cache\n")
    info = json.loads(out("info", image, "--json"))["dump"]
    assert info["dropped_classes"] == ["free", "cache"] and info["incomplete_classes"] == []
    assert info["degraded"] == ["classes were left out because they would not fit"]
    assert info["contents"]["free"]["excluded"] == 16
    assert "dropped_classes: cache" in out("info", image).splitlines()
    at = li.CLASS_AT[li.FREE] * li.PAGE
    assert out("why", image, hex(at)) == \
        f"{hex(at)}: free; left out because all of them would not have fit\n"


def test_incomplete_classes_are_named(tmp_path):
    image = saved(tmp_path, passes=(li.USER, li.PRIVATE), reason=FULL,
                  incomplete=bits(li.CACHE, li.FREE))
    err = getdump("extract", image, "-o", tmp_path / "k", code=3).err
    assert "E34); 124 pages extracted, 32 missing, cut short: free, cache; fetch" in err
    k = Kdump(tmp_path / "k")
    assert k.status == 9 and k.missing == {
        li.CLASS_AT[c] + i for c in (li.CACHE, li.FREE) for i in range(16)}
    err = getdump("extract", image, "--force", "-l", 2, "-o", tmp_path / "k", code=3).err
    assert "16 missing, cut short: free; fetch" in err
    assert "cut short: free, cache" in out("list", image)
    getdump("verify", image, code=3)
    info = json.loads(out("info", image, "--json"))["dump"]
    assert info["incomplete_classes"] == ["free", "cache"]
    assert info["contents"]["cache"]["missing"] == 16
    text = out("why", image, f"{li.CLASS_AT[li.CACHE]:x}000")
    assert "cache; missing: the dump partition is full (E34)" in text


CUT = "but lacks only what level {} leaves out\n"


@pytest.mark.parametrize("form", ["kdump", "elf", "raw", "flat"])
def test_what_the_level_leaves_out_is_not_missing(tmp_path, form):
    image = saved(tmp_path, passes=(li.USER, li.PRIVATE), reason=FULL,
                  incomplete=bits(li.CACHE, li.FREE))
    extract = ("extract", image, "-f", form, "--force", "-o", tmp_path / "k")
    for level in (18, 31):
        assert getdump(*extract, "-l", level).err == \
            f"getdump: {image}: dump 1 is incomplete: the dump partition is full (E34), " \
            + CUT.format(level)
    if form == "kdump":
        assert check_kdump(tmp_path / "k", 31).status == 1
    assert "16 missing" in getdump(*extract, "-l", 16, code=3).err


def test_what_no_level_leaves_out_is_missing(tmp_path):
    """Pages without a class, a damaged page, a lost note: no level makes up for these."""
    def extract(d, code=3):
        return getdump("extract", d.log.save(tmp_path / "disk"), "--force", "-l", 31, "-o",
                       tmp_path / "k", code=code).err

    def cut_short(ram, finish=True):
        d = li.Log().dump(1, 0, incomplete=bits(li.FREE) * finish)
        if ram:
            d.note(li.MEMMAP, struct.pack("<QQII", 0, ram * li.PAGE, 1, 0))
        d.classes([(0, 16, li.KEPT), (16, 16, li.FREE)])
        d.pages(range(16))
        return d.end(FULL) if finish else d

    assert CUT.format(31) in extract(cut_short(32), 0)
    assert CUT.format(31) in extract(cut_short(32, False), 0)
    assert "1 missing" in extract(cut_short(33))
    assert "16 pages extracted, 0 missing" in extract(cut_short(0))
    for chunk, words in ((1, "0 missing"), (3, "16 missing")):
        d = cut_short(32)
        at, payload, _ = d.places[chunk]
        d.log.disk[at + payload + 9] ^= 1
        assert words in extract(d)


# --- verify and info ----------------------------------------------------------------------


def test_verify_checks_what_was_found(tmp_path):
    def verified(runs, code):
        log = li.Log()
        d = log.dump(1, 0)
        d.classes([(0, 0x100, li.USER)])
        for each in runs:
            d.found(each)
        return getdump("verify", d.end().log.save(tmp_path / "i"), code=code)

    assert verified([[(0, 0x80, li.ZERO), (0x80, 0x80, li.UNREADABLE)]], 0).err == ""
    passes = [[(0, 0x40, li.ZERO), (0x40, 0xC0, li.ZERO)]] * 6
    verified(passes, 0)
    assert "1 of 11 chunks are damaged" in verified(passes + passes[:1], 1).err
    for klass in (li.KEPT, li.USER, 0, 14, 255):
        err = verified([[(0, 0x100, li.ZERO)], [(0, 1, klass)]], 1).err
        assert "1 of 6 chunks are damaged" in err and "E62" in err
    log = li.Log()
    d = log.dump(1, 0)
    d.classes([(0, 8, li.USER)])
    d.found([(0, 8, li.ZERO)])
    d.chunk(li.FOUND, b"seven b")
    assert "1 of 6" in getdump("verify", d.end().log.save(tmp_path / "i"), code=1).err


def test_info_counts_each_class(image):
    dump = json.loads(out("info", image, "--json"))["dump"]
    assert dump["classes"] == {NAMES[c]: 16 + 16 * (c == li.KEPT) for c in NAMES}
    assert set(dump["contents"]) == set(NAMES.values())
    for klass, name in NAMES.items():
        c = dump["contents"][name]
        later, always = klass in li.LATER, klass in li.ALWAYS
        assert c["pages"] == dump["classes"][name] and c["bytes"] == c["pages"] * li.PAGE
        assert c["in_dump"] == (10 if later else c["pages"] if always else 0)
        assert c["zero"] == (4 if later else 16 if klass == li.ZERO else 0)
        assert c["unreadable"] == (2 if later else 0)
        assert c["missing"] == 0
        assert c["in_dump"] + c["zero"] + c["unreadable"] + c["excluded"] == c["pages"]
        assert (c["stored_bytes"] > 0) == (c["in_dump"] > 0)
        assert c["stored_bytes"] <= c["in_dump"] * li.PAGE
    assert dump["level"] == dump["level_asked"] == 0
    lines = out("info", image).splitlines()
    assert "  offline: 16 pages, 64.0 KiB: 16 left out" in lines
    assert any(re.fullmatch(r"  user: 16 pages, 64\.0 KiB: 10 in the dump, 4 zero, "
                            r"2 unreadable; [\d.]+ [BKi]+ stored", line) for line in lines)


def test_stored_bytes_are_those_of_the_chunks(image):
    contents = json.loads(out("info", image, "--json"))["dump"]["contents"]
    log = li.Log()
    d = li.rich(log)
    # START, three notes and CLASSES come first; PAGES and FOUND have places of their own.
    stored = sum(size for at, _, size in d.places
                 if int.from_bytes(log.disk[at + 6:at + 8], "little") == li.PAGES)
    assert sum(c["stored_bytes"] for c in contents.values()) == stored


def test_info_names_level_and_page_map(tmp_path):
    image = saved(tmp_path, level=1, passes=(), asked=31, degraded=128 | 16)
    dump = json.loads(out("info", image, "--json"))["dump"]
    assert (dump["level_asked"], dump["level"]) == (31, 1)
    assert "the old kernel's page map could not be used: everything was kept" in dump["degraded"]


# --- why ----------------------------------------------------------------------------------


def why(image, *args, **kw):
    return out("why", image, *args, **kw).splitlines()


def test_why_has_words_for_every_class(image):
    kept = {li.KEPT: "kept; in the dump",
            li.LOST: "kept because its struct page is missing or contradicts itself; in the dump",
            li.BY_FIRMWARE: "overwritten by firmware; in the dump, but not what the old kernel "
                            "had there",
            li.BY_LOADER: "overwritten by the boot loader; in the dump, but not what the old "
                          "kernel had there",
            li.ZERO: "zero; reads as zeros",
            li.HWPOISON: "hwpoison: its contents were never read",
            li.OFFLINE: "offline: its contents were never read",
            li.UNREADABLE: "unreadable: a memory error",
            li.BY_US: "overwritten by afterimage; not in the dump"}
    for klass, words in kept.items():
        at = f"0x{li.CLASS_AT[klass]:x}"
        assert why(image, at + "abc") == [f"{at}abc: {words}"]
    for klass in li.LATER:
        at, name = li.CLASS_AT[klass], NAMES[klass]
        assert why(image, f"{at:X}000", f"0X{at + 9:x}004", f"{at + 13:x}000") == [
            f"0x{at:x}000: {name}; in the dump",
            f"0x{at + 9:x}004: {name}, zero; reads as zeros",
            f"0x{at + 13:x}000: {name}, unreadable: a memory error"]
    end = max(li.RICH_RAM) + 1
    assert why(image, "0", "10000", "1ffff", f"{end - 1:x}fff", f"{end:x}000",
               "00fffffffffff000", "feffffffffffffff") == [
        "0x0: kept; in the dump", "0x10000: not RAM", "0x1ffff: not RAM",
        f"0x{end - 1:x}fff: " + kept[li.LOST], f"0x{end:x}000: beyond the end of memory",
        "0xfffffffffff000: beyond the end of memory",
        "0xfeffffffffffffff: beyond the end of memory"]


def test_why_names_the_level(tmp_path):
    image = saved(tmp_path, level=31, passes=())
    for klass in li.LATER:
        at = f"0x{li.CLASS_AT[klass]:x}000"
        assert why(image, at) == [f"{at}: {NAMES[klass]}; left out at level 31"]


def test_why_as_json(image):
    at = li.CLASS_AT[li.USER]
    doc = json.loads(out("why", image, "--json", f"{at + 8:x}123", "10000", "-n1"))
    assert doc["dump"] == 1
    assert doc["addresses"] == [
        {"address": f"0x{at + 8:x}123", "state": "zero", "class": "user", "found": "zero",
         "text": "user, zero; reads as zeros"},
        {"address": "0x10000", "state": "not RAM", "text": "not RAM"}]


def test_why_on_a_dump_cut_short(tmp_path):
    log = li.Log()
    d = log.dump(1, 31)
    d.note(li.MEMMAP, li.struct.pack("<QQII", 0, 0x100 * li.PAGE, 1, 0))
    d.classes([(0, 0x20, li.KEPT)])
    d.pages(range(8))
    d.put_header()
    image = log.save(tmp_path / "i")
    cut = "the dump was cut short by a reset or power loss (E68)"
    assert why(image, "7000", "8000", "20000", "100000") == [
        "0x7000: kept; in the dump", f"0x8000: kept; missing: {cut}",
        f"0x20000: not recorded: {cut}", "0x100000: beyond the end of memory"]
    log = li.Log()
    d = log.dump(1, 31)
    d.classes([(0, 0x20, li.KEPT)])
    d.pages(range(8))
    d.pages(range(0x40, 0x44))
    d.put_header()
    image = log.save(tmp_path / "i")
    assert why(image, "20000", "40000", "50000") == [
        f"0x20000: not recorded: {cut}", "0x40000: class not recorded; in the dump",
        f"0x50000: not recorded: {cut}"]


def test_why_sees_damage(tmp_path):
    log = li.Log()
    d = li.rich(log)
    at, payload, stored = next(p for p in d.places
                               if log.disk[p[0] + 6] == li.PAGES)
    log.disk[at + payload + stored // 2] ^= 1
    image = log.save(tmp_path / "i")
    assert why(image, "3000") == ["0x3000: kept; in the dump, but damaged: a checksum does not "
                                  "match (E63)"]


@pytest.mark.parametrize("address", ["", "x", "0x", "12g", "-1", "+1", " 1", "1 ", "0x0x1", "1.5",
                                     "10000000000000000", "00000000000000001"])
def test_why_refuses_what_is_no_address(image, address):
    done = getdump("why", image, "1000", "--", address, code=2)
    assert done.stdout == b"" and "is not a hexadecimal address" in done.err


def test_why_needs_an_address(image):
    assert "needs an ADDRESS" in getdump("why", image, code=2).err
    assert "no dump 7" in getdump("why", image, "0", "-n7", code=1).err


def test_why_without_page_tables(image):
    """The page tables are not in this dump: that is said, and the others are answered."""
    done = getdump("why", image, "ffffffff81000000", "0", code=1)
    assert done.stdout == b"0x0: kept; in the dump\n"
    assert "ffffffff81000000 can not be translated" in done.err


# --- why, with the old kernel's page tables and page map --------------------------------------


@pytest.fixture(name="kernel")
def make_kernel(tmp_path):
    return saved(tmp_path, old=oldimage.memory(), info=oldimage.INFO)


def struct_line(pfn, flags, refs, mapcount, mapping=0, private=0):
    return (f"  struct page at 0x{oldimage.VMEMMAP + 64 * pfn:x}: flags 0x{flags:x}, refcount "
            f"{refs}, mapcount {mapcount}, mapping 0x{mapping:x}, private 0x{private:x}")


def test_why_adds_details_from_the_page_map(kernel):
    free, user = li.CLASS_AT[li.FREE], li.CLASS_AT[li.USER]
    assert why(kernel, "5000", f"{free:x}000", f"{free + 10:x}123", f"{user:x}000",
               f"{user + 13:x}000") == [
        "0x5000: kept; in the dump", struct_line(5, oldimage.RESERVED, 1, -1),
        f"0x{free:x}000: free, in a block of 8 pages (order 3) at 0x{free:x}000; in the dump",
        struct_line(free, 0, 0, -129, 0, 3),
        f"0x{free + 10:x}123: free, zero, in a block of 8 pages (order 3) at 0x{free + 8:x}000; "
        "reads as zeros",
        struct_line(free + 10, 0, 0, -1),
        f"0x{user:x}000: user; in the dump",
        struct_line(user, oldimage.LRU | oldimage.SWAPBACKED, 1, 0, oldimage.POINTER | 1),
        f"0x{user + 13:x}000: user, unreadable: a memory error",
        struct_line(user + 13, oldimage.LRU | oldimage.SWAPBACKED, 1, 0, oldimage.POINTER | 1)]


def test_why_believes_the_record_and_not_the_page_map(tmp_path):
    """Where they disagree, nothing of the page map is shown."""
    old = oldimage.memory()
    kept, user = li.CLASS_AT[li.KEPT], li.CLASS_AT[li.USER]
    at = oldimage.MAP + user // 64
    page = bytearray(old[at])
    page[user % 64 * 64:user % 64 * 64 + 64] = oldimage.of_class(li.CACHE, user)
    old[at] = bytes(page)
    image = saved(tmp_path, old=old, info=oldimage.INFO)
    assert why(image, f"{user:x}000") == [f"0x{user:x}000: user; in the dump"]
    assert len(why(image, f"{user + 1:x}000")) == 2
    assert len(why(image, f"{li.CLASS_AT[li.HWPOISON]:x}000")) == 1
    assert len(why(image, f"{kept:x}000")) == 2


def test_why_translates_addresses_of_the_old_kernel(kernel):
    at = li.PAGE_OFFSET + 0x5123
    assert why(kernel, f"{at:x}") == [f"0x{at:x} -> 0x5123: kept; in the dump",
                                      struct_line(5, oldimage.RESERVED, 1, -1)]
    at = oldimage.VMEMMAP + 4096 + 8
    assert why(kernel, hex(at))[0] == f"0x{at:x} -> 0x9008: kept; in the dump"
    assert why(kernel, "ffffffff81000000", "0xff00000000000000", "ffffffffffffffff") == [
        f"0x{a}: not mapped by the old kernel"
        for a in ("ffffffff81000000", "ff00000000000000", "ffffffffffffffff")]
    at = li.PAGE_OFFSET + (li.CLASS_AT[li.UNREADABLE] << 12)
    doc = json.loads(out("why", kernel, "--json", hex(at), "ffffffff81000000"))
    assert doc["addresses"] == [
        {"address": hex(at), "physical": f"0x{li.CLASS_AT[li.UNREADABLE]:x}000",
         "state": "excluded", "class": "unreadable", "text": "unreadable: a memory error"},
        {"address": "0xffffffff81000000", "state": "not mapped",
         "text": "not mapped by the old kernel"}]


def test_why_details_as_json(kernel):
    at = li.CLASS_AT[li.FREE] + 9
    entry, = json.loads(out("why", kernel, "--json", f"{at:x}000"))["addresses"]
    assert entry == {"address": f"0x{at:x}000", "state": "zero", "class": "free", "found": "zero",
                     "order": 3, "block": f"0x{at - 1:x}000",
                     "struct_page": hex(oldimage.VMEMMAP + 64 * at), "flags": "0x0",
                     "refcount": 0, "mapcount": -1, "mapping": "0x0", "private": "0x0",
                     "text": f"free, zero, in a block of 8 pages (order 3) at 0x{at - 1:x}000; "
                             "reads as zeros"}


@pytest.mark.parametrize("page", range(oldimage.TABLES, oldimage.MAP + 4))
def test_why_outlives_a_broken_page_map(tmp_path, page):
    """Each page of tables and map in turn: all ones, pointers to itself, random."""
    free = f"{li.CLASS_AT[li.FREE]:x}000"
    entries = [b"\xff" * 8, (page * li.PAGE | 3).to_bytes(8, "little"), os.urandom(8)]
    for entry in entries:
        old = oldimage.memory()
        old[page] = entry * 512
        image = saved(tmp_path, old=old, info=oldimage.INFO)
        done = subprocess.run([GETDUMP, "why", image, "0", free, f"{li.PAGE_OFFSET:x}"],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, 1), done
        assert f"0x{free}: free" in done.stdout and "0x0: kept; in the dump" in done.stdout


def test_full_standard_output(image):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([GETDUMP, "why", image, "0"], stdout=full, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 1 and b"cannot be written" in done.stderr
