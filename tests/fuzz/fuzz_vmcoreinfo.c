/*
 * Finds a kernel in a small RAM that has working page tables and names, with the input
 * as the plain text page and as the note, at a hint and by search. The first input byte
 * chooses the levels and whether the input is the text alone or the whole note.
 */
#include <stdlib.h>
#include <string.h>
#include "oldkernel.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES  (4u * MIB)
#define NOTE_PA	   0x8000u
#define TEXT_PA	   0x10000u
#define NOTE_BYTES (24 + VMCOREINFO_MAX)

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct oldkernel kernel;
static struct oldkernel scratch;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

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
	memmap_add(&map, 2 * MIB, 2 * MIB, MEM_RAM);
	return 0;
}

static void build_kernel(u32 levels)
{
	struct fake_kernel fk = fake_kernel_default();

	fk.image_pa = 2 * MIB;
	fk.mem_section_pa = 0x20040;
	fk.levels = levels;
	if (levels == 5)
		fk.page_offset = 0xff2b055dc0000000ull;
	fk.note_pa = 0;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
}

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
	build_kernel(data[0] & 1 ? 5 : 4);
	memset(image + NOTE_PA, 0, 2 * PAGE_BYTES);
	memset(image + TEXT_PA, 0, 2 * PAGE_BYTES);
	if (data[0] & 2)
		memcpy(image + NOTE_PA, data + 1, bytes - 1);
	else
		memcpy(image + TEXT_PA, data + 1, bytes - 1);
	physmem_init(&pm, &map);
	check(oldkernel_find(&pm, 0, &kernel, &scratch));
	parse_everything();
	check(oldkernel_find(&pm, NOTE_PA, &kernel, &scratch));
	return 0;
}
