/*
 * Free blocks and the lists they hang in, made by hand: what is borne out and what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pagemap.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES   (16u * MIB)
#define NODE_PA	    0xb00000u
#define NODE_IDS_PA 0xc00000u /* node_data */
#define STRUCTS_PA  0xd00000u
#define ZONES_AT    64u
#define ZONE_BYTES  1536u
#define AREAS_AT    256u
#define AREA_BYTES  88u
#define LRU	    8u
#define BUDDY	    0xffffff7fu
#define FOUND(x)                                                                                   \
	"OFFSET(pglist_data.node_zones)=64\nSIZE(zone)=1536\nOFFSET(zone.free_area)=256\n"         \
	"SIZE(free_area)=88\nOFFSET(free_area.free_list)=0\nLENGTH(free_area.free_list)=5\n"       \
	"LENGTH(zone.free_area)=11\n" x

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct fake_kernel fk;
static struct oldkernel k;
static struct pagemap m;
static u8 own[64];

static u64 va_of(u64 pa)
{
	return fk.page_offset + pa;
}

static void put(u64 pa, u64 value)
{
	memcpy(image + pa, &value, sizeof(value));
}

static u64 struct_pa(u32 n)
{
	return STRUCTS_PA + (u64)n * 64;
}

/* The head of the list of @order in the @zone-th zone, for pages of kind @type. */
static u64 list_pa(u32 zone, u32 order, u32 type)
{
	return NODE_PA + ZONES_AT + zone * ZONE_BYTES + AREAS_AT + order * AREA_BYTES + type * 16;
}

static void link_up(u64 first_pa, u64 next_pa)
{
	put(first_pa, va_of(next_pa));
	put(next_pa + 8, va_of(first_pa));
}

static void make_block(u32 n, u64 order)
{
	u8 *page = image + struct_pa(n);
	u32 buddy = BUDDY;

	memset(page, 0, 64);
	put(struct_pa(n) + LRU, va_of(NODE_PA));
	put(struct_pa(n) + LRU + 8, va_of(NODE_PA));
	put(struct_pa(n) + 40, order);
	memcpy(page + 48, &buddy, sizeof(buddy));
	page[0] = 1;
}

static bool hold(u32 n, u32 order)
{
	struct page_ref page = {.pfn = n, .va = va_of(struct_pa(n)), .bytes = own};

	memcpy(own, image + struct_pa(n), sizeof(own));
	return freelists_hold(&m, &page, order);
}

static void load(const char *text)
{
	strcpy(k.vi.text, text);
	k.vi.bytes = (u32)strlen(text);
	freelists_load(&m.lists, &pm, &k);
}

/* Three blocks of order 3 and one of order 4, each list closed by its head. */
static int build(void **state)
{
	char text[VMCOREINFO_MAX];

	(void)state;
	image = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (!image)
		return -1;
	memset(image, 0, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memset(&m, 0, sizeof(m));
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	fk = fake_kernel_default();
	fake_kernel_build(&fk);
	k.pt = (struct pagetable) {.root_pa = fk.image_pa + FAKE_ROOT, .levels = 4};
	m.pm = &pm;
	m.pt = k.pt;
	m.rules = (struct page_rules) {.size = 64,
		.refcount = 52,
		.mapcount = 48,
		.mapping = 24,
		.private = 40,
		.compound = LRU,
		.list_next = LRU,
		.list_prev = LRU + 8,
		.has_buddy_type = true,
		.buddy_type = BUDDY,
		.free_orders = 11,
		.kernel_va = 0xffff800000000000ull};
	for (u32 n = 0; n < 3; n++)
		make_block(8 * n, 3);
	make_block(32, 4);
	link_up(list_pa(1, 3, 2), struct_pa(0) + LRU);
	link_up(struct_pa(0) + LRU, struct_pa(8) + LRU);
	link_up(struct_pa(8) + LRU, struct_pa(16) + LRU);
	link_up(struct_pa(16) + LRU, list_pa(1, 3, 2));
	link_up(list_pa(0, 4, 0), struct_pa(32) + LRU);
	link_up(struct_pa(32) + LRU, list_pa(0, 4, 0));
	put(NODE_IDS_PA + 3 * 8, va_of(NODE_PA));
	snprintf(text, sizeof(text), FOUND("SYMBOL(node_data)=%llx\nLENGTH(node_data)=64\n"),
		(unsigned long long)va_of(NODE_IDS_PA));
	load(text);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	free(image);
	return 0;
}

static void test_true_blocks(void **state)
{
	(void)state;
	assert_int_equal(m.lists.nodes, 1);
	assert_true(m.lists.node_va[0] == va_of(NODE_PA));
	assert_true(hold(0, 3));
	assert_true(hold(8, 3));
	assert_true(hold(16, 3));
	assert_true(hold(32, 4));
}

static void test_other_order(void **state)
{
	(void)state;
	for (u32 order = 0; order < 20; order++) {
		assert_int_equal(hold(0, order), order == 3);
		assert_int_equal(hold(8, order), order == 3);
		assert_int_equal(hold(32, order), order == 4);
	}
	/* the struct page says so too */
	put(struct_pa(32) + 40, 5);
	assert_false(hold(32, 5));
	put(struct_pa(8) + 40, 5);
	assert_false(hold(8, 5));
}

/* The bytes of a true head somewhere else. */
static void test_copy(void **state)
{
	(void)state;
	memcpy(image + struct_pa(64), image + struct_pa(8), 64);
	assert_false(hold(64, 3));
	memcpy(image + struct_pa(64), image + struct_pa(32), 64);
	assert_false(hold(64, 4));
}

static void test_one_neighbour_is_wrong(void **state)
{
	(void)state;
	put(struct_pa(0) + LRU, va_of(struct_pa(40)));
	assert_false(hold(0, 3));
	assert_false(hold(8, 3));
	assert_true(hold(16, 3));
	put(struct_pa(0) + LRU, va_of(struct_pa(8) + LRU));
	put(struct_pa(16) + LRU + 8, va_of(struct_pa(0) + LRU));
	assert_false(hold(8, 3));
	assert_false(hold(16, 3));
	assert_true(hold(0, 3));
}

static void test_wild_pointers(void **state)
{
	static const u64 wild[] = {0, 8, 0x800000000000ull, 0xffff8a0200000000ull, ~0ull, ~0ull - 7,
		0xffff8a0100fffffcull};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		put(struct_pa(8) + LRU, wild[i]);
		assert_false(hold(8, 3));
		put(struct_pa(8) + LRU, va_of(struct_pa(16) + LRU));
		put(struct_pa(8) + LRU + 8, wild[i]);
		assert_false(hold(8, 3));
		put(struct_pa(8) + LRU + 8, va_of(struct_pa(0) + LRU));
		assert_true(hold(8, 3));
	}
}

/* A page that is on no list, but has been, points to itself. */
static void test_points_to_itself(void **state)
{
	(void)state;
	link_up(struct_pa(8) + LRU, struct_pa(8) + LRU);
	assert_false(hold(8, 3));
}

/* Lists that are not the allocator's: of pages kept for a processor. */
static void test_other_lists(void **state)
{
	(void)state;
	make_block(80, 3);
	link_up(NODE_PA + 0x8000, struct_pa(80) + LRU);
	link_up(struct_pa(80) + LRU, NODE_PA + 0x8000);
	assert_false(hold(80, 3));
	/* between the lists of two orders, in an area's count, in a zone behind its areas */
	for (u64 pa = list_pa(1, 3, 5); pa < list_pa(1, 4, 0); pa += 8) {
		link_up(pa, struct_pa(80) + LRU);
		link_up(struct_pa(80) + LRU, pa);
		assert_false(hold(80, 3));
	}
	link_up(list_pa(1, 3, 1) + 8, struct_pa(80) + LRU);
	link_up(struct_pa(80) + LRU, list_pa(1, 3, 1) + 8);
	assert_false(hold(80, 3));
	link_up(list_pa(1, 3, 4), struct_pa(80) + LRU);
	link_up(struct_pa(80) + LRU, list_pa(1, 3, 4));
	assert_true(hold(80, 3));
	link_up(list_pa(1, 11, 0), struct_pa(80) + LRU);
	link_up(struct_pa(80) + LRU, list_pa(1, 11, 0));
	assert_false(hold(80, 11));
	link_up(list_pa(8, 3, 0), struct_pa(80) + LRU);
	link_up(struct_pa(80) + LRU, list_pa(8, 3, 0));
	assert_false(hold(80, 3));
}

/* Without knowledge of the lists a block needs a neighbour that is one. */
static void test_lists_not_known(void **state)
{
	(void)state;
	load("");
	assert_int_equal(m.lists.nodes, 0);
	assert_true(hold(0, 3));
	assert_true(hold(8, 3));
	assert_false(hold(32, 4));
}

static void test_one_node(void **state)
{
	char text[VMCOREINFO_MAX];

	(void)state;
	snprintf(text, sizeof(text), FOUND("SYMBOL(contig_page_data)=%llx\n"),
		(unsigned long long)va_of(NODE_PA));
	load(text);
	assert_int_equal(m.lists.nodes, 1);
	assert_true(hold(32, 4));
}

static void test_bad_layouts(void **state)
{
	static const char *const text[] = {
		"SYMBOL(contig_page_data)=ffff8a0100b00000\n",
		FOUND("SIZE(zone)=1536\n"),
		"OFFSET(pglist_data.node_zones)=64\nSIZE(zone)=1000\nOFFSET(zone.free_area)=256\n"
		"SIZE(free_area)=88\nOFFSET(free_area.free_list)=0\nLENGTH(free_area.free_list)=5\n"
		"LENGTH(zone.free_area)=11\nSYMBOL(contig_page_data)=ffff8a0100b00000\n",
		"OFFSET(pglist_data.node_zones)=64\nSIZE(zone)=1536\nOFFSET(zone.free_area)=256\n"
		"SIZE(free_area)=0\nOFFSET(free_area.free_list)=0\nLENGTH(free_area.free_list)=5\n"
		"LENGTH(zone.free_area)=11\nSYMBOL(contig_page_data)=ffff8a0100b00000\n",
		"OFFSET(pglist_data.node_zones)=64\nSIZE(zone)=0\nOFFSET(zone.free_area)=0\n"
		"SIZE(free_area)=88\nOFFSET(free_area.free_list)=0\nLENGTH(free_area.free_list)=5\n"
		"LENGTH(zone.free_area)=0\nSYMBOL(contig_page_data)=ffff8a0100b00000\n",
		"OFFSET(pglist_data.node_zones)=-1\nSIZE(zone)=99999999999\n"
		"OFFSET(zone.free_area)=-8\nSIZE(free_area)=-1\nOFFSET(free_area.free_list)=88\n"
		"LENGTH(free_area.free_list)=-5\nLENGTH(zone.free_area)=99999999999999999\n",
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(text); i++) {
		load(text[i]);
		assert_int_equal(m.lists.nodes, 0);
		assert_false(hold(32, 4));
	}
}

/* More nodes than there is room for; the ones found first count. */
static void test_many_nodes(void **state)
{
	char text[VMCOREINFO_MAX];

	(void)state;
	for (u32 i = 0; i < 200; i++)
		put(NODE_IDS_PA + i * 8, va_of(NODE_PA + i * 0x2000));
	snprintf(text, sizeof(text), FOUND("SYMBOL(node_data)=%llx\nLENGTH(node_data)=1024\n"),
		(unsigned long long)va_of(NODE_IDS_PA));
	load(text);
	assert_int_equal(m.lists.nodes, FREELISTS_MAX_NODES);
	assert_true(hold(32, 4));
}

static void test_no_pointers(void **state)
{
	(void)state;
	m.rules.list_next = -1;
	m.rules.list_prev = -1;
	assert_true(hold(8, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_true_blocks, build, destroy),
		cmocka_unit_test_setup_teardown(test_other_order, build, destroy),
		cmocka_unit_test_setup_teardown(test_copy, build, destroy),
		cmocka_unit_test_setup_teardown(test_one_neighbour_is_wrong, build, destroy),
		cmocka_unit_test_setup_teardown(test_wild_pointers, build, destroy),
		cmocka_unit_test_setup_teardown(test_points_to_itself, build, destroy),
		cmocka_unit_test_setup_teardown(test_other_lists, build, destroy),
		cmocka_unit_test_setup_teardown(test_lists_not_known, build, destroy),
		cmocka_unit_test_setup_teardown(test_one_node, build, destroy),
		cmocka_unit_test_setup_teardown(test_bad_layouts, build, destroy),
		cmocka_unit_test_setup_teardown(test_many_nodes, build, destroy),
		cmocka_unit_test_setup_teardown(test_no_pointers, build, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
