/*
 * The dump disk as firmware's drivers show it: which partition it is, the dumps in its directory
 * and its survey's record. Reads only; a disk that fails again and again is asked no more.
 */
#include <string.h>
#include "boot/efi.h"

#define BLOCK_BYTES_MAX 4096u
#define PIECE_BYTES	(16u * KIB) /* of the directory, read at a time */
#define FAILURES_MAX	8u	    /* each may take firmware's driver seconds */

static _Alignas(PAGE_BYTES) u8 front[PIECE_BYTES], back[PIECE_BYTES];
static EFI_HANDLE handle[EFI_DISKS_MAX];

/* @blocks of them, at most PIECE_BYTES. */
static bool blocks_read(EFI_BLOCK_IO_PROTOCOL *io, u64 lba, u32 blocks, u8 *to)
{
	return io->ReadBlocks(io, io->Media->MediaId, lba, (UINTN)blocks * io->Media->BlockSize,
		       to) == EFI_SUCCESS;
}

/* The superblock at @lba of the partition that @io shows; false if there is none. */
static bool super_read(EFI_BLOCK_IO_PROTOCOL *io, u64 lba, struct dl_super *super)
{
	const EFI_BLOCK_IO_MEDIA *media = io->Media;

	if (!blocks_read(io, lba, 1, front))
		return false;
	memcpy(super, front, sizeof(*super));
	return dl_super_check(super) == OK && super->block_bytes == media->BlockSize &&
	       super->blocks - 1 <= media->LastBlock;
}

/* False if @io shows no dump partition. */
static bool disk_open(EFI_BLOCK_IO_PROTOCOL *io, struct efi_disk *out)
{
	const EFI_BLOCK_IO_MEDIA *media = io->Media;

	if (!media->LogicalPartition || !media->MediaPresent)
		return false;
	if (media->BlockSize != 512 && media->BlockSize != BLOCK_BYTES_MAX)
		return false;
	out->io = io;
	return super_read(io, 0, &out->super) || super_read(io, media->LastBlock, &out->super);
}

bool efi_disk_find(EFI_SYSTEM_TABLE *st, const u8 uuid[16], struct efi_disk *out)
{
	static const u8 any[16];
	EFI_GUID guid = EFI_BLOCK_IO_PROTOCOL_GUID;
	UINTN bytes = sizeof(handle);

	if (st->BootServices->LocateHandle(ByProtocol, &guid, NULL, &bytes, handle) != EFI_SUCCESS)
		return false;
	for (UINTN i = 0; i < bytes / sizeof(handle[0]); i++) {
		EFI_BLOCK_IO_PROTOCOL *io;

		if (st->BootServices->HandleProtocol(handle[i], &guid, (void **)&io) !=
				EFI_SUCCESS ||
			!disk_open(io, out))
			continue;
		if (memcmp(uuid, any, sizeof(any)) == 0 ||
			memcmp(uuid, out->super.disk_uuid, sizeof(any)) == 0)
			return true;
	}
	return false;
}

bool efi_disk_survey(const struct efi_disk *d, struct dl_survey *out)
{
	if (!d->super.survey_blocks || !blocks_read(d->io, dl_survey_block(&d->super), 1, front))
		return false;
	memcpy(out, front, sizeof(*out));
	return dl_survey_check(out, &d->super) == OK;
}

/* The same, if it did not fail too often yet; what can not be read is zero. */
static bool slots_try(const struct efi_disk *d, u64 lba, u32 blocks, u8 *to, u32 *failures)
{
	if (*failures < FAILURES_MAX && blocks_read(d->io, lba, blocks, to))
		return true;
	memset(to, 0, (u64)blocks * d->super.block_bytes);
	(*failures)++;
	return false;
}

/* All that can be read of the blocks from @lba on. */
static void slots_read(const struct efi_disk *d, u64 lba, u32 blocks, u8 *to, u32 *failures)
{
	if (slots_try(d, lba, blocks, to, failures))
		return;
	for (u32 i = 0; i < blocks; i++)
		(void)slots_try(d, lba + i, 1, to + i * d->super.block_bytes, failures);
}

/* Of the two copies of a slot the one that counts; any of them if none does. */
static const u8 *newer(const struct dl_super *super, const u8 *a, const u8 *b)
{
	struct dl_header x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (dl_header_check(&x, super) != OK)
		return b;
	return dl_header_check(&y, super) == OK && y.generation > x.generation ? b : a;
}

void efi_disk_know(const struct efi_disk *d, struct choose_disk *out)
{
	const u32 bytes = d->super.block_bytes;
	const u32 piece = PIECE_BYTES / bytes;
	struct dl_survey survey;
	struct dl_super super;
	u32 failures = 0;

	if (!choose_disk_super(out, &d->super, &super))
		return;
	for (u32 slot = 0; slot < super.dir_slots; slot += piece) {
		u32 n = (u32)min_u64(piece, super.dir_slots - slot);

		slots_read(d, dl_slot_block(slot), n, front, &failures);
		slots_read(d, dl_slot_block_back(&super, slot), n, back, &failures);
		for (u32 i = 0; i < n; i++)
			choose_disk_slot(
				out, &super, newer(&super, front + i * bytes, back + i * bytes));
	}
	if (efi_disk_survey(d, &survey))
		choose_disk_survey(out, &super, &survey);
}
