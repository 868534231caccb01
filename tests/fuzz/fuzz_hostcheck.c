/*
 * What mkdumpdisk --check reads: a FAT file system, a PE image, an ACPI table, an EFI variable
 * and the kernel's lines, all made of the same arbitrary bytes.
 */
#include <stdlib.h>
#include <string.h>
#include "tools/common/fat.h"
#include "tools/common/sysfacts.h"

#define FILE_BYTES 4096u
#define DISK_BYTES (4u * MIB) /* the input, then zeros: enough for FAT16 */
#define READS_MAX  100000u

struct input {
	const u8 *bytes;
	u64 size;
	u32 reads;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static bool read_input(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct input *in = ctx;

	if (++in->reads > READS_MAX || bytes > FILE_BYTES)
		abort();
	if (!range_fits(offset, bytes, DISK_BYTES))
		return false;
	memset(buf, 0, bytes);
	if (offset < in->size)
		memcpy(buf, in->bytes + offset, min_u64(bytes, in->size - offset));
	return true;
}

static void fuzz_fat(const u8 *data, size_t size)
{
	static const char *const path[] = {"EFI        ", "BOOT       ", "BOOTX64 EFI"};
	struct input in = {.bytes = data, .size = size};
	u8 *buf = malloc(FILE_BYTES);
	u64 got = FILE_BYTES;
	struct fat f;

	if (!buf)
		abort();
	if (fat_open(&f, read_input, &in, DISK_BYTES) &&
		fat_read_file(&f, path, ARRAY_SIZE(path), buf, &got) == FAT_FOUND &&
		got > FILE_BYTES)
		abort();
	free(buf);
}

static void fuzz_lines(const char *text)
{
	struct sys_range r;
	const char *at = text;
	const char *name;
	u32 a, b;
	u64 v;

	while (sysfacts_memmap_next(&at, &r)) {
		if (r.bytes == 0 || !range_fits(r.start, r.bytes, UINT64_MAX))
			abort();
	}
	if (*at != '\0')
		abort();
	if (sysfacts_iomem_line(text, &r, &name, &a) && (r.bytes == 0 || name < text))
		abort();
	(void)sysfacts_has_word(text, "sme");
	if (!sysfacts_meminfo_line(text, "MemFree", &v) && !sysfacts_release(text, &a, &b))
		return;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *text = malloc(size + 1);
	bool is_signed;
	u8 v;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_lines(text);
	free(text);
	fuzz_fat(data, size);
	if (sysfacts_pe_signed(data, size, &is_signed) + sysfacts_dmar_flags(data, size, &v) +
			sysfacts_efi_byte(data, size, &v) >
		3)
		abort();
	return 0;
}
