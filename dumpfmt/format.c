/*
 * Checks and seals of the log's structures. Bytes in, verdict out: no I/O, no
 * allocation, nothing trusted before its checksum.
 */
#include <string.h>
#include "crc32c.h"
#include "dumplog.h"
#include "surveylog.h"

/* Checksum of @bytes at @p, whose u32 at @at counts as 0. */
static u32 sealed_crc(const void *p, u64 bytes, u64 at)
{
	static const u8 zero[4];
	const u8 *b = p;
	u32 crc = crc32c(0, b, at);

	crc = crc32c(crc, zero, sizeof(zero));
	return crc32c(crc, b + at + 4, bytes - at - 4);
}

static u64 chunk_header_bytes(const struct dl_chunk *c)
{
	return c->header_bytes + c->run_count * sizeof(u64);
}

void dl_super_seal(struct dl_super *super)
{
	super->crc32c = sealed_crc(super, sizeof(*super), offsetof(struct dl_super, crc32c));
}

void dl_header_seal(struct dl_header *h)
{
	h->crc32c = sealed_crc(h, sizeof(*h), offsetof(struct dl_header, crc32c));
}

void dl_chunk_seal(struct dl_chunk *c)
{
	c->header_crc32c =
		sealed_crc(c, chunk_header_bytes(c), offsetof(struct dl_chunk, header_crc32c));
}

static bool super_geometry_ok(const struct dl_super *s)
{
	u64 overhead = 2 + 2 * (u64)s->dir_slots + s->survey_blocks;

	if (s->block_bytes != 512 && s->block_bytes != 4096)
		return false;
	if (s->dir_slots == 0 || s->dir_slots > 4096)
		return false;
	if (s->survey_blocks && (u64)s->survey_blocks * s->block_bytes != DL_SURVEY_AREA_BYTES)
		return false;
	if (s->blocks > (u64)1 << 54 || s->blocks <= overhead)
		return false;
	return (s->blocks - overhead) * s->block_bytes >= DL_MIN_DATA_BYTES;
}

enum status dl_super_check(const struct dl_super *super)
{
	if (memcmp(super->magic, DL_SUPER_MAGIC, sizeof(super->magic)) != 0)
		return E_SUPERBLOCK;
	if (super->crc32c != sealed_crc(super, sizeof(*super), offsetof(struct dl_super, crc32c)))
		return E_SUPERBLOCK;
	if (super->version != DL_VERSION)
		return E_VERSION;
	if (!super_geometry_ok(super) || super->level > 31)
		return E_SUPERBLOCK;
	return OK;
}

static bool all_zero(const void *p, u64 bytes)
{
	const u8 *b = p;

	for (u64 i = 0; i < bytes; i++) {
		if (b[i])
			return false;
	}
	return true;
}

/* The dump's place must lie in the data area, what was used in what was given. */
static bool header_extent_ok(const struct dl_header *h, const struct dl_super *super)
{
	u64 first = dl_data_start(super);
	u64 end = dl_data_end(super);

	if (h->start < first || h->start > end || h->limit > end - h->start)
		return false;
	return h->used <= h->limit && h->end < max_u64(h->limit, 1);
}

enum status dl_header_check(const struct dl_header *h, const struct dl_super *super)
{
	if (all_zero(h, sizeof(*h)))
		return E_NO_DUMP;
	if (memcmp(h->magic, DL_HEADER_MAGIC, sizeof(h->magic)) != 0)
		return E_CHECKSUM;
	if (h->crc32c != sealed_crc(h, sizeof(*h), offsetof(struct dl_header, crc32c)))
		return E_CHECKSUM;
	if (h->version != DL_VERSION)
		return E_VERSION;
	if (memcmp(h->disk_uuid, super->disk_uuid, sizeof(h->disk_uuid)) != 0)
		return E_FOREIGN;
	if (h->state != DL_STATE_INCOMPLETE && h->state != DL_STATE_COMPLETE)
		return E_CHECKSUM;
	return header_extent_ok(h, super) ? OK : E_CHECKSUM;
}

/* Lengths inside the chunk agree with each other; needs no checksum to be safe. */
static bool chunk_shape_ok(const struct dl_chunk *c, u32 block_bytes)
{
	u64 total = (u64)c->blocks * block_bytes;

	if (c->header_bytes < sizeof(*c) || c->payload_offset % 8 != 0)
		return false;
	if (chunk_header_bytes(c) > c->payload_offset)
		return false;
	if (c->raw_bytes > DL_GROUP_PAGES * PAGE_BYTES || c->stored_bytes > c->raw_bytes)
		return false;
	return range_fits(c->payload_offset, c->stored_bytes, total);
}

enum status dl_chunk_check(
	const void *chunk, u64 bytes, const u8 uuid[16], u64 sequence, u32 block_bytes, u64 room)
{
	const struct dl_chunk *c = chunk;

	if (bytes < sizeof(*c))
		return E_TRUNCATED;
	if (c->magic != DL_CHUNK_MAGIC || memcmp(c->dump_uuid, uuid, 16) != 0)
		return E_CHUNK;
	if (c->sequence != sequence || c->blocks == 0 || c->blocks > room)
		return E_CHUNK;
	if (!chunk_shape_ok(c, block_bytes))
		return E_CHUNK;
	if (chunk_header_bytes(c) > bytes)
		return E_TRUNCATED;
	if (c->header_crc32c !=
		sealed_crc(c, chunk_header_bytes(c), offsetof(struct dl_chunk, header_crc32c)))
		return E_CHUNK;
	return OK;
}

const char *dl_class_name(u32 class)
{
	static const char *const names[DL_CLASSES] = {
		[DL_NOT_RAM] = "not RAM",
		[DL_KEPT] = "kept",
		[DL_ZERO] = "zero",
		[DL_FREE] = "free",
		[DL_CACHE] = "cache",
		[DL_PRIVATE_CACHE] = "private cache",
		[DL_USER] = "user",
		[DL_HWPOISON] = "hwpoison",
		[DL_OFFLINE] = "offline",
		[DL_UNREADABLE] = "unreadable",
		[DL_OVERWRITTEN_FIRMWARE] = "overwritten by firmware",
		[DL_OVERWRITTEN_LOADER] = "overwritten by the boot loader",
		[DL_OVERWRITTEN_OURS] = "overwritten by afterimage",
		[DL_METADATA_LOST] = "metadata lost",
	};

	return class < DL_CLASSES ? names[class] : "unknown";
}

const char *dl_compressor_name(u32 compressor)
{
	static const char *const names[] = {"none", "lzf", "zlib", "zstd"};

	return compressor < ARRAY_SIZE(names) ? names[compressor] : "unknown";
}

static u32 survey_crc(const struct dl_survey *v)
{
	return sealed_crc(v, sizeof(*v), offsetof(struct dl_survey, crc32c));
}

static u64 ranges_bytes(const struct dl_survey *v)
{
	return v->range_count * sizeof(struct dl_survey_range);
}

void dl_survey_seal(struct dl_survey *v, const struct dl_survey_range *range)
{
	v->ranges_crc32c = crc32c(0, range, ranges_bytes(v));
	v->crc32c = survey_crc(v);
}

enum status dl_survey_check(const struct dl_survey *v, const struct dl_super *super)
{
	if (all_zero(v, sizeof(*v)))
		return E_NO_DUMP;
	if (memcmp(v->magic, DL_SURVEY_MAGIC, sizeof(v->magic)) != 0 || v->crc32c != survey_crc(v))
		return E_SURVEY;
	if (v->version != DL_VERSION)
		return E_VERSION;
	if (memcmp(v->disk_uuid, super->disk_uuid, sizeof(v->disk_uuid)) != 0)
		return E_SURVEY;
	if (v->state > DL_SURVEY_ENDED || v->range_count > DL_SURVEY_RANGES)
		return E_SURVEY;
	if (v->cycles_wanted == 0 || v->cycles_wanted > DL_SURVEY_CYCLES_MAX)
		return E_SURVEY;
	return v->cycles_done <= v->cycles_wanted ? OK : E_SURVEY;
}

static bool survey_range_ok(const struct dl_survey_range *r, u64 from)
{
	if ((r->pa | r->bytes) & (PAGE_BYTES - 1) || r->bytes == 0 || r->pa < from)
		return false;
	return range_fits(r->pa, r->bytes, 1ull << 52);
}

enum status dl_survey_ranges_check(const struct dl_survey *v, const struct dl_survey_range *range)
{
	u64 from = 0;

	if (v->range_count > DL_SURVEY_RANGES)
		return E_SURVEY;
	if (v->ranges_crc32c != crc32c(0, range, ranges_bytes(v)))
		return E_SURVEY;
	for (u32 i = 0; i < v->range_count; i++) {
		if (!survey_range_ok(&range[i], from))
			return E_SURVEY;
		from = range[i].pa + range[i].bytes;
	}
	return OK;
}
