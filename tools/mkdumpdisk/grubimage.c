/*
 * The file afterimage.elf: is it one, is it whole. What GRUB looks at when it loads it, and the
 * name that makes it ours.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "grub.h"
#include "kexec.h"
#include "tools/common/tool.h"

#define IMAGE_MAX_BYTES (16u * MIB)
#define OUR_NAME	"afterimage"

/* Multiboot2 specification 2.0 s3.1.1: magic, architecture, length, checksum. */
#define HEADER_SEARCH 32768u
#define HEADER_ALIGN  8u
#define HEADER_BYTES  16u
#define HEADER_MAGIC  0xe85250d6u
#define HEADER_I386   0u
#define HEADERS_MAX   64u /* of an ELF file; ours has a handful */

static u32 get_u32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static bool has_multiboot(const u8 *data, u64 bytes)
{
	u64 end = min_u64(bytes, HEADER_SEARCH);

	for (u64 at = 0; range_fits(at, HEADER_BYTES, end); at += HEADER_ALIGN) {
		u32 magic = get_u32(data + at), machine = get_u32(data + at + 4);
		u32 length = get_u32(data + at + 8), sum = get_u32(data + at + 12);

		if (magic == HEADER_MAGIC && machine == HEADER_I386 && length >= HEADER_BYTES &&
			range_fits(at, length, end) && magic + machine + length + sum == 0)
			return true;
	}
	return false;
}

static bool has_our_name(const u8 *data, u64 bytes)
{
	return memmem(data, bytes, OUR_NAME, sizeof(OUR_NAME) - 1) != NULL;
}

/* False: a part that is loaded reaches past the file's end. */
static bool is_whole(const u8 *data, u64 bytes, const Elf64_Ehdr *e)
{
	Elf64_Phdr p;

	if (!range_fits(e->e_phoff, (u64)e->e_phnum * sizeof(p), bytes) ||
		!range_fits(e->e_shoff, (u64)e->e_shnum * e->e_shentsize, bytes))
		return false;
	for (u32 i = 0; i < e->e_phnum; i++) {
		memcpy(&p, data + e->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD && !range_fits(p.p_offset, p.p_filesz, bytes))
			return false;
	}
	return true;
}

const char *grub_image_fault(const u8 *data, u64 bytes)
{
	Elf64_Ehdr e;

	if (bytes < sizeof(e))
		return "is too short for an " GRUB_FILE;
	if (bytes > IMAGE_MAX_BYTES)
		return "is too long for an " GRUB_FILE;
	memcpy(&e, data, sizeof(e));
	if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
		e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_machine != EM_X86_64)
		return "is no program for x86-64 (ELF64)";
	if (e.e_phnum == 0 || e.e_phnum > HEADERS_MAX || e.e_phentsize != sizeof(Elf64_Phdr))
		return "has a damaged header";
	if (!is_whole(data, bytes, &e))
		return "is cut short";
	if (!has_multiboot(data, bytes))
		return "has no Multiboot 2 header, which GRUB needs";
	if (!has_our_name(data, bytes))
		return "is another program, not an " GRUB_FILE;
	return NULL;
}

u8 *grub_image_load(const char *path, u64 *bytes)
{
	static const char todo[] = "build it again with make, or name another with --image FILE";
	u8 *data = bootfile_read(path, IMAGE_MAX_BYTES, bytes);
	const char *fault;

	if (!data) {
		tool_error_errno(path, "be read as the image", errno, todo);
		return NULL;
	}
	fault = grub_image_fault(data, *bytes);
	if (!fault)
		return data;
	tool_error(path, todo, "%s", fault);
	free(data);
	return NULL;
}

const char *grub_image_installed_fault(const struct options *o)
{
	char path[KEXEC_PATH_BYTES];
	const char *fault;
	u64 bytes;
	u8 *data;

	kexec_path(o, GRUB_IMAGE, path);
	if (access(path, F_OK) != 0)
		return "is not there";
	data = bootfile_read(path, IMAGE_MAX_BYTES, &bytes);
	if (!data)
		return "can not be read";
	fault = grub_image_fault(data, bytes);
	free(data);
	return fault;
}
