/*
 * Unit tests of the parser of firmware's boot entries, on entries as efibootmgr makes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "tools/mkdumpdisk/bootoption.c"

#define PATH   "\\EFI\\afterimage\\afterimage.efi"
#define LABEL  "afterimage dump disk"
#define GLOBAL "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static const u8 guid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct entry {
	u8 data[1024];
	u32 bytes;
};

static void add(struct entry *e, const void *bytes, u32 count)
{
	assert_true(e->bytes + count <= sizeof(e->data));
	memcpy(e->data + e->bytes, bytes, count);
	e->bytes += count;
}

static void add_u16(struct entry *e, u32 value)
{
	u8 two[2] = {(u8)value, (u8)(value >> 8)};

	add(e, two, 2);
}

static void add_text(struct entry *e, const char *text)
{
	for (; *text; text++)
		add_u16(e, (u8)*text);
	add_u16(e, 0);
}

static void add_node(struct entry *e, u32 type, u32 subtype, u32 body_bytes)
{
	u8 head[2] = {(u8)type, (u8)subtype};

	add(e, head, 2);
	add_u16(e, body_bytes + 4);
}

static void add_disk(struct entry *e)
{
	u8 body[38] = {2, 0, 0, 0, 0, 16};

	add_node(e, 4, 1, sizeof(body));
	memcpy(body + 20, guid, 16);
	body[36] = 2;
	body[37] = 2;
	add(e, body, sizeof(body));
}

static void add_file(struct entry *e, const char *path)
{
	add_node(e, 4, 4, 2 * ((u32)strlen(path) + 1));
	add_text(e, path);
}

static void set_path_bytes(struct entry *e, u32 from)
{
	e->data[4] = (u8)(e->bytes - from);
	e->data[5] = (u8)((e->bytes - from) >> 8);
}

/* Returns where the path begins. */
static u32 begin(struct entry *e, const char *label)
{
	*e = (struct entry) {.data = {1}, .bytes = 6};
	add_text(e, label);
	return e->bytes;
}

static struct entry make(void)
{
	struct entry e;
	u32 from = begin(&e, LABEL);

	add_disk(&e);
	add_file(&e, PATH);
	add_node(&e, 0x7f, 0xff, 0);
	set_path_bytes(&e, from);
	return e;
}

/* On the heap, in exactly as many bytes as it has. */
static bool parse(const struct entry *e, u32 bytes, struct boot_option *out)
{
	u8 *copy = malloc(bytes ? bytes : 1);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, e->data, bytes);
	ok = boot_option_parse(copy, bytes, out);
	free(copy);
	return ok;
}

static void test_ours(void **state)
{
	struct entry e = make();
	struct boot_option b;
	u8 other[16] = {9};

	(void)state;
	assert_true(parse(&e, e.bytes, &b));
	assert_true(b.active && b.has_partition);
	assert_string_equal(b.description, LABEL);
	assert_string_equal(b.path, PATH);
	assert_true(boot_option_leads_to(&b, guid, PATH));
	assert_true(boot_option_leads_to(&b, guid, "\\efi\\AFTERIMAGE\\afterimage.EFI"));
	assert_false(boot_option_leads_to(&b, guid, "\\EFI\\BOOT\\BOOTX64.EFI"));
	assert_false(boot_option_leads_to(&b, other, PATH));
	e.data[0] = 8; /* hidden, not active */
	assert_true(parse(&e, e.bytes, &b));
	assert_false(b.active);
	add(&e, "optional data", 13);
	assert_true(parse(&e, e.bytes, &b));
	assert_true(boot_option_leads_to(&b, guid, PATH));
}

static void test_every_length(void **state)
{
	struct entry e = make();
	struct boot_option b;

	(void)state;
	for (u32 n = 0; n < e.bytes; n++)
		assert_false(parse(&e, n, &b));
}

/* The same where the length of the paths says so, too: the last node is cut. */
static void test_every_length_of_the_path(void **state)
{
	struct entry e = make();
	u32 from = 6 + 2 * sizeof(LABEL), whole = e.bytes;
	struct boot_option b;

	(void)state;
	for (e.bytes = from; e.bytes < whole; e.bytes++) {
		set_path_bytes(&e, from);
		assert_false(parse(&e, e.bytes, &b));
	}
}

/* A full path with what is before the partition, a text too long, and one that is not ASCII. */
static void test_others(void **state)
{
	char longer[200];
	struct boot_option b;
	struct entry e;
	u32 from;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	longer[3] = '\x1b';
	longer[4] = '\x7f';
	from = begin(&e, longer);
	add_node(&e, 2, 1, 8);
	add(&e, "PCIROOT", 8);
	add_disk(&e);
	add_file(&e, PATH);
	add_node(&e, 0x7f, 0xff, 0);
	set_path_bytes(&e, from);
	assert_true(parse(&e, e.bytes, &b));
	assert_int_equal(strlen(b.description), BOOT_OPTION_TEXT_BYTES - 1);
	assert_memory_equal(b.description, "xxx??x", 6);
	assert_true(boot_option_leads_to(&b, guid, PATH));
}

static void test_no_partition(void **state)
{
	struct boot_option b;
	struct entry e;
	u32 from = begin(&e, "UEFI Shell");

	(void)state;
	add_file(&e, PATH);
	add_node(&e, 0x7f, 0xff, 0);
	set_path_bytes(&e, from);
	assert_true(parse(&e, e.bytes, &b));
	assert_false(b.has_partition);
	assert_false(boot_option_leads_to(&b, (const u8[16]) {0}, PATH));
}

/* A disk with an MBR has a signature of another kind where a GUID would be. */
static void test_other_tables(void **state)
{
	struct entry e = make();
	u32 node = 6 + 2 * sizeof(LABEL);
	struct boot_option b;

	(void)state;
	e.data[node + DISK_SIGNATURE] = 1;
	assert_true(parse(&e, e.bytes, &b));
	assert_false(b.has_partition);
	e.data[node + DISK_SIGNATURE] = 2;
	e.data[node + DISK_TABLE] = 1;
	assert_true(parse(&e, e.bytes, &b));
	assert_false(b.has_partition);
}

/* Lengths of nodes: none, less than a node's head, one that skips the path's end. */
static void test_damage(void **state)
{
	struct entry e = make();
	u32 node = 6 + 2 * sizeof(LABEL);
	struct boot_option b;

	(void)state;
	for (u32 length = 0; length < 4; length++) {
		e.data[node + 2] = (u8)length;
		assert_false(parse(&e, e.bytes, &b));
	}
	e.data[node + 2] = 41; /* a node too short for a disk, and the next begins inside it */
	assert_false(parse(&e, e.bytes, &b) && b.has_partition);
	e.data[node + 3] = 0xff;
	assert_false(parse(&e, e.bytes, &b));
	e = make();
	e.data[4] = 0;
	e.data[5] = 0;
	assert_false(parse(&e, e.bytes, &b));
	e.data[5] = 0xff;
	assert_false(parse(&e, e.bytes, &b));
	e = make();
	e.data[e.bytes - 2] = 3; /* of the end, too */
	assert_false(parse(&e, e.bytes, &b));
	e = make();
	e.data[e.bytes - 6] = 'x'; /* the file's name has no end */
	assert_false(parse(&e, e.bytes, &b));
}

static void test_too_many_nodes(void **state)
{
	struct boot_option b;
	struct entry e;
	u32 from = begin(&e, "x");

	(void)state;
	for (u32 i = 0; i < NODES_MAX; i++)
		add_node(&e, 1, 1, 0);
	add_node(&e, 0x7f, 0xff, 0);
	set_path_bytes(&e, from);
	assert_false(parse(&e, e.bytes, &b));
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(boot_option_number("Boot0000" GLOBAL), 0);
	assert_int_equal(boot_option_number("BootFA1B" GLOBAL), 0xfa1b);
	assert_int_equal(boot_option_number("Boot00fa" GLOBAL), -1);
	assert_int_equal(boot_option_number("BootOrder" GLOBAL), -1);
	assert_int_equal(boot_option_number("BootNext" GLOBAL), -1);
	assert_int_equal(boot_option_number("Boot000" GLOBAL), -1);
	assert_int_equal(boot_option_number("Boot00000" GLOBAL), -1);
	assert_int_equal(boot_option_number("Boot0000-605dab50-e046-4300-abb6-3dd810dd8b23"), -1);
	assert_int_equal(boot_option_number("Boot00"), -1);
	assert_int_equal(boot_option_number(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_every_length_of_the_path),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_no_partition),
		cmocka_unit_test(test_other_tables),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_too_many_nodes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
