/*
 * The ELF header of kexec: as the kernel and kexec-tools write it, with every field spoilt,
 * and with any bytes at all.
 */
#include "tests/unit/elfcore_rig.h"

static void test_as_linux_writes_it(void **state)
{
	struct elfcore_walk w = {0};
	struct memmap ram = {0};

	(void)state;
	open_good();
	assert_int_equal(e.pa, LOADER);
	assert_int_equal(e.headers_pa, LOADER + 64);
	assert_int_equal(e.count, CPUS + 4);
	assert_int_equal(e.loads, 3);
	assert_int_equal(e.notes, CPUS + 1);
	elfcore_memmap(&e, &pm, &ram);
	assert_int_equal(ram.count, 2);
	assert_int_equal(ram.range[0].pa, 0x1000);
	assert_int_equal(ram.range[0].bytes, 0x9e000);
	assert_int_equal(ram.range[1].pa, MIB);
	assert_int_equal(ram.range[1].bytes, LOADER - MIB);
	assert_int_equal(ram.range[1].type, MEM_RAM);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), INFO);
	for (u32 i = 0; i < CPUS; i++)
		expect_cpu(&w, i);
	expect_end(&w, 0, 0);
}

static void test_program_headers_elsewhere(void **state)
{
	(void)state;
	memmove(image + LOADER + 0x1000, phdr(0), ehdr()->e_phnum * sizeof(Elf64_Phdr));
	memset(phdr(0), 0xff, 0x800);
	ehdr()->e_phoff = 0x1000;
	open_good();
	assert_int_equal(e.headers_pa, LOADER + 0x1000);
	assert_int_equal(e.loads, 3);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), INFO);
}

static void test_backup_region(void **state)
{
	struct memmap ram = {0};

	(void)state;
	phdr(CPUS + 2)->p_offset = LOADER + 0x100000;
	open_good();
	elfcore_memmap(&e, &pm, &ram);
	assert_int_equal(ram.range[0].pa, 0x1000);
	assert_int_equal(ram.count, 2);
}

static void test_header_spoilt(void **state)
{
	static const u8 matters[] = {
		0, 1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 20, 21, 22, 23, 35, 39, 52, 53, 54, 55};

	(void)state;
	for (u32 i = 0; i < sizeof(matters); i++) {
		image[LOADER + matters[i]] ^= 0x80;
		assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
		image[LOADER + matters[i]] ^= 0x80;
	}
	open_good();
}

static void test_pointing_nowhere(void **state)
{
	static const u64 nowhere[] = {0, 8, RAM_BYTES - 63, RAM_BYTES, 1ull << 52, 1ull << 63,
		UINT64_MAX, UINT64_MAX - 63};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(nowhere); i++)
		assert_int_equal(elfcore_open(&e, &pm, nowhere[i]), E_ELFCOREHDR);
}

static void test_bad_counts(void **state)
{
	(void)state;
	ehdr()->e_phnum = 0;
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
	ehdr()->e_phnum = PN_XNUM;
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
	ehdr()->e_phnum = CPUS + 1;
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
	assert_int_equal(e.loads, 0);
	ehdr()->e_phnum = CPUS + 2;
	open_good();
	assert_int_equal(e.loads, 1);
	/* The last ones lie beyond RAM. */
	ehdr()->e_phnum = 7;
	ehdr()->e_phoff = RAM_BYTES - LOADER - 6 * sizeof(Elf64_Phdr);
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
	ehdr()->e_phoff = UINT64_MAX - 100;
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
	memcpy(image + 0x4000, phdr(0), 7 * sizeof(Elf64_Phdr));
	ehdr()->e_phoff = 0x4000 - (u64)LOADER; /* wraps to where some are */
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
}

static void test_unreadable_program_header(void **state)
{
	(void)state;
	ehdr()->e_phoff = 0x1000;
	memcpy(image + LOADER + 0x1000, phdr(0), 0x800);
	host_ram_unreadable(LOADER + 0x1000);
	assert_int_equal(elfcore_open(&e, &pm, LOADER), E_ELFCOREHDR);
}

static void test_loads_that_make_no_sense(void **state)
{
	static const struct {
		u64 pa, bytes;
	} bad[] = {
		{MIB, 0},
		{(1ull << 52) - 0x1000, 0x2000},
		{1ull << 52, 0x1000},
		{UINT64_MAX - 0xfff, 0x2000},
		{0x1000, UINT64_MAX},
		{0, (1ull << 46) + 1},
	};
	struct memmap ram = {0};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		phdr(CPUS + 3)->p_paddr = bad[i].pa;
		phdr(CPUS + 3)->p_memsz = bad[i].bytes;
		open_good();
		assert_int_equal(e.loads, 2);
		assert_int_equal(elfcore_memmap(&e, &pm, &ram), bad[i].bytes != 0);
		assert_int_equal(ram.count, 2);
		assert_int_equal(ram.range[1].pa, 2 * MIB);
		assert_int_equal(ram.range[1].bytes, MIB);
	}
	phdr(CPUS + 3)->p_paddr = (1ull << 52) - (1ull << 46);
	phdr(CPUS + 3)->p_memsz = 1ull << 46;
	open_good();
	assert_int_equal(e.loads, 3);
}

/* The third PT_LOAD is 1 MiB from 1 MiB on: what is reserved there and what is beside it. */
static void test_loads_over_reserved_memory(void **state)
{
	static const struct {
		u64 pa, bytes;
		u32 refused;
	} cases[] = {
		{0x80000, 0x1000, 0}, /* below 1 MiB lists differ */
		{2 * MIB, 0x1000, 0},
		{MIB, 0x1000, 1},
		{2 * MIB - 0x1000, 0x1000, 1},
	};

	(void)state;
	phdr(CPUS + 3)->p_paddr = MIB;
	phdr(CPUS + 3)->p_memsz = MIB;
	phdr(CPUS + 1)->p_type = PT_NULL;
	open_good();
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct memmap ram = {0};

		memmap_add(&ram, cases[i].pa, cases[i].bytes, MEM_RESERVED);
		assert_int_equal(elfcore_memmap(&e, &pm, &ram), cases[i].refused);
		assert_int_equal(!memmap_find(&ram, MIB + 0x2000), cases[i].refused);
	}
}

static void test_vmcoreinfo(void **state)
{
	u32 bytes = VMCOREINFO_MAX + 1;
	Elf64_Phdr swap;
	u64 at;

	(void)state;
	swap = *phdr(0);
	*phdr(0) = *phdr(CPUS);
	*phdr(CPUS) = swap;
	open_good();
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), INFO);
	at = put_note(INFO, "Xen", 1, "abc", 3);
	put_note(at, "VMCOREINFO", 0, "OSRELEASE=6.1.0\n", 16);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), at);
	put(at + 4, &bytes, sizeof(bytes));
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), 0);
	put_note(INFO, "VMCOREINFO_XEN", 0, "OSRELEASE=6.1.0\n", 16);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), 0);
	memset(image + INFO, 0, 64);
	put_note(INFO, "VMCOREINFO", 0, "", 0);
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), INFO);
	phdr(0)->p_type = PT_LOAD;
	assert_int_equal(elfcore_vmcoreinfo(&e, &pm), 0);
}

static void test_any_bytes(void **state)
{
	struct memmap ram;

	(void)state;
	srand(3);
	for (u32 n = 0; n < 3000; n++) {
		struct elfcore_walk w = {0};
		u32 notes = 0;
		u32 bytes;

		memset(image + LOADER, 0, 0x1000);
		make();
		for (u32 i = 0; i < 6; i++)
			image[LOADER + (u32)rand() % 450] ^= (u8)(1 << rand() % 8);
		for (u32 i = 0; i < 3; i++)
			image[NOTES + (u32)rand() % (CPUS * STEP)] ^= (u8)(1 << rand() % 8);
		if (elfcore_open(&e, &pm, LOADER) != OK)
			continue;
		memset(&ram, 0, sizeof(ram));
		elfcore_memmap(&e, &pm, &ram);
		assert_true(elfcore_vmcoreinfo(&e, &pm) < RAM_BYTES);
		for (; (bytes = elfcore_prstatus(&e, &pm, &w, note)) > 0; notes++)
			assert_in_range(bytes, 356, ELFCORE_NOTE_MAX);
		assert_true(notes + w.absent + w.broken <= e.notes);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_as_linux_writes_it),
		T(test_program_headers_elsewhere),
		T(test_backup_region),
		T(test_header_spoilt),
		T(test_pointing_nowhere),
		T(test_bad_counts),
		T(test_unreadable_program_header),
		T(test_loads_that_make_no_sense),
		T(test_loads_over_reserved_memory),
		T(test_vmcoreinfo),
		T(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
