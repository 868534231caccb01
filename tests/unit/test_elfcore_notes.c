/*
 * The processors' notes: absent, broken, across pages, and as many as there can be.
 */
#include "tests/unit/elfcore_rig.h"

static void test_no_processor(void **state)
{
	struct elfcore_walk w = {0};

	(void)state;
	memmove(phdr(0), phdr(CPUS), 4 * sizeof(Elf64_Phdr));
	ehdr()->e_phnum = 4;
	open_good();
	expect_end(&w, 0, 0);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), INFO);
}

static void test_absent_processors(void **state)
{
	struct elfcore_walk w = {0};

	(void)state;
	memset(image + NOTES + STEP, 0, STEP);
	phdr(2)->p_memsz = 0;
	open_good();
	expect_cpu(&w, 0);
	expect_end(&w, 2, 0);
}

static void test_broken_notes(void **state)
{
	static const struct {
		u32 at, value;
	} bad[] = {
		{0, 0xffffffff},  /* name */
		{0, 0x200},	  /* likewise, inside the area with nothing behind */
		{4, 0xffffffff},  /* descriptor */
		{4, 0},		  /* no registers */
		{4, 335},	  /* not all of them */
		{4, 0x180},	  /* longer than the area */
		{12, 0x45524f58}, /* "XORE" */
		{16, 1},	  /* "CORE" without its NUL */
	};
	Elf64_Phdr good = *phdr(1);

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct elfcore_walk w = {0};

		put_cpu(NOTES + STEP, 1);
		put(NOTES + STEP + bad[i].at, &bad[i].value, 4);
		open_good();
		expect_cpu(&w, 0);
		expect_cpu(&w, 2);
		expect_end(&w, 0, 1);
	}
	put_cpu(NOTES + STEP, 1);
	for (u64 at = 1ull << 51; at; at <<= 1) {
		struct elfcore_walk w = {0};

		*phdr(1) = good;
		phdr(1)->p_offset |= at;
		expect_cpu(&w, 0);
		expect_cpu(&w, 2);
		expect_end(&w, 0, 1);
	}
}

static void test_length_of_registers(void **state)
{
	static u8 desc[2048];
	const u64 at = 0x40000;

	(void)state;
	phdr(1)->p_offset = at;
	phdr(1)->p_memsz = PAGE_BYTES;
	for (u32 bytes = 1000; bytes < 1010; bytes++) {
		struct elfcore_walk w = {0};

		memset(desc, 0x77, bytes);
		memset(image + at, 0xff, PAGE_BYTES);
		put_note(at, "CORE", NT_PRSTATUS, desc, bytes);
		open_good();
		expect_cpu(&w, 0);
		if (bytes <= ELFCORE_NOTE_MAX - 20) {
			u32 padded = (u32)round_up_u64(bytes, 4);

			memset(desc + bytes, 0, 8);
			assert_int_equal(elfcore_prstatus(&e, &pm, &w, note), 20 + padded);
			assert_memory_equal(note + 12, "CORE\0\0\0", 8);
			assert_memory_equal(note + 20, desc, padded);
		}
		expect_cpu(&w, 2);
		expect_end(&w, 0, bytes > ELFCORE_NOTE_MAX - 20);
	}
}

static void test_several_in_one(void **state)
{
	struct elfcore_walk w = {0};
	u64 at = 0x40000;

	(void)state;
	phdr(1)->p_offset = at;
	phdr(1)->p_memsz = PAGE_BYTES;
	at = put_note(at, "Xen", 0x1000002, "abcd", 4);
	at = put_note(at, "LINUX", NT_PRSTATUS, "abcdef", 6);
	at = put_note(at, "CORE", NT_PRPSINFO, "abcdefg", 7);
	at = put_cpu(at, 1);
	put_cpu(at, 2);
	open_good();
	expect_cpu(&w, 0);
	expect_cpu(&w, 1);
	expect_cpu(&w, 2);
	expect_end(&w, 0, 0);
}

static void test_endless_notes(void **state)
{
	struct elfcore_walk w = {0};
	u64 at = 0x40000;

	(void)state;
	phdr(1)->p_offset = at;
	phdr(1)->p_memsz = UINT64_MAX;
	for (u32 i = 0; i < 1000; i++)
		at = put_note(at, "Xen", 7, "", 0);
	put_cpu(at, 1);
	open_good();
	expect_cpu(&w, 0);
	expect_cpu(&w, 2);
	expect_end(&w, 0, 0);
}

static void test_note_across_pages(void **state)
{
	struct elfcore_walk w = {0};

	(void)state;
	for (u32 i = 0; i < CPUS; i++) {
		phdr(i)->p_offset = 2 * MIB * (i + 1) - 8 - 100 * i;
		put_cpu(phdr(i)->p_offset, i);
	}
	open_good();
	for (u32 i = 0; i < CPUS; i++)
		expect_cpu(&w, i);
	expect_end(&w, 0, 0);
}

static void test_unreadable_notes(void **state)
{
	struct elfcore_walk w = {0};

	(void)state;
	phdr(1)->p_offset = 0x50000 - 30; /* the descriptor is lost */
	put_cpu(0x50000 - 30, 1);
	host_ram_unreadable(0x50000);
	open_good();
	expect_cpu(&w, 0);
	expect_cpu(&w, 2);
	expect_end(&w, 0, 1);
	host_ram_unreadable(INFO);
	physmem_init(&pm, &map);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), 0);
}

static void test_many_processors(void **state)
{
	struct elfcore_walk w = {0};
	u32 seen = 0;

	(void)state;
	put_header();
	for (u32 i = 0; i < 65533; i++)
		add(i % 8 ? PT_NULL : PT_NOTE, 0x20000 + i % 512 / 8 * 0x200, 0, 0x200);
	add(PT_LOAD, 0, MIB, MIB);
	for (u32 i = 0; i < 64; i++)
		put_cpu(0x20000 + i * 0x200, i);
	open_good();
	assert_int_equal(e.count, ELFCORE_MAX_HEADERS);
	assert_int_equal(e.notes, 8192);
	for (; seen < 8192; seen++)
		expect_cpu(&w, seen % 64);
	expect_end(&w, 0, 0);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_no_processor),
		T(test_absent_processors),
		T(test_broken_notes),
		T(test_length_of_registers),
		T(test_several_in_one),
		T(test_endless_notes),
		T(test_note_across_pages),
		T(test_unreadable_notes),
		T(test_many_processors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
