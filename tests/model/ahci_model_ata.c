/*
 * The modelled drive: identify data, transfers, its cache, its error log (ATA8-ACS).
 */
#include <string.h>
#include "ahci_model.h"

#define SECTOR_BYTES 512u
#define NO_MEMORY    0xffu
#define DBC_BYTES    0x400000u

static u64 lba_of(const u8 *fis, bool wide)
{
	u64 low = fis[4] | (u64)fis[5] << 8 | (u64)fis[6] << 16;

	if (!wide)
		return low | (u64)(fis[7] & 15) << 24;
	return low | (u64)fis[8] << 24 | (u64)fis[9] << 32 | (u64)fis[10] << 40;
}

static bool decode_transfer(struct ahci_model_port *p, struct ahci_model_cmd *c, const u8 *fis)
{
	bool wide = fis[2] != ATA_READ_DMA && fis[2] != ATA_WRITE_DMA;
	u32 count = fis[12] | (wide ? (u32)fis[13] << 8 : 0);

	if (!(fis[7] & DEV_LBA))
		ahci_model_broken(p->hba, "transfer without the LBA bit");
	if (wide && p->disk.no_lba48)
		return false;
	c->lba = lba_of(fis, wide);
	c->blocks = count ? count : wide ? 65536 : 256;
	c->write = fis[2] == ATA_WRITE_DMA || fis[2] == ATA_WRITE_DMA_EXT ||
		   fis[2] == ATA_WRITE_FUA_EXT;
	c->fua = fis[2] == ATA_WRITE_FUA_EXT;
	return true;
}

static bool decode_queued(
	struct ahci_model_port *p, u32 slot, struct ahci_model_cmd *c, const u8 *fis)
{
	u32 count = fis[3] | (u32)fis[11] << 8;

	if (!(p->hba->cap & CAP_SNCQ))
		ahci_model_broken(p->hba, "queued command on an HBA without NCQ");
	if (p->disk.depth == 0)
		return false;
	if (fis[12] >> 3 != slot || fis[12] & 7 || !(fis[7] & DEV_LBA))
		ahci_model_broken(p->hba, "tag or device of a queued command");
	if (slot >= p->disk.depth) {
		ahci_model_broken(p->hba, "more commands than the drive's queue holds");
		return false;
	}
	c->queued = true;
	c->lba = lba_of(fis, true);
	c->blocks = count ? count : 65536;
	c->write = fis[2] == ATA_WRITE_FPDMA;
	c->fua = fis[7] & DEV_FUA;
	return true;
}

bool ahci_model_decode(struct ahci_model_port *p, u32 slot, const u8 *fis)
{
	struct ahci_model_cmd *c = &p->cmds[slot];

	c->command = fis[2];
	c->features = fis[3];
	if (p->disk.ncq_error && !(fis[2] == ATA_READ_LOG_EXT && fis[4] == LOG_NCQ))
		return false;
	if (p->disk.kind != AHCI_KIND_DISK)
		return false;
	switch (fis[2]) {
	case ATA_READ_FPDMA:
	case ATA_WRITE_FPDMA:
		return decode_queued(p, slot, c, fis);
	case ATA_READ_DMA:
	case ATA_READ_DMA_EXT:
	case ATA_WRITE_DMA:
	case ATA_WRITE_DMA_EXT:
	case ATA_WRITE_FUA_EXT:
		return decode_transfer(p, c, fis);
	case ATA_READ_LOG_EXT:
		c->bytes = SECTOR_BYTES;
		return !p->disk.no_lba48 && fis[4] == LOG_NCQ && fis[12] == 1;
	case ATA_IDENTIFY:
		c->bytes = SECTOR_BYTES;
		return true;
	case ATA_FLUSH_EXT:
		return !p->disk.no_lba48 && !p->disk.no_flush_ext;
	case ATA_FLUSH:
	case ATA_STANDBY:
	case ATA_IDLE:
		return true;
	case ATA_SET_FEATURES:
		return fis[3] == FEATURE_XFER_MODE || fis[3] == FEATURE_WC_OFF ||
		       (fis[3] == FEATURE_WC_ON && !p->disk.no_wcache);
	default:
		return false;
	}
}

/* One entry of the PRDT (s4.2.3.3): its memory and length; NULL if it can not be reached. */
static u8 *prd_at(struct ahci_model_port *p, const struct ahci_model_cmd *c, u32 n, u32 *bytes)
{
	u64 pa = c->table_pa + TABLE_PRDT + (u64)n * PRD_BYTES;
	const u8 *at = ahci_model_dma(p->hba, pa, PRD_BYTES, false);
	u32 prd[4];

	if (!at)
		return NULL;
	memcpy(prd, at, sizeof(prd));
	*bytes = (prd[3] & (DBC_BYTES - 1)) + 1;
	if (prd[0] & 1 || *bytes & 1 || prd[2] || prd[3] & 0x7fc00000)
		ahci_model_broken(p->hba, "malformed PRDT entry");
	return ahci_model_dma(p->hba, prd[0] | (u64)prd[1] << 32, *bytes, !c->write);
}

/* Moves @bytes between @data and memory; false if memory can not be reached. */
static bool move(struct ahci_model_port *p, const struct ahci_model_cmd *c, u8 *data, u64 bytes)
{
	u64 done = 0;

	for (u32 i = 0; i < HDR_PRDTL(c->header) && done < bytes; i++) {
		u32 n;
		u8 *memory = prd_at(p, c, i, &n);

		if (!memory) {
			p->halted = true;
			ahci_model_port_raise(p, IS_HBFS);
			return false;
		}
		n = (u32)min_u64(n, bytes - done);
		if (c->write)
			memcpy(data + done, memory, n);
		else
			memcpy(memory, data + done, n);
		done += n;
	}
	if (done != bytes)
		ahci_model_broken(p->hba, "PRDT shorter than the transfer");
	return done == bytes;
}

/* How many bytes were moved, into the command header; of queued ones nothing (s5.4.1). */
static void prdbc(struct ahci_model_port *p, const struct ahci_model_cmd *c, u64 bytes)
{
	u8 *at = c->queued ? NULL : ahci_model_dma(p->hba, c->header_pa + 4, 4, true);
	u32 n = (u32)bytes;

	if (at)
		memcpy(at, &n, sizeof(n));
}

static void put16(u8 *page, u32 word, u32 value)
{
	page[2 * word] = (u8)value;
	page[2 * word + 1] = (u8)(value >> 8);
}

/* ATA's strings have two characters to a word, the first in the upper half. */
static void put_text(u8 *page, u32 word, u32 bytes, const char *text)
{
	u64 len = strlen(text);

	for (u32 i = 0; i < bytes; i++)
		page[2 * word + (i ^ 1)] = i < len ? (u8)text[i] : ' ';
}

static void put_blocks(u8 *page, u32 word, u64 blocks, u32 words)
{
	for (u32 i = 0; i < words; i++)
		put16(page, word + i, (u32)(blocks >> 16 * i) & 0xffff);
}

static void identify(const struct ahci_model_port *p, u8 *page)
{
	const struct ahci_model_disk *d = &p->disk;
	u32 flush = 1u << 14 | 1u << 12 | (d->no_flush_ext || d->no_lba48 ? 0 : 1u << 13) |
		    (d->no_lba48 ? 0 : 1u << 10);
	u8 sum = 0;

	memset(page, 0, SECTOR_BYTES);
	put16(page, 0, 0x0040);
	put_text(page, 10, 20, d->serial);
	put_text(page, 23, 8, "1.0");
	put_text(page, 27, 40, "MODEL DRIVE");
	put16(page, 49, 1u << 9 | 1u << 8);
	put16(page, 53, 6);
	put_blocks(page, 60, min_u64(d->blocks, 0x0fffffff), 2);
	put16(page, 75, d->depth ? d->depth - 1 : 0);
	put16(page, 76, 0x000e | (d->depth ? 1u << 8 : 0));
	put16(page, 80, 0x01f0);
	put16(page, 82, 1u << 14 | (d->no_wcache ? 0 : 1u << 5));
	put16(page, 83, flush);
	put16(page, 84, 1u << 14 | (d->wwn ? 1u << 8 : 0));
	put16(page, 85, 1u << 14 | (d->wcache ? 1u << 5 : 0));
	put16(page, 86, flush & ~(1u << 14));
	put16(page, 87, 1u << 14 | (d->wwn ? 1u << 8 : 0));
	put16(page, 88, 0x407f);
	if (!d->no_lba48)
		put_blocks(page, 100, d->blocks, 4);
	for (u32 i = 0; i < 4; i++)
		put16(page, 108 + i, (u32)(d->wwn >> (48 - 16 * i)) & 0xffff);
	put16(page, 106, 1u << 14 | (d->block_bytes > SECTOR_BYTES ? 1u << 12 : 0));
	if (d->block_bytes > SECTOR_BYTES)
		put_blocks(page, 117, d->block_bytes / 2, 2);
	if (d->no_id_checksum)
		return;
	page[510] = 0xa5;
	for (u32 i = 0; i < 511; i++)
		sum = (u8)(sum + page[i]);
	page[511] = (u8)-sum;
}

/* The log of the command that ended the queue; reading it lets the drive go on. */
static void ncq_log(struct ahci_model_disk *d, u8 *page)
{
	u8 sum = 0;

	memset(page, 0, SECTOR_BYTES);
	page[0] = (u8)(d->log_tag | (d->log_nq ? 0x80 : 0));
	page[2] = STS_RDY | STS_ERR;
	page[3] = d->log_error;
	for (u32 i = 0; i < 511; i++)
		sum = (u8)(sum + page[i]);
	page[511] = (u8)-sum;
	d->ncq_error = false;
}

static void keep(struct ahci_model_disk *d, u64 at, u64 blocks)
{
	if (d->kept)
		memcpy(d->kept + at * d->block_bytes, d->bytes + at * d->block_bytes,
			blocks * d->block_bytes);
	memset(d->dirty + at, 0, blocks);
}

static void flush(struct ahci_model_port *p)
{
	struct ahci_model_disk *d = &p->disk;

	p->hba->flushes++;
	for (u64 i = 0; i < d->all_blocks; i++) {
		if (d->dirty[i])
			keep(d, i, 1);
	}
}

static u8 transfer(struct ahci_model_port *p, const struct ahci_model_cmd *c, bool half)
{
	struct ahci_model_disk *d = &p->disk;
	u64 blocks = half ? c->blocks / 2 : c->blocks;
	u64 at;

	if (c->write && (c->lba < d->write_first || c->lba >= d->write_end ||
				c->blocks > d->write_end - c->lba))
		p->hba->stray_writes++;
	if (!range_fits(c->lba, c->blocks, d->blocks))
		return ERR_IDNF;
	if (d->errors || (d->bad_lba >= c->lba && d->bad_lba - c->lba < c->blocks))
		return ERR_UNC;
	at = c->lba - d->first_lba;
	if (!range_fits(at, c->blocks, d->all_blocks))
		return ERR_UNC;
	if (!move(p, c, d->bytes + at * d->block_bytes, blocks * d->block_bytes))
		return NO_MEMORY;
	prdbc(p, c, blocks * d->block_bytes);
	if (!c->write)
		return 0;
	p->hba->blocks_written += blocks;
	memset(d->dirty + at, 1, blocks);
	if (!d->wcache || c->fua)
		keep(d, at, blocks);
	return 0;
}

static u8 pio(struct ahci_model_port *p, const struct ahci_model_cmd *c, bool half)
{
	u64 bytes = half ? c->bytes / 2 : c->bytes;
	u8 page[SECTOR_BYTES];

	if (c->command == ATA_IDENTIFY)
		identify(p, page);
	else
		ncq_log(&p->disk, page);
	if (!move(p, c, page, bytes))
		return NO_MEMORY;
	prdbc(p, c, bytes);
	return 0;
}

u8 ahci_model_perform(struct ahci_model_port *p, const struct ahci_model_cmd *c, bool half)
{
	if (c->blocks)
		return transfer(p, c, half);
	if (c->bytes)
		return pio(p, c, half);
	if (c->command == ATA_FLUSH || c->command == ATA_FLUSH_EXT || c->command == ATA_STANDBY)
		flush(p);
	if (c->command == ATA_SET_FEATURES && c->features != FEATURE_XFER_MODE)
		p->disk.wcache = c->features == FEATURE_WC_ON;
	return 0;
}
