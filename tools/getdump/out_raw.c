/*
 * A sparse linear image: byte offset = physical address.
 */
#include "extract.h"

enum status raw_write(struct extract *x)
{
	u8 page[PAGE_BYTES];
	struct reader_iter it;
	struct reader_run run;
	enum status st = sink_extend(&x->sink, x->map.end_pfn << PAGE_SHIFT);

	reader_iter_start(&it, &x->map, 0);
	while (st == OK && reader_iter_next(&it, &run)) {
		if (run.fate != READER_HERE)
			continue;
		for (u64 i = 0; i < run.count && st == OK; i++) {
			u64 pfn = run.pfn + i;

			if (extract_page(x, pfn, page) == OK && !extract_is_zero(x, page))
				st = sink_write(&x->sink, pfn << PAGE_SHIFT, page, sizeof(page));
		}
	}
	return st;
}
