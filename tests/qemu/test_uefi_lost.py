"""What a dump says of memory that UEFI firmware overwrote, when the old kernel kept off it."""

import tools


def test_nothing_that_was_used_is_lost(uefi_first):
    info = tools.info(uefi_first.disk)["dump"]
    lost = info["lost"]
    assert lost["pages"] >= lost["by_firmware"] > 1000
    assert lost["used_by_old_kernel"] == 0 and lost["use_not_known"] == 0
    assert any(f"{lost['pages']} pages (" in line and "the old kernel used 0 of them" in line
               for line in uefi_first.result.lines)


def test_why_says_that_the_kernel_kept_off(uefi_first):
    pages = sorted(uefi_first.lost - set(range(256)))[::97]
    text = tools.getdump("why", uefi_first.disk, *(f"{page << 12:x}" for page in pages)).stdout
    told = [line for line in text.splitlines() if "had there: " in line]
    assert len(told) > len(pages) // 2, text
    assert all(line.endswith("had there: nothing, kept away from it") for line in told), text
