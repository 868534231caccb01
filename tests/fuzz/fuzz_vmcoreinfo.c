/*
 * Finds a kernel in a small RAM that holds the tables and names of two, one with 4 and
 * one with 5 levels, but only the input as vmcoreinfo: by search and at a hint. Bit 1 of
 * the first byte says whether the rest is a note or the text.
 */
#include <stdlib.h>
#include <string.h>
#include "pagemap.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES  (6u * MIB)
#define NOTE_PA	   0x8000u
#define TEXT_PA	   0x10000u
#define NOTE_BYTES (24 + VMCOREINFO_MAX)

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct oldkernel kernel;
static struct oldkernel scratch;
static struct pagemap pagemap;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static void build_kernel(u64 image_pa, u32 levels, u64 page_offset)
{
	struct fake_kernel fk = fake_kernel_default();

	fk.image_pa = image_pa;
	fk.mem_section_pa = 0x20040;
	fk.levels = levels;
	fk.page_offset = page_offset;
	fk.note_pa = 0;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (!image)
		abort();
	memset(image, 0, RAM_BYTES);
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memmap_add(&map, 0, 0x9fc00, MEM_RAM);
	memmap_add(&map, 2 * MIB, RAM_BYTES - 2 * MIB, MEM_RAM);
	build_kernel(2 * MIB, 4, 0xffff8a0100000000ull);
	build_kernel(4 * MIB, 5, 0xff2b055dc0000000ull);
	return 0;
}

static const struct oldkernel_ask anywhere, there = {.hint_pa = NOTE_PA};

/* Whatever was accepted must be consistent. */
static void check(enum status st)
{
	u32 bytes;
	const char *release = vmcoreinfo_text(&kernel.vi, "OSRELEASE", &bytes);

	if (kernel.verified != (st == OK) || kernel.vi.bytes > VMCOREINFO_MAX ||
		kernel.verified_count > kernel.candidates)
		abort();
	if (st != OK)
		return;
	if (!release || bytes != strlen(FAKE_RELEASE) ||
		memcmp(release, FAKE_RELEASE, bytes) != 0 ||
		strcmp(kernel.uts[UTS_RELEASE], FAKE_RELEASE) != 0)
		abort();
}

static void parse_everything(void)
{
	static const char *const key[] = {"OSRELEASE", "SIZE(page)", "NUMBER(phys_base)", "A", ""};
	s64 number;
	u64 hex;

	for (u32 i = 0; i < ARRAY_SIZE(key); i++) {
		u32 bytes;
		const char *text = vmcoreinfo_text(&kernel.vi, key[i], &bytes);

		if (text && !range_fits((u64)(text - kernel.vi.text), bytes, kernel.vi.bytes))
			abort();
		if (vmcoreinfo_number(&kernel.vi, key[i], &number) && !text)
			abort();
		if (vmcoreinfo_hex(&kernel.vi, key[i], &hex) && !text)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	if (bytes < 1)
		return 0;
	if (bytes > NOTE_BYTES)
		bytes = NOTE_BYTES;
	memset(image + NOTE_PA, 0, 2 * PAGE_BYTES);
	memset(image + TEXT_PA, 0, 2 * PAGE_BYTES);
	if (data[0] & 2)
		memcpy(image + NOTE_PA, data + 1, bytes - 1);
	else
		memcpy(image + TEXT_PA, data + 1, bytes - 1);
	physmem_init(&pm, &map);
	check(oldkernel_find(&pm, &anywhere, &kernel, &scratch, &pagemap));
	parse_everything();
	check(oldkernel_find(&pm, &there, &kernel, &scratch, &pagemap));
	return 0;
}
