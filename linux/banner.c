/*
 * The last trace of a kernel whose vmcoreinfo is gone: the banner in its constants, "Linux
 * version ". It says that a kernel ran here and which, not where its things are.
 */
#include <string.h>
#include "oldkernel.h"

#define BANNER	     "Linux version "
#define BANNER_BYTES (sizeof(BANNER) - 1)
#define BANNER_ALIGN 16u /* of a constant array of its size, System V ABI s3.1.2 */

static bool is_release(u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '.' || c == '-' || c == '+' || c == '~' || c == '_';
}

/* The release that follows a banner's first words in the @bytes at @p; it ends with a blank. */
static bool release_take(const u8 *p, u64 bytes, char release[UTS_FIELD])
{
	u64 n = 0;

	while (n < bytes && n < UTS_FIELD - 1 && is_release(p[n]))
		n++;
	if (n == 0 || n == bytes || p[n] != ' ' || p[0] < '0' || p[0] > '9')
		return false;
	memcpy(release, p, n);
	release[n] = '\0';
	return true;
}

/* Bytes before the first banner in @view; @bytes if there is none. All of memory goes by here. */
static u64 view_find(const u8 *view, u64 bytes, char release[UTS_FIELD])
{
	u64 begins, word;

	memcpy(&begins, BANNER, sizeof(begins));
	for (u64 at = 0; at + BANNER_BYTES <= bytes; at += BANNER_ALIGN) {
		const u8 *p = view + at;

		memcpy(&word, p, sizeof(word));
		if (word == begins && memcmp(p, BANNER, BANNER_BYTES) == 0 &&
			release_take(p + BANNER_BYTES, bytes - at - BANNER_BYTES, release))
			return at;
	}
	return bytes;
}

bool oldkernel_banner(struct physmem *pm, u64 *pa, char release[UTS_FIELD])
{
	const struct memmap *map = pm->map;

	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		const struct mem_range *r = &map->range[i];
		u64 end = r->pa + r->bytes;
		u64 bytes;

		if (r->type != MEM_RAM || r->touched != TOUCHED_NOBODY)
			continue;
		for (u64 at = r->pa; at < end; at += bytes) {
			const u8 *view;
			u64 found;

			bytes = min_u64(
				end - at, PHYS_WINDOW_BYTES - (at & (PHYS_WINDOW_BYTES - 1)));
			view = physmem_view(pm, at, bytes);
			found = view ? view_find(view, bytes, release) : bytes;
			if (found < bytes) {
				*pa = at + found;
				return true;
			}
		}
	}
	return false;
}
