"""getdump on memory that was overwritten: by whom, and what the old kernel had there."""
import json
import struct

import pytest

import logimage as li
import oldimage
from test_getdump import out

FW, LOADER, US = (li.CLASS_AT[k] for k in (li.BY_FIRMWARE, li.BY_LOADER, li.BY_US))
HERE = "; in the dump, but not what the old kernel had there"
TOUCHED = {li.BY_FIRMWARE: li.SURVEY, li.BY_LOADER: li.LOADER, li.BY_US: li.OURS}


def saved(tmp_path, **kw):
    log = li.Log()
    li.rich(log, **kw)
    return log.save(tmp_path / "disk.img")


def why(image, *pfns):
    """The answers, without the address and without lines of details."""
    lines = out("why", image, *(f"{pfn:x}000" for pfn in pfns)).splitlines()
    return [line.split(": ", 1)[1] for line in lines if not line.startswith("  ")]


# --- info ---------------------------------------------------------------------------------


def lost(image):
    info = json.loads(out("info", image, "--json"))["dump"]
    return info["survey"], info.get("lost")


def test_info_without_a_reset(tmp_path):
    image = saved(tmp_path, touched=TOUCHED)
    assert lost(image) == ("not needed", None)
    assert "lost:" not in out("info", image).splitlines()
    assert "survey: not needed" in out("info", image).splitlines()


@pytest.mark.parametrize("use,words", [
    (1, "none was made"), (2, "used"), (9, "unknown"),
    (3, "unfit: made by another boot path or with other memory")])
def test_info_names_lost_memory(tmp_path, use, words):
    image = saved(tmp_path, touched=TOUCHED | {li.KEPT: li.FIRMWARE}, survey=use, lost=64,
                  used=12, told=61)
    assert lost(image) == (words, {
        "pages": 64, "by_firmware": 16, "found_by_survey": 16, "by_boot_loader": 16,
        "by_afterimage": 16, "used_by_old_kernel": 12, "use_not_known": 3})
    text = out("info", image).splitlines()
    assert f"survey: {words}" in text
    at = text.index("lost:")
    assert text[at + 1] == "  pages: 64" and "  used_by_old_kernel: 12" in text[at:]


def test_info_of_a_dump_cut_short(tmp_path):
    """The header does not have the numbers yet: the memory map has some of them."""
    log = li.Log()
    d = log.dump(1, 31, survey=1)
    d.note(li.MEMMAP, b"".join(struct.pack("<QQII", p << 12, n << 12, kind, who)
                               for p, n, kind, who in [(0, 1, 1, 1), (1, 9, 1, 3), (16, 9, 2, 1),
                                                       (32, 9, 1, 0), (64, 5, 1, 77)]))
    d.put_header()
    assert lost(log.save(tmp_path / "i")) == ("none was made", {
        "pages": 10, "by_firmware": 1, "found_by_survey": 0, "by_boot_loader": 0,
        "by_afterimage": 9})


# --- why ----------------------------------------------------------------------------------


def test_why_says_who_says_so(tmp_path):
    for who, words in ((li.SURVEY, ", as a survey of this machine says"),
                       (li.FIRMWARE, ", as its memory map says"), (li.NOBODY, "")):
        image = saved(tmp_path, touched={li.BY_FIRMWARE: who})
        assert why(image, FW, FW + 15, LOADER) == [
            "overwritten by firmware" + words + HERE] * 2 + [
            "overwritten by the boot loader" + HERE]


def old_use(tmp_path, others, pfns, **kw):
    old = oldimage.memory(others)
    return why(saved(tmp_path, old=old, info=oldimage.INFO, touched=TOUCHED, **kw), *pfns)


def test_why_says_what_was_there(tmp_path):
    classes = {FW + 1: li.USER, FW + 2: li.CACHE, FW + 3: li.PRIVATE, FW + 4: li.LOST}
    others = {pfn: oldimage.of_class(k, pfn) for pfn, k in classes.items()}
    others[FW + 5] = oldimage.struct_page(1 << 9, 1)
    others[FW + 6] = oldimage.set_aside(FW + 6)
    others |= {FW + 8 + i: oldimage.of_class(li.FREE, FW + i) for i in range(8)}
    others |= {US + i: oldimage.of_class(li.FREE, US + i) for i in range(16)}
    survey = "overwritten by firmware, as a survey of this machine says" + HERE
    assert old_use(tmp_path, others, [*range(FW, FW + 7), LOADER, US, US + 9]) == [
        f"{survey}: the kernel's own", f"{survey}: user", f"{survey}: cache",
        f"{survey}: private cache", f"{survey}: not known", f"{survey}: slab",
        f"{survey}: nothing, kept away from it",
        f"overwritten by the boot loader{HERE}: the kernel's own",
        "overwritten by afterimage; not in the dump; the old kernel had there: free, "
        f"in a block of 8 pages (order 3) at 0x{US:x}000",
        "overwritten by afterimage; not in the dump; the old kernel had there: free, "
        f"in a block of 8 pages (order 3) at 0x{US + 8:x}000"]


def test_why_adds_details_of_what_was_there(tmp_path):
    others = {FW: oldimage.of_class(li.USER, FW)}
    image = saved(tmp_path, old=oldimage.memory(others), info=oldimage.INFO, touched=TOUCHED)
    lines = out("why", image, f"{FW:x}000").splitlines()
    assert lines[1].startswith(f"  struct page at 0x{oldimage.VMEMMAP + 64 * FW:x}: flags ")
    entry, = json.loads(out("why", image, "--json", f"{FW:x}abc"))["addresses"]
    assert entry == {
        "address": f"0x{FW:x}abc", "state": "in dump", "class": "overwritten by firmware",
        "known_from": "survey", "before": "user", "order": 0, "block": f"0x{FW:x}000",
        "struct_page": hex(oldimage.VMEMMAP + 64 * FW),
        "flags": hex(oldimage.LRU | oldimage.SWAPBACKED), "refcount": 1, "mapcount": 0,
        "mapping": hex(oldimage.POINTER | 1), "private": "0x0",
        "text": f"overwritten by firmware, as a survey of this machine says{HERE}: user"}


def test_why_does_not_read_what_was_overwritten(tmp_path):
    """Struct pages in overwritten memory look as good as any: they are not believed."""
    def overwritten(pfn):
        page = oldimage.MAP + pfn // 64
        return [(0, page, li.KEPT), (page, 1, li.BY_FIRMWARE), (page + 1, 15 - page, li.KEPT)]

    others = {FW: oldimage.of_class(li.USER, FW)}
    assert old_use(tmp_path, others, [FW], first=overwritten(FW)) == [
        f"overwritten by firmware, as a survey of this machine says{HERE}: not known"]
    user = li.CLASS_AT[li.USER]
    for pfn, lines in ((user, 1), (0, 2)):
        image = saved(tmp_path, old=oldimage.memory(), info=oldimage.INFO,
                      first=overwritten(pfn))
        assert len(out("why", image, f"{user:x}000").splitlines()) == lines
