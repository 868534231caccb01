"""An old kernel in 16 pages for logimage.rich(): page tables, a section table, and a struct page
for each page of its memory, as Linux lays them out. Made from the description of the formats.
"""
import struct

import logimage as li

TABLES, SECTIONS, MAP = 1, 7, 8  # pages
VMEMMAP = 0xFFFFEA0000000000
POINTER = li.PAGE_OFFSET + 0x5000
PRESENT, LARGE = 3, 0x83
LRU, RESERVED, PRIVATE, SWAPBACKED, HEAD = (1 << bit for bit in (4, 12, 13, 19, 16))
BUDDY, NO_TYPE = -129, -1

INFO = li.INFO + f"""SIZE(page)=64
OFFSET(page.flags)=0
OFFSET(page.lru)=8
OFFSET(page.compound_head)=8
OFFSET(page.compound_dtor)=16
OFFSET(page.compound_order)=17
OFFSET(page.mapping)=24
OFFSET(page.private)=40
OFFSET(page._mapcount)=48
OFFSET(page._refcount)=52
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
NUMBER(PG_lru)=4
NUMBER(PG_swapcache)=10
NUMBER(PG_private)=13
NUMBER(PG_swapbacked)=19
NUMBER(PG_head_mask)={HEAD}
NUMBER(PG_hwpoison)=23
NUMBER(PG_slab)=9
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)={BUDDY}
NUMBER(HUGETLB_PAGE_DTOR)=2
LENGTH(zone.free_area)=11
SYMBOL(mem_section)={li.PAGE_OFFSET + SECTIONS * li.PAGE:x}
LENGTH(mem_section)=2048
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
""".encode()


def struct_page(flags, refs, mapcount=NO_TYPE, mapping=0, private=0, lru=0):
    return struct.pack("<QQQQQQiiQ", flags, lru, lru, mapping, 0, private, mapcount, refs, 0)


def of_class(klass, pfn):
    """Free pages are in two blocks of 8 that are each other's neighbours in the list."""
    if klass == li.FREE:
        neighbour = VMEMMAP + 64 * (pfn ^ 8) + 8
        return struct_page(0, 0) if pfn % 8 else \
            struct_page(0, 0, BUDDY, private=3, lru=neighbour)
    if klass == li.CACHE:
        return struct_page(LRU, 2, mapping=POINTER, lru=POINTER)
    if klass == li.PRIVATE:
        return struct_page(LRU | PRIVATE, 3, mapping=POINTER, lru=POINTER)
    if klass == li.USER:
        return struct_page(LRU | SWAPBACKED, 1, 0, POINTER | 1, lru=POINTER)
    if klass == li.LOST:
        return bytes(64)
    return struct_page(RESERVED, 1)


def set_aside(pfn):
    """As the kernel's own memory, which the page allocator never had."""
    return struct_page(RESERVED, 1, lru=VMEMMAP + 64 * pfn + 8)


def memory(others=()):
    """Pages by number: tables at 1, section pointers at 7, the page map at 8 to 11. @others: struct pages that
    are other than their class says."""
    words = {n: [0] * 512 for n in range(TABLES, MAP)}

    def link(table, va, shift, target):
        words[table][va >> shift & 511] = target

    link(1, li.PAGE_OFFSET, 39, 2 * li.PAGE | PRESENT)
    link(2, li.PAGE_OFFSET, 30, 3 * li.PAGE | PRESENT)
    link(3, li.PAGE_OFFSET, 21, LARGE)
    link(1, VMEMMAP, 39, 4 * li.PAGE | PRESENT)
    link(4, VMEMMAP, 30, 5 * li.PAGE | PRESENT)
    link(5, VMEMMAP, 21, 6 * li.PAGE | PRESENT)
    for i in range(4):
        words[6][i] = (MAP + i) * li.PAGE | PRESENT
    # The first root is in the same page as the roots.
    words[SECTIONS][0] = li.PAGE_OFFSET + SECTIONS * li.PAGE + 2048
    words[SECTIONS][256] = VMEMMAP | 3
    pages = {n: struct.pack("<512Q", *w) for n, w in words.items()}
    klass = {at + i: k for k, at in li.CLASS_AT.items() for i in range(16)}
    others = dict(others)
    structs = b"".join(others.get(pfn) or of_class(klass.get(pfn, li.KEPT), pfn)
                       for pfn in range(256))
    pages.update({MAP + i: structs[i * li.PAGE:][:li.PAGE] for i in range(4)})
    return pages
