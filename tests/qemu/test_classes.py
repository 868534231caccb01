"""Every page's class, on one guest after another, against the newest makedumpfile working on
a vmcore of the same memory. Dropping a page that makedumpfile keeps is a failure; keeping a
page that it drops is counted by class."""

import re
import shutil
from pathlib import Path

import pytest

import capture
import compare
import endings
import excluded
import matrix
import readers
import tools
import vmcore
from machine import GIB

LOW_PAGES = 256
BLOCK_PAGES = 1024
MAX_LOST = 4096  # pages kept because their struct page makes no sense, undisturbed memory
FIRMWARE_MORE = 32  # pages
MAX_DISTURBED = 34 * 64 + MAX_LOST  # plus those that firmware overwrote
HELD = ("small pages", "transparent huge pages", "hugetlb pages", "locked pages", "mapped file",
        "swapped pages", "merged pages")
POISONED = ("poisoned page", "poisoned part of a huge page", "page taken out softly")
DAMAGE_ROUNDS = 1000  # per GiB
FILTER_LEVELS = (2, 8, 31)  # the last is the small dump's
CALLER = re.compile(r"^(\[ *\d+\.\d+\]) \[ *[TC]\d+\]")
WHY = ("free", "user", "cache", "private cache", "hwpoison", "offline", "kept")


@pytest.fixture(scope="module", params=matrix.guests(), ids=str)
def scene(request, tmp_path_factory, step):
    folder = tmp_path_factory.mktemp("scene")
    yield matrix.play(request.param, folder, step)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def truth(scene):
    """Classes, RAM pages and zero pages of the memory at the hang."""
    return excluded.of_ram(scene.crash.ram, scene.crash, scene.folder)


@pytest.fixture(scope="module")
def after(scene):
    """Likewise of the memory as firmware left it and the image found it; the image itself
    writes below 1 MiB only."""
    return excluded.of_ram(scene.after, scene.crash, scene.folder)


def high(pages):
    return pages >> LOW_PAGES << LOW_PAGES


def check_none(pages, classes, what):
    if pages:
        pytest.fail(f"{pages.bit_count()} {what}: {excluded.text_of(pages, classes)}", False)


# --- the victim is what it should be -----------------------------------------------------


def test_victim_has_memory_of_every_kind(scene, step):
    said = dict(re.findall(rf"{capture.PROMPT}held ([\w ]+): (\w+)", scene.console))
    counts = matrix.numbers(scene)
    assert {said[name] for name in HELD} == {"yes"}, said
    if counts["can_poison"]:
        assert {said[name] for name in POISONED} == {"yes"}, said
    else:
        step("this kernel is built without CONFIG_MEMORY_FAILURE: no poisoned pages")
    assert re.search(rf"{capture.PROMPT}offlined \d+", scene.console)
    for name in ("Cached", "SwapCached", "Mlocked", "Dirty", "AnonHugePages", "HugePages_Free",
                 "KSM"):
        assert counts[name] > 0, name
    assert counts["HugePages_Total"] > counts["HugePages_Free"]
    assert counts["nodes"] == scene.guest.nodes
    capable = (scene.guest.cpu_model == "max"
               and matrix.matrix_kernels.series(scene.kernel) >= matrix.FIVE_LEVELS_FROM)
    assert scene.found.levels == (5 if capable else 4)
    if scene.guest.ram_bytes == matrix.BIG:
        assert max(end for _, end in scene.crash.usable) > 4 << 30


# --- against makedumpfile ----------------------------------------------------------------


def mistaken_tails(scene, core_ram, pages):
    """Of @pages, those makedumpfile has no reason to drop: second pages of compound pages.
    Linux 7.1 renamed the field that tells a tail; a makedumpfile that does not know the new
    name looks for an anonymous page's mark in a word of theirs that has another meaning."""
    program = Path(scene.makedumpfile[-1]).read_bytes()
    if b"OFFSET(page.compound_info)" not in scene.found.info or b"compound_info" in program:
        return 0
    ram = vmcore.Ram(core_ram, scene.crash.ram_bytes)

    def word(page, field):
        return vmcore.page_word(ram, scene.found, page, field)
    return excluded.union((page, 1) for page in excluded.pages_of(pages)
                          if word(page, "compound_info") & 1 and word(page, "mapping") & 1)


def blocks_around(pages):
    """The largest blocks that Linux's allocator has, those that @pages lie in."""
    firsts = {page // BLOCK_PAGES * BLOCK_PAGES for page in excluded.pages_of(pages)}
    return excluded.union((first, BLOCK_PAGES) for first in firsts)


def check_extra(scene, ram, pages, classes, what, step):
    """Pages that we keep and makedumpfile drops must have a reason; prints it."""
    if not pages:
        return
    tails = mistaken_tails(scene, ram, pages)
    lost = classes.get("metadata lost", 0)
    own, around = pages & lost & ~tails, pages & blocks_around(lost) & ~lost & ~tails
    step(f"{what}: kept by us alone: {excluded.count_by_class(pages, classes)}; of them "
         f"{tails.bit_count()} second pages of compound pages, which this makedumpfile takes for "
         f"anonymous ones, {own.bit_count()} whose struct page is lost, {around.bit_count()} in "
         "a block of which a part is lost")
    check_none(pages & ~tails & ~own & ~around, classes,
               f"pages kept for no known reason at {what}")


def check_level(scene, level, memory, step):
    """One level on the memory at the hang."""
    classes, ram = memory.classes, memory.ram
    ours = excluded.kept_of(memory, level)
    theirs = matrix.kept_by_makedumpfile(scene, scene.core, level).kept
    step(f"level {level}: we drop {(ram & ~ours).bit_count()} pages of {ram.bit_count()}, "
         f"makedumpfile {(ram & ~theirs).bit_count()}")
    check_none(theirs & ~ours & ram, classes,
               f"pages dropped at level {level} that makedumpfile keeps")
    check_extra(scene, scene.crash.ram, ours & ~theirs & ram, classes, f"level {level}", step)


def test_excluded_pages_at_every_level(scene, truth, step):
    classes, ram = truth.classes, truth.ram
    step("classes: " + ", ".join(f"{name} {count}" for name, count in sorted(
        excluded.count_by_class(ram, classes).items())))
    for level in excluded.LEVELS:
        check_level(scene, level, truth, step)
    assert (classes.get("metadata lost", 0) & ram).bit_count() <= MAX_LOST
    for name in ("free", "cache", "private cache", "user", "kept", "offline"):
        assert (classes[name] & ram).bit_count() >= 256, name
    if matrix.numbers(scene)["can_poison"]:
        assert classes["hwpoison"].bit_count() >= len(POISONED)


def test_every_page_of_ram_has_one_class(scene, truth):
    seen = 0
    for name, pages in truth.classes.items():
        check_none(pages & seen, truth.classes, f"pages that are {name} and something else")
        seen |= pages
    check_none(truth.ram & ~seen, truth.classes, "pages without a class")


# --- the real capture --------------------------------------------------------------------


@pytest.fixture(scope="module")
def dump(scene):
    """Page sets of the dump as extracted."""
    target = tools.extract(scene.disk, "kdump", scene.folder / "kdump")
    return excluded.read_kdump(target)


def test_capture_is_complete(scene):
    assert scene.result.state == "complete", scene.result.lines
    tools.getdump("verify", scene.disk)


def test_real_dump_has_the_pages_of_its_classes(scene, after, dump):
    """What the image decided on the machine is what the same code decides here."""
    ours = excluded.kept_of(after, 31)
    check_none(high(after.ram & (ours ^ dump.kept)), after.classes, "pages are treated otherwise")
    check_none(dump.missing, after.classes, "pages are missing")


def test_real_dump_against_makedumpfile(scene, after, dump, step):
    """On the memory as firmware left it. Where firmware overwrote struct pages, nobody can
    know what they described: we keep it all, makedumpfile believes what stands there now."""
    classes, ram = after.classes, after.ram
    core = scene.folder / "core-after"
    vmcore.make(scene.crash, core, scene.after)
    theirs = matrix.kept_by_makedumpfile(scene, core, 31)
    core.unlink()
    lost = classes.get("metadata lost", 0) & ram
    extra = high(ram & dump.kept & ~theirs.kept)
    step(f"kept by the dump {dump.kept.bit_count()}, by makedumpfile {theirs.kept.bit_count()}; "
         f"{lost.bit_count()} pages whose struct page firmware overwrote")
    check_none(high(ram & theirs.kept & ~dump.kept), classes, "pages that makedumpfile keeps")
    check_extra(scene, scene.after, extra, classes, "real dump", step)
    assert lost.bit_count() <= MAX_DISTURBED


def test_dump_holds_what_memory_held(scene, dump):
    """Every page with contents, byte by byte."""
    raw = tools.extract(scene.disk, "raw", scene.folder / "raw")
    wrong = []
    with open(raw, "rb") as a, open(scene.after, "rb") as b:
        for page in excluded.pages_of(high(dump.kept)):
            at = compare.ram_offset(page * compare.PAGE, scene.crash.ram_bytes)
            if (compare.read_at(a, page * compare.PAGE, compare.PAGE) !=
                    compare.read_at(b, at, compare.PAGE)):
                wrong.append(page)
    raw.unlink()
    assert not wrong, compare.ranges_text(wrong)


# --- a richer dump, filtered later -------------------------------------------------------


def captured_again(scene, level):
    """A disk with a dump at another level of the memory at the hang."""
    disk = tools.make_disk(scene.folder / f"level{level}.img", matrix.DISK_SIZE, "--level",
                           str(level))
    result = capture.capture(scene.folder, disk, scene.crash, cpu_model=scene.guest.cpu_model)
    (scene.folder / "ram").unlink()
    assert result.state == "complete", result.lines
    return disk


def extracted(scene, disk, *options):
    """Page sets of the dump on @disk as extracted with @options."""
    target = scene.folder / "again"
    tools.getdump("extract", disk, "-f", "kdump", "-c", "lzo", "-o", target, *options)
    found = excluded.read_kdump(target)
    target.unlink()
    return found


def check_filtered(scene, memory, full, level, step):
    """The full dump extracted at @level: but for what firmware overwrote since, it is what
    the classes of the memory at the hang say."""
    level |= matrix.full_level(scene.guest)
    filtered = extracted(scene, full, "-l", str(level))
    differ = high(filtered.kept ^ excluded.kept_of(memory, level))
    if differ.bit_count() > MAX_DISTURBED:
        check_none(differ, memory.classes, f"pages treated otherwise at level {level}")
    step(f"full dump extracted at level {level}: {filtered.kept.bit_count()} pages")
    return filtered


@pytest.fixture(scope="module")
def unsteady(scene, after):
    """Pages that two runs of firmware need not leave alike: its own, and those whose struct
    pages lay there."""
    own = compare.truth_against_ram(scene.crash, scene.after).high
    first = own[0] - FIRMWARE_MORE  # another run may get further down
    return excluded.span(first, own[-1] + 1 - first) | after.classes.get("metadata lost", 0)


def test_full_dump_filtered_later_is_the_small_dump(scene, truth, unsteady, step):
    full = captured_again(scene, matrix.full_level(scene.guest))
    for level in FILTER_LEVELS:
        filtered = check_filtered(scene, truth, full, level, step)
    full.unlink()
    disk = captured_again(scene, 31)
    small = extracted(scene, disk)
    disk.unlink()
    for ours, theirs in ((filtered.kept, small.kept), (filtered.zero, small.zero)):
        check_none((ours ^ theirs) & ~unsteady, truth.classes, "pages treated otherwise later")


# --- the log, and single pages -----------------------------------------------------------


def test_log_is_the_kernels(scene):
    ours = tools.getdump("dmesg", scene.disk).stdout.splitlines()
    theirs = readers.makedumpfile_dmesg(scene.core, scene.folder, scene.makedumpfile)
    assert any(scene.crash.nonce in line for line in ours)
    # Newer ones print who wrote a line.
    assert ours == [CALLER.sub(r"\1", line) for line in theirs]


def test_run_is_known_again(scene):
    """On this kernel too: how it ended, by the memory at the hang and as the image left it."""
    before, after = (endings.look(ram, scene.crash, scene.folder).why_and_run
                     for ram in (scene.crash.ram, scene.after))
    assert before == after and before[0].startswith("crash: ")


def test_why_knows_every_kind_of_page(scene, after, step):
    for name in WHY:
        members = high(after.classes.get(name, 0) & after.ram)
        if name == "hwpoison" and not matrix.numbers(scene)["can_poison"]:
            continue
        # Prefer one that is not zero: the first pass tells zero pages from others.
        page = next(excluded.pages_of(members & ~after.zero or members))
        said = tools.getdump("why", scene.disk, f"{page * compare.PAGE:#x}").stdout.strip()
        step(said.splitlines()[0])
        assert f": {name}" in said, said


# --- a damaged page map ------------------------------------------------------------------


def test_damaged_page_map_loses_no_page(scene, step):
    """Struct pages, section pointers and page tables overwritten at random, from a seed: no
    page that the intact memory keeps may be dropped."""
    rounds = DAMAGE_ROUNDS * GIB // scene.guest.ram_bytes
    done = tools.run("host/corrupt", "-m", excluded.write_ranges(scene.crash, scene.folder),
                     "-n", rounds, scene.crash.ram)
    step(f"damaged page map: {done.stdout.strip()}")
    assert done.stdout.startswith(f"{rounds} rounds, 0 pages lost")
