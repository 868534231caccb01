/*
 * The input is the area of a survey's record. It is read once as it is and once with its
 * checksums put right, so that what lies behind them is reached too. What passes the checks
 * must make regions and texts that keep their promises.
 */
#include <stdlib.h>
#include <string.h>
#include "crc32c.h"
#include "tools/common/reserve.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

#define BLOCKS 40960u

struct input {
	u64 at;
	const u8 *data;
	u64 bytes;
};

static enum status read_input(void *ctx, u64 offset, void *buf, u64 bytes)
{
	const struct input *in = ctx;

	if (offset < in->at || !range_fits(offset - in->at, bytes, DL_SURVEY_AREA_BYTES))
		abort();
	if (!range_fits(offset - in->at, bytes, in->bytes))
		return E_TRUNCATED;
	memcpy(buf, in->data + (offset - in->at), bytes);
	return OK;
}

static bool is_reserved(const struct reserve *r, u64 pa)
{
	for (u32 i = 0; i < r->count; i++) {
		if (pa >= r->region[i].pa && pa - r->region[i].pa < r->region[i].bytes)
			return true;
	}
	return false;
}

static void check_reserve(const struct survey_record *s)
{
	static struct reserve r;
	static char text[RESERVE_TEXT_BYTES];
	const char *note[RESERVE_NOTES];
	u64 end = s->v.end_pfn;

	reserve_make(s, &r);
	for (u32 i = 0; i < r.count; i++) {
		if ((r.region[i].pa | r.region[i].bytes) % MIB || r.region[i].bytes == 0)
			abort();
		if (i > 0 && r.region[i].pa < r.region[i - 1].pa + r.region[i - 1].bytes + 4 * MIB)
			abort();
	}
	for (u32 i = 0; i < s->v.range_count; i++) {
		u64 last = s->range[i].pa + s->range[i].bytes - 1;

		if (last >= MIB && (end == 0 || last >> PAGE_SHIFT < end) && !is_reserved(&r, last))
			abort();
	}
	if (strlen(reserve_text(&r, RESERVE_GRUB, text)) + 1 >= sizeof(text))
		abort();
	if (reserve_notes(&r, text, note) > RESERVE_NOTES)
		abort();
}

static void check(struct input *in, const struct dl_super *super)
{
	static struct survey_record record;
	char why[SURVEY_WHY_BYTES];

	if (survey_read(read_input, in, super, &record) != OK)
		return;
	if (survey_lost_pages(&record) > record.v.ram_pages || survey_share(&record) > 10000)
		abort();
	for (u32 i = 0; i < record.v.range_count; i++) {
		if (strlen(survey_why_text(record.range[i].why, why)) >= sizeof(why))
			abort();
	}
	check_reserve(&record);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	static u8 area[DL_SURVEY_AREA_BYTES];
	struct dl_survey *v = (struct dl_survey *)area;
	struct dl_super super = {
		.block_bytes = 512,
		.blocks = BLOCKS,
		.dir_slots = DL_DIR_SLOTS,
		.survey_blocks = DL_SURVEY_AREA_BYTES / 512,
	};
	struct input in = {dl_survey_block(&super) * 512, data, bytes};

	crc32c_init();
	check(&in, &super);
	memset(area, 0, sizeof(area));
	memcpy(area, data, min_u64(bytes, sizeof(area)));
	memcpy(v->magic, DL_SURVEY_MAGIC, sizeof(v->magic));
	v->version = DL_VERSION;
	v->range_count %= DL_SURVEY_RANGES + 1;
	dl_survey_seal(v, (const struct dl_survey_range *)(area + DL_SURVEY_RANGES_AT));
	in.data = area;
	in.bytes = sizeof(area);
	check(&in, &super);
	return 0;
}
