/*
 * The ELF and raw writers, read back: segments, the text mapping that shares its
 * bytes with RAM, contents and holes.
 */
#include <elf.h>
#include "tests/unit/extract_help.h"

#define STEXT_VA 0xffffffff80200000ull

static Elf64_Phdr segment(u32 i)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	memcpy(&h, file, sizeof(h));
	assert_true(i < h.e_phnum);
	assert_true(range_fits(h.e_phoff + i * sizeof(p), sizeof(p), file_bytes));
	memcpy(&p, file + h.e_phoff + i * sizeof(p), sizeof(p));
	assert_true(range_fits(p.p_offset, p.p_filesz, file_bytes));
	return p;
}

static void check_load(const Elf64_Phdr *p, u64 first_pfn, u64 end_pfn)
{
	u8 want[PAGE_BYTES];

	assert_int_equal(p->p_type, PT_LOAD);
	assert_int_equal(p->p_paddr, first_pfn * PAGE_BYTES);
	assert_int_equal(p->p_memsz, (end_pfn - first_pfn) * PAGE_BYTES);
	assert_int_equal(p->p_filesz, p->p_memsz);
	for (u64 pfn = first_pfn; pfn < end_pfn; pfn++) {
		memset(want, 0, sizeof(want));
		if (big_kept(pfn))
			help_page(pfn, want);
		assert_memory_equal(
			file + p->p_offset + (pfn - first_pfn) * PAGE_BYTES, want, PAGE_BYTES);
	}
}

static void segments_hold_all_ram(void **state)
{
	Elf64_Phdr p[4];

	(void)state;
	big_extract(elf_write, PACK_NONE);
	for (u32 i = 0; i < 4; i++)
		p[i] = segment(i);
	assert_int_equal(p[0].p_type, PT_NOTE);
	assert_int_equal(p[0].p_filesz, x.facts.notes_bytes);
	assert_memory_equal(file + p[0].p_offset + 12, "VMCOREINFO", 11);
	check_load(&p[1], 0, BIG_LOST_END);
	check_load(&p[2], BIG_HIGH, BIG_END);
	assert_int_equal(p[1].p_vaddr, 0);
	/* _stext is at 0x312345 in the text mapping, phys_base is -2 MiB. */
	check_load(&p[3], 0, BIG_LOST_END);
	assert_int_equal(p[3].p_vaddr, STEXT_VA);
	assert_int_equal(p[3].p_offset, p[1].p_offset);
}

/* The kernel starts in the middle of a range. */
static void text_may_start_anywhere(void **state)
{
	Elf64_Phdr ram;
	Elf64_Phdr text;

	(void)state;
	big_extract(elf_write, PACK_NONE);
	close(x.sink.fd);
	munmap((void *)(uintptr_t)file, file_bytes);
	x.sink = (struct sink) {.fd = memfd_create("dump", 0)};
	x.facts.phys_base = 0x200000;
	x.facts.page_offset = 0xffff888000000000ull;
	assert_int_equal(elf_write(&x), OK);
	file_bytes = (u64)lseek(x.sink.fd, 0, SEEK_END);
	file = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, x.sink.fd, 0);
	ram = segment(1);
	text = segment(3);
	assert_true(ram.p_vaddr == 0xffff888000000000ull);
	check_load(&text, 0x400000 / PAGE_BYTES, BIG_LOST_END);
	assert_int_equal(text.p_offset, ram.p_offset + 0x400000);
}

static void raw_is_linear(void **state)
{
	const Elf64_Phdr all = {.p_type = PT_LOAD,
		.p_memsz = (u64)BIG_END * PAGE_BYTES,
		.p_filesz = (u64)BIG_END * PAGE_BYTES};

	(void)state;
	big_extract(raw_write, PACK_NONE);
	assert_int_equal(file_bytes, (u64)BIG_END * PAGE_BYTES);
	check_load(&all, 0, BIG_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(segments_hold_all_ram, big_close),
		cmocka_unit_test_teardown(text_may_start_anywhere, big_close),
		cmocka_unit_test_teardown(raw_is_linear, big_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
