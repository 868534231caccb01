/*
 * The disk on a port: what its identify data says (ATA8-ACS s7.16), and whether we can use
 * it. Wants 48-bit addresses and blocks of 512 or 4096 bytes.
 */
#include <string.h>
#include "ahcivar.h"
#include "bytes.h"
#include "str.h"

#define BLOCK_BYTES_SMALL 512u
#define BLOCK_BYTES_LARGE 4096u

static u16 word(const struct ahci *a, u32 index)
{
	return get_u16(a->data + 2 * index);
}

/* Of words that say themselves whether they mean anything. */
static u16 valid_word(const struct ahci *a, u32 index)
{
	u16 value = word(a, index);

	return (value & ATA_ID_VALID_MASK) == ATA_ID_VALID ? value : 0;
}

/* Texts have the first of two characters in the high byte. */
static void text_read(const struct ahci *a, u32 index, u32 bytes, char *out)
{
	u8 field[ATA_ID_MODEL_BYTES];

	for (u32 i = 0; i < bytes; i++)
		field[i] = a->data[2 * index + (i ^ 1)];
	blk_text(out, field, bytes);
}

/* Who the disk is: its world wide name, or else its serial number and model. */
static void id_read(const struct ahci *a, char id[BLK_ID_BYTES])
{
	char serial[ATA_ID_SERIAL_BYTES + 1], model[ATA_ID_MODEL_BYTES + 1];
	u64 wwn = 0;

	for (u32 i = 0; i < 4; i++)
		wwn = wwn << 16 | word(a, ATA_ID_WWN_WORDS + i);
	if (valid_word(a, ATA_ID_ENABLED_3) & ATA_ID_WWN && wwn != 0) {
		str_format(id, BLK_ID_BYTES, "ata %016llx", (unsigned long long)wwn);
		return;
	}
	text_read(a, ATA_ID_SERIAL, ATA_ID_SERIAL_BYTES, serial);
	text_read(a, ATA_ID_MODEL, ATA_ID_MODEL_BYTES, model);
	if (serial[0])
		str_format(id, BLK_ID_BYTES, "ata %s %s", serial, model);
}

static enum status format_read(struct ahci *a)
{
	u64 blocks = get_u64(a->data + 2 * ATA_ID_BLOCKS);
	u64 bytes = BLOCK_BYTES_SMALL;

	if (valid_word(a, ATA_ID_BLOCK_SIZE) & ATA_ID_BLOCK_SIZE_LONG)
		bytes = 2ull * get_u32(a->data + 2 * ATA_ID_BLOCK_WORDS);
	if (!(valid_word(a, ATA_ID_SUPPORTS_2) & ATA_ID_LBA48) ||
		!(word(a, ATA_ID_CAPS) & ATA_ID_CAPS_DMA))
		return E_FORMAT;
	if (bytes != BLOCK_BYTES_SMALL && bytes != BLOCK_BYTES_LARGE)
		return E_FORMAT;
	if (blocks == 0 || blocks > ATA_LBA48_MAX)
		return E_FORMAT;
	a->blk.block_bytes = (u32)bytes;
	a->blk.blocks = blocks;
	return OK;
}

static void abilities_read(struct ahci *a)
{
	u16 sata = word(a, ATA_ID_SATA);

	a->queued = a->cap & AHCI_CAP_SNCQ && sata != UINT16_MAX && sata & ATA_ID_SATA_NCQ;
	a->blk.depth = a->slots;
	if (a->queued)
		a->blk.depth = (u32)min_u64(a->slots, ATA_ID_QUEUE_DEPTH(word(a, ATA_ID_QUEUE)));
	a->at_once = a->queued ? a->blk.depth : AHCI_UNQUEUED;
	/* Without a cache the command does no harm, and some only say that they have none. */
	a->flushes = valid_word(a, ATA_ID_SUPPORTS_2) & ATA_ID_FLUSH_EXT ||
		     word(a, ATA_ID_ENABLED_1) & ATA_ID_VWC;
}

enum status ahci_disk_same(struct ahci *a)
{
	u64 blocks = a->blk.blocks;
	u32 bytes = a->blk.block_bytes;
	char id[BLK_ID_BYTES] = "";
	enum status st = ahci_ask(a, ATA_IDENTIFY, 0);

	if (st != OK)
		return st;
	id_read(a, id);
	st = format_read(a);
	if (st != OK || blocks != a->blk.blocks || bytes != a->blk.block_bytes)
		return E_DEVICE_GONE;
	return memcmp(id, a->id, str_len(id, sizeof(id) - 1) + 1) == 0 ? OK : E_DEVICE_GONE;
}

/* The @index-th of the ports that there are; it is below blk.disks. */
static u32 port_number(const struct ahci *a, u32 index)
{
	u32 ports = a->ports;

	while (index-- > 0)
		ports &= ports - 1;
	return (u32)__builtin_ctz(ports);
}

static enum status disk_start(struct ahci *a)
{
	enum status st = ahci_port_start(a);

	if (st == OK)
		st = ahci_ask(a, ATA_IDENTIFY, 0);
	if (st != OK)
		return st;
	id_read(a, a->id);
	abilities_read(a);
	return format_read(a);
}

/* A port that has stopped has let go of all requests, even of those of a disk that died. */
static enum status disk_leave(struct ahci *a)
{
	enum status st = ahci_port_stop(a);

	if (st != OK)
		return blk_die(&a->blk, st);
	memset(a->slot, 0, sizeof(a->slot));
	a->held = 0;
	a->sent = 0;
	a->tagged = 0;
	a->id[0] = 0;
	a->blk.inflight = 0;
	a->blk.blocks = 0; /* nothing fits until the disk is known */
	a->blk.resets = 0;
	a->blk.dead = OK;
	return OK;
}

enum status ahci_select(struct blk *blk, u32 index)
{
	struct ahci *a = (struct ahci *)blk;
	enum status st, stopped;
	u32 len;

	if (blk->dead == OK && blk->inflight > 0)
		return E_BUSY;
	if (index >= blk->disks)
		return E_INVAL;
	st = blk->silent ? blk->dead : disk_leave(a);
	if (st != OK)
		return st;
	a->port = port_number(a, index);
	len = blk_name(ahci_driver.kind, &a->pci, a->name, sizeof(a->name));
	str_format(a->name + len, sizeof(a->name) - len, " port %u", a->port);
	st = disk_start(a);
	if (st == OK)
		return OK;
	/* Whatever it is, it can not write to our memory any more. */
	stopped = ahci_port_stop(a);
	if (stopped != OK || st == E_DEVICE_GONE)
		blk_die(&a->blk, stopped == OK ? st : stopped);
	return st;
}
