/*
 * The file afterimage.bzimage: is it one, is it whole. The fields are those that kexec and the
 * kernel check as well (Linux x86 boot protocol), and the name that makes it ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bootfile.h"
#include "kexec.h"
#include "tools/common/tool.h"

#define SETUP_SECTS	0x1f1
#define SYSSIZE		0x1f4
#define BOOT_FLAG	0x1fe
#define HEADER_MAGIC	0x202
#define PROTOCOL	0x206
#define KERNEL_VERSION	0x20e /* offset of a text, from 0x200 */
#define LOADFLAGS	0x211
#define XLOADFLAGS	0x236
#define INIT_SIZE	0x260
#define HEADER_BYTES	1024u
#define SECTOR_BYTES	512u
#define PARAGRAPH_BYTES 16u
#define XLOAD_NEEDED	0x23u /* 64-bit entry, above 4 GiB, with five levels of page tables */
#define OUR_NAME	"afterimage"
#define IMAGE_MAX_BYTES (16u * MIB)

static u32 get_u16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

static u32 get_u32(const u8 *p)
{
	return get_u16(p) | get_u16(p + 2) << 16;
}

static bool has_our_name(const u8 *data)
{
	u32 at = 0x200 + get_u16(data + KERNEL_VERSION);

	return range_fits(at, sizeof(OUR_NAME) - 1, HEADER_BYTES) &&
	       memcmp(data + at, OUR_NAME, sizeof(OUR_NAME) - 1) == 0;
}

const char *kexec_image_fault(const u8 *data, u64 bytes)
{
	u64 setup_bytes;

	if (bytes < HEADER_BYTES)
		return "is too short for an afterimage.bzimage";
	if (bytes > IMAGE_MAX_BYTES)
		return "is too long for an afterimage.bzimage";
	if (get_u16(data + BOOT_FLAG) != 0xaa55 || memcmp(data + HEADER_MAGIC, "HdrS", 4) != 0)
		return "is no afterimage.bzimage";
	if (!has_our_name(data))
		return "is a Linux kernel or another program, not an afterimage.bzimage";
	setup_bytes = (data[SETUP_SECTS] + 1u) * SECTOR_BYTES;
	if (get_u16(data + PROTOCOL) < 0x20c || !(data[LOADFLAGS] & 1) ||
		(get_u16(data + XLOADFLAGS) & XLOAD_NEEDED) != XLOAD_NEEDED)
		return "has a damaged header";
	if (get_u32(data + INIT_SIZE) == 0 || get_u32(data + INIT_SIZE) > KEXEC_LEAST_MIB * MIB)
		return "has a damaged header";
	if (setup_bytes >= bytes || (u64)get_u32(data + SYSSIZE) * PARAGRAPH_BYTES >
					    round_up_u64(bytes - setup_bytes, PARAGRAPH_BYTES))
		return "is cut short";
	return NULL;
}

u8 *kexec_image_load(const char *path, u64 *bytes)
{
	static const char todo[] = "build it again with make, or install it again with mkdumpdisk "
				   "--kexec --image FILE TARGET";
	u8 *data = bootfile_read(path, IMAGE_MAX_BYTES, bytes);
	const char *fault;

	if (!data) {
		tool_error_errno(path, "be read as the image", errno, todo);
		return NULL;
	}
	fault = kexec_image_fault(data, *bytes);
	if (!fault)
		return data;
	tool_error(path, todo, "%s", fault);
	free(data);
	return NULL;
}
