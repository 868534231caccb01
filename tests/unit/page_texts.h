/*
 * What vmcoreinfo says of struct page: as Debian's kernels 5.10, 6.1, 6.12 and 7.2 wrote
 * it (6.1 with PG_hwpoison, which a kernel built for it exports), and in the ways of others.
 */
#ifndef AFTERIMAGE_PAGE_TEXTS_H
#define AFTERIMAGE_PAGE_TEXTS_H

#define LAYOUT_5_10                                                                                \
	"SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page._refcount)=52\n"                         \
	"OFFSET(page.mapping)=24\nOFFSET(page.lru)=8\nOFFSET(page._mapcount)=48\n"                 \
	"OFFSET(page.private)=40\nOFFSET(list_head.next)=0\nOFFSET(list_head.prev)=8\n"            \
	"LENGTH(zone.free_area)=11\n"
#define LAYOUT_3_X                                                                                 \
	"SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page._count)=28\n"                            \
	"OFFSET(page.mapping)=8\nOFFSET(page.lru)=32\nOFFSET(page._mapcount)=24\n"                 \
	"OFFSET(page.private)=48\nOFFSET(list_head.next)=0\nOFFSET(list_head.prev)=8\n"            \
	"LENGTH(zone.free_area)=11\nNUMBER(PG_lru)=5\nNUMBER(PG_private)=11\n"                     \
	"NUMBER(PG_swapcache)=16\nNUMBER(PG_slab)=7\nNUMBER(PG_head_mask)=16384\n"                 \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128\n"
#define FLAGS_5_10                                                                                 \
	"NUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\n"                       \
	"NUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\nNUMBER(PG_head_mask)=65536\n"                \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n"
#define FLAGS_6_12                                                                                 \
	"NUMBER(PG_lru)=5\nNUMBER(PG_private)=14\nNUMBER(PG_swapcache)=10\n"                       \
	"NUMBER(PG_swapbacked)=17\nNUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n"                  \
	"NUMBER(PG_head_mask)=64\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\n"                  \
	"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n"                                         \
	"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\n"

#define TEXT_5_10                                                                                  \
	LAYOUT_5_10 FLAGS_5_10 "OFFSET(page.compound_head)=8\nOFFSET(page.compound_dtor)=16\n"     \
			       "OFFSET(page.compound_order)=17\nNUMBER(HUGETLB_PAGE_DTOR)=2\n"
#define TEXT_6_1 TEXT_5_10 "NUMBER(PG_hwpoison)=23\n"
#define TEXT_6_4                                                                                   \
	LAYOUT_5_10 FLAGS_5_10 "OFFSET(page.compound_head)=8\nOFFSET(folio._folio_dtor)=80\n"      \
			       "OFFSET(folio._folio_order)=81\nNUMBER(HUGETLB_PAGE_DTOR)=2\n"      \
			       "NUMBER(PG_hwpoison)=22\n"
#define TEXT_6_7                                                                                   \
	LAYOUT_5_10 FLAGS_5_10                                                                     \
		"OFFSET(page.compound_head)=8\nNUMBER(PG_hugetlb)=8\nNUMBER(PG_hwpoison)=22\n"
#define TEXT_6_12 LAYOUT_5_10 FLAGS_6_12 "OFFSET(page.compound_head)=8\nNUMBER(PG_hwpoison)=20\n"
#define TEXT_7_2                                                                                   \
	LAYOUT_5_10 FLAGS_6_12 "OFFSET(page.compound_info)=8\nNUMBER(PG_hwpoison)=21\n"            \
			       "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944\n"
#define TEXT_4_4                                                                                   \
	LAYOUT_3_X                                                                                 \
	"OFFSET(page.compound_head)=32\nOFFSET(page.compound_dtor)=40\n"                           \
	"OFFSET(page.compound_order)=44\nNUMBER(HUGETLB_PAGE_DTOR)=2\nNUMBER(PG_hwpoison)=22\n"
#define TEXT_3_18 LAYOUT_3_X "SYMBOL(free_huge_page)=ffffffff811a2b30\nNUMBER(PG_hwpoison)=23\n"
#define TEXT_2_6_32                                                                                \
	"SIZE(page)=56\nOFFSET(page.flags)=0\nOFFSET(page._count)=8\n"                             \
	"OFFSET(page.mapping)=24\nOFFSET(page.lru)=40\nOFFSET(page.private)=16\n"                  \
	"OFFSET(list_head.next)=0\nOFFSET(list_head.prev)=8\nLENGTH(zone.free_area)=11\n"          \
	"NUMBER(PG_lru)=5\nNUMBER(PG_private)=11\nNUMBER(PG_swapcache)=16\n"                       \
	"NUMBER(PG_buddy)=19\n"

#endif
