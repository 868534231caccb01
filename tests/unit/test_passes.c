/*
 * Passes: which classes go out, in what order, what is never looked at, and what the
 * dump says of itself when the disk is full.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "tests/host/ports_mem.h"
#include "tests/unit/fake_scan.h"

#define BIT(class) (1u << (class))

static struct rig rig;
static struct rig_report report;

static void open_mixed(const struct rig_options *opt, u32 except)
{
	rig_open(&rig, opt);
	fake_scan_mix(&rig, except);
}

/* Whatever must not be looked at is out of reach. */
static u32 forbid_all_without_data(void)
{
	u32 pages = 0;

	for (u64 pfn = 0; pfn < rig.opt.ram_bytes >> PAGE_SHIFT; pfn++) {
		const struct mem_range *m = memmap_find(&rig.map, pfn << PAGE_SHIFT);
		bool ram = m && m->type == MEM_RAM && m->touched == TOUCHED_NOBODY;

		if (ram && dl_class_has_data(rig.plan[pfn], rig.opt.level))
			continue;
		if (ram || !m || m->type != MEM_RAM) {
			rig_forbid(&rig, pfn);
			pages++;
		}
	}
	return pages;
}

static void assert_counts_add_up(void)
{
	const struct capture *c = &rig.capture;
	u64 pages = 0, written = 0, zero = 0;

	for (u32 i = 0; i < DL_CLASSES; i++) {
		const struct capture_count *n = &c->count[i];
		bool data = dl_class_has_data(i, rig.opt.level) &&
			    !(rig.writer.header.dropped & BIT(i));

		if (i != DL_NOT_RAM)
			pages += n->pages;
		written += n->written;
		zero += n->zero;
		assert_int_equal(n->written + n->zero + n->unreadable, data ? n->pages : 0);
	}
	assert_int_equal(pages, memmap_ram_pages(&rig.map));
	assert_int_equal(written, rig.writer.header.kept_pages);
	assert_int_equal(zero, rig.writer.header.zero_pages);
	assert_int_equal(c->at.done_pages, memmap_ram_pages(&rig.map));
	assert_int_equal(c->left_pages, 0);
}

/* Passes that the level asks for, as rig_report has them. */
static u32 passes_of_level(u32 level)
{
	static const u8 classes[] = {DL_KEPT, DL_USER, DL_PRIVATE_CACHE, DL_CACHE, DL_FREE};
	u32 passes = 0;

	for (u32 i = 0; i < ARRAY_SIZE(classes); i++)
		passes |= dl_class_has_data(classes[i], level) ? BIT(i) : 0;
	return passes;
}

static void test_all_levels(void **state)
{
	(void)state;
	for (u32 level = 0; level <= DL_LEVEL_MAX; level++) {
		struct rig_options opt = rig_defaults();

		opt.level = level;
		opt.compressor = level % 3;
		opt.block_bytes = level % 5 ? 512 : 4096;
		open_mixed(&opt, 0);
		rig.disk.reorder = level % 2;
		assert_true(forbid_all_without_data() > 50);
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		rig_check(&rig, 0, &report);
		assert_int_equal(report.passes, passes_of_level(level));
		assert_int_equal(report.founds > 0, (level & DL_LEVEL_ZERO) && report.passes != 1);
		assert_counts_add_up();
		rig_close(&rig);
	}
}

/* What a class looks like in the log does not depend on how the runs are cut. */
static void test_runs_cut_anyhow(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	for (u64 longest = 1; longest < 20; longest++) {
		open_mixed(&opt, 0);
		fake_scan.longest_run = longest;
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_counts_add_up();
		fake_scan.longest_run = 0;
		rig_close(&rig);
	}
}

/* A class that no page has needs no pass. */
static void test_class_without_pages(void **state)
{
	static const u8 later[] = {DL_USER, DL_PRIVATE_CACHE, DL_CACHE, DL_FREE};
	struct rig_options opt = rig_defaults();

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(later); i++) {
		open_mixed(&opt, BIT(later[i]));
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		rig_check(&rig, 0, &report);
		assert_int_equal(report.passes, 31 & ~(2u << i));
		rig_close(&rig);
	}
}

static void test_unreadable_pages(void **state)
{
	(void)state;
	for (u32 i = 0; i < 12; i++) {
		struct rig_options opt = rig_defaults();

		opt.level = i & 1;
		opt.compressor = i % 3;
		opt.raw_below = i < 6 ? 0 : 1000;
		open_mixed(&opt, 0);
		for (u64 pfn = 258; pfn < 258 + 3 * HOST_UNREADABLE; pfn += 3)
			host_ram_unreadable(pfn << PAGE_SHIFT);
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_counts_add_up();
		assert_true(rig.capture.count[DL_KEPT].unreadable > 1);
		assert_true(rig.capture.count[DL_USER].unreadable > 1);
		assert_true(rig.capture.count[DL_FREE].unreadable > 1);
		assert_int_equal(rig.capture.count[DL_HWPOISON].unreadable, 0);
		rig_close(&rig);
	}
}

/* What the machine check's handler does: from now on the page is one of zeros, and known. */
static void meet_error(int number, siginfo_t *info, void *context)
{
	u64 pa = ((u64)((u8 *)info->si_addr - rig.ram)) & ~(u64)(PAGE_BYTES - 1);

	(void)number;
	(void)context;
	if (pa >= rig.opt.ram_bytes || phys_unreadable(pa))
		abort();
	host_ram_unreadable(pa);
	if (mprotect(rig.ram + pa, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
		abort();
	memset(rig.ram + pa, 0, PAGE_BYTES);
}

/* Nothing is known of the errors before the pages are read, each once. */
static void test_errors_met_while_reading(void **state)
{
	struct sigaction sa = {.sa_sigaction = meet_error, .sa_flags = SA_SIGINFO};
	struct sigaction before;

	(void)state;
	assert_int_equal(sigaction(SIGSEGV, &sa, &before), 0);
	for (u32 i = 0; i < 12; i++) {
		struct rig_options opt = rig_defaults();

		opt.level = i & 1;
		opt.compressor = i % 3;
		opt.raw_below = i < 6 ? 0 : 1000;
		open_mixed(&opt, BIT(DL_HWPOISON) | BIT(DL_OFFLINE));
		for (u64 pfn = 258 + i; pfn < 258 + 3 * HOST_UNREADABLE; pfn += 3) {
			if (pfn < 318 || pfn > 338)
				rig_forbid(&rig, pfn);
		}
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_counts_add_up();
		assert_true(rig.capture.count[DL_KEPT].unreadable > 1);
		assert_true(rig.capture.count[DL_USER].unreadable > 1);
		assert_true(rig.capture.count[DL_FREE].unreadable > 1);
		rig_close(&rig);
	}
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

/* Nothing but unreadable pages: there are no groups, but classes. */
static void test_class_all_unreadable(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	rig_open(&rig, &opt);
	fake_scan_use(&rig);
	for (u64 pfn = 384; pfn < 384 + HOST_UNREADABLE; pfn++) {
		rig.plan[pfn] = pfn % 2 ? DL_USER : DL_CACHE;
		host_ram_unreadable(pfn << PAGE_SHIFT);
	}
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 0);
	rig_check(&rig, 0, &report);
	assert_int_equal(report.passes, BIT(0) | BIT(1) | BIT(3));
	assert_int_equal(rig.capture.count[DL_USER].unreadable, HOST_UNREADABLE / 2);
	rig_close(&rig);
}

/* Also of what is not in the dump at all, and whatever the level. */
static void test_use_of_lost_pages(void **state)
{
	struct dl_header h;

	(void)state;
	for (u32 level = 0; level <= DL_LEVEL_MAX; level += 31) {
		struct rig_options opt = rig_defaults();

		opt.level = level;
		opt.survey = DL_SURVEY_USED;
		rig_open(&rig, &opt);
		fake_scan_use(&rig);
		memmap_touch(&rig.map, 0x180000, 32 * PAGE_BYTES, TOUCHED_SURVEY);
		memset(rig.plan, DL_METADATA_LOST, 256);
		rig.plan[0] = DL_USER;	/* firmware's */
		rig.plan[8] = DL_CACHE; /* the loader's */
		rig.plan[0x10] = DL_KEPT;
		rig.plan[0x11] = DL_FREE; /* ours */
		memset(rig.plan + 0x180, DL_FREE, 20);
		memset(rig.plan + 0x194, DL_USER, 2);
		memset(rig.plan + 0x196, DL_METADATA_LOST, 3);
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_true(rig_header(&rig, 0, &h));
		assert_int_equal(h.lost_pages, 1 + 1 + RIG_ARENA_BYTES / PAGE_BYTES + 32 + 8);
		assert_int_equal(h.lost_told_pages, 4 + 20 + 2 + 7 + 8);
		assert_int_equal(h.lost_used_pages, 3 + 2 + 7 + 8);
		rig_close(&rig);
	}
}

static u64 last_done;

static void watch_progress(void *ctx, const struct capture_progress *p)
{
	const struct rig *r = ctx;

	assert_true(p->done_pages >= last_done);
	assert_true(p->done_pages <= p->total_pages);
	assert_int_equal(p->total_pages, memmap_ram_pages(&r->map));
	last_done = p->done_pages;
}

static enum status slow_submit(struct blk *blk, struct blk_req *req)
{
	host_clock_advance_us(CAPTURE_PROGRESS_US);
	return ((struct memdisk *)(void *)blk)->plain_ops->submit(blk, req);
}

static void test_progress_is_monotone(void **state)
{
	(void)state;
	for (u32 level = 0; level <= DL_LEVEL_MAX; level += 3) {
		struct rig_options opt = rig_defaults();
		struct blk_ops slow;

		opt.level = level;
		open_mixed(&opt, 0);
		slow = *rig.disk.blk.ops;
		slow.submit = slow_submit;
		rig.disk.plain_ops = rig.disk.blk.ops;
		rig.disk.blk.ops = &slow;
		rig.progress = watch_progress;
		last_done = 0;
		assert_int_equal(rig_dump(&rig), OK);
		assert_true(last_done > 0);
		rig_check_all(&rig, 0);
		rig_close(&rig);
	}
}

struct forecast {
	u64 at_us;
	u64 left_us;
};

static struct forecast forecast[64];
static u32 forecasts;

static void note_forecast(void *ctx, const struct capture_progress *p)
{
	(void)ctx;
	if (forecasts < ARRAY_SIZE(forecast))
		forecast[forecasts++] = (struct forecast) {p->elapsed_us, p->left_us};
}

/* Pages that are left out take no time: those to come are not as fast. */
static void test_time_left(void **state)
{
	struct rig_options opt = rig_defaults();
	struct blk_ops slow;
	u64 end_us;

	(void)state;
	opt.ram_bytes = RIG_MAX_PAGES * PAGE_BYTES;
	opt.level = DL_LEVEL_FREE;
	rig_open(&rig, &opt);
	fake_scan_use(&rig);
	memset(rig.plan, DL_FREE, RIG_MAX_PAGES);
	memset(rig.plan, DL_KEPT, 256);
	memset(rig.plan + 256, DL_USER, 512);
	slow = *rig.disk.blk.ops;
	slow.submit = slow_submit;
	rig.disk.plain_ops = rig.disk.blk.ops;
	rig.disk.blk.ops = &slow;
	rig.progress = note_forecast;
	forecasts = 0;
	assert_int_equal(rig_dump(&rig), OK);
	assert_true(forecasts >= 16);
	end_us = forecast[forecasts - 1].at_us;
	for (u32 i = forecasts - 10; i < forecasts; i++) {
		u64 left_us = end_us - forecast[i].at_us;

		assert_true(forecast[i].left_us + left_us / 2 + 2 * CAPTURE_PROGRESS_US >= left_us);
		assert_true(forecast[i].left_us <= left_us * 3 / 2 + 2 * CAPTURE_PROGRESS_US);
	}
	rig_close(&rig);
}

/* Memory in which the page map changes between passes: pages that vanish are not whole. */
static void vanish(void *ctx, const struct capture_progress *p)
{
	struct rig *r = ctx;

	(void)p;
	for (u64 pfn = 0; pfn < RIG_MAX_PAGES; pfn++) {
		if (r->plan[pfn] == DL_CACHE)
			r->plan[pfn] = DL_HWPOISON;
	}
}

static void test_pages_that_vanish(void **state)
{
	struct rig_options opt = rig_defaults();
	struct blk_ops slow;
	struct dl_header h;

	(void)state;
	opt.ram_bytes = 4 * MIB;
	rig_open(&rig, &opt);
	fake_scan_use(&rig);
	memset(rig.plan + 100, DL_USER, 400);
	memset(rig.plan + 500, DL_CACHE, 100);
	memset(rig.plan + 600, DL_FREE, 100);
	slow = *rig.disk.blk.ops;
	slow.submit = slow_submit;
	rig.disk.plain_ops = rig.disk.blk.ops;
	rig.disk.blk.ops = &slow;
	rig.progress = vanish;
	assert_int_equal(rig_dump(&rig), E_UNREADABLE);
	assert_true(rig_header(&rig, 0, &h));
	assert_int_equal(h.state, DL_STATE_INCOMPLETE);
	assert_int_equal(h.incomplete, BIT(DL_CACHE));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_levels),
		cmocka_unit_test(test_runs_cut_anyhow),
		cmocka_unit_test(test_class_without_pages),
		cmocka_unit_test(test_unreadable_pages),
		cmocka_unit_test(test_errors_met_while_reading),
		cmocka_unit_test(test_class_all_unreadable),
		cmocka_unit_test(test_use_of_lost_pages),
		cmocka_unit_test(test_progress_is_monotone),
		cmocka_unit_test(test_time_left),
		cmocka_unit_test(test_pages_that_vanish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
