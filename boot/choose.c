/*
 * Capture, boot on or switch off: what the old kernel's end and the dump disk say, and then what
 * a human at the console says. Every way that a decision can go is one line on the console.
 */
#include <string.h>
#include "choose.h"
#include "str.h"
#include "surveymem.h"
#include "boot/menu.h"

#define OTHER_KERNELS 4u		  /* looked at after one that is captured already */
#define SURVEY_NAME   (0x537572ull << 32) /* above the checksum of its record */

static void say(const char *what)
{
	con_printf("afterimage: automatic: %s\n", what);
}

static void say_kernel(const struct oldkernel *k, const char *why, const char *then)
{
	con_printf("afterimage: automatic: kernel %s of host %s %s; %s\n", k->uts[UTS_RELEASE],
		k->uts[UTS_NODENAME], why, then);
}

/* Not captured, though it may be a crash: that is said with a code. */
static enum choose_way pass(const struct choose *c, enum status st)
{
	con_printf("afterimage: automatic: not captured, booting on: E%u %s%s\n", (u32)st,
		status_text(st),
		c->seconds ? "; to capture it all the same press d at the next start" : "");
	return CHOOSE_BOOT_ON;
}

/* The dump that holds this crash, 0: none. */
static u32 captured_as(const struct choose_disk *disk, u64 crash_id)
{
	for (u32 i = 0; i < disk->count && i < CHOOSE_IDS; i++) {
		if (crash_id && disk->dump[i].crash_id == crash_id && !disk->dump[i].cut)
			return disk->dump[i].number;
	}
	return 0;
}

/* A capture of it was begun before and left no dump. One that a reset cut is begun once more. */
static bool tried(const struct choose_disk *disk, u64 crash_id)
{
	u32 cuts = 0;

	for (u32 i = 0; i < disk->count && i < CHOOSE_IDS; i++) {
		if (disk->dump[i].crash_id == crash_id)
			cuts++;
	}
	return disk->tried_id == crash_id && cuts != 1;
}

/*
 * Memory may hold traces of one without what describes it. Whether that ended in order can not
 * be told, and it would not be known again: so it is not captured at every restart.
 */
static enum choose_way judge_trace(struct choose *c, enum status st)
{
	struct oldkernel *k = c->memory.kernel;
	struct surveymem_sample sample;

	if (st != E_NO_KERNEL)
		return pass(c, st);
	surveymem_sample(c->pm, 0, &sample);
	if (surveymem_wiped(&sample) ||
		!oldkernel_banner(c->pm, &k->trace_pa, k->uts[UTS_RELEASE])) {
		say("no old kernel in memory; booting on");
		return CHOOSE_BOOT_ON;
	}
	return pass(c, E_VMCOREINFO);
}

static enum choose_way judge_crash(struct choose *c, const struct ending *e)
{
	const struct oldkernel *k = c->memory.kernel;

	c->crash_id = e->crash_id;
	c->vmcoreinfo_pa = k->vmcoreinfo_pa;
	if (!c->disk->known)
		return pass(c, c->disk->why == OK ? E_NO_PARTITION : c->disk->why);
	if (!e->crash_id)
		return pass(c, E_NAMELESS);
	if (tried(c->disk, e->crash_id))
		return pass(c, E_TRIED);
	say_kernel(k, e->why, "capturing it");
	return CHOOSE_CAPTURE;
}

/*
 * The kernels in memory, the best first, but those that the disk has already. Behind one of these
 * are also remains of kernels that ran before it: of them nothing is captured that only looks like
 * a crash because a later kernel wrote over it.
 */
static enum choose_way judge_kernels(struct choose *c)
{
	const struct choose_memory *m = &c->memory;
	struct oldkernel_ask ask = {0};

	for (u32 i = 0; i < OTHER_KERNELS; i++) {
		enum status st = oldkernel_find(c->pm, &ask, m->kernel, m->candidate, m->pagemap);
		struct ending e;
		u32 number;

		if (st != OK && i == 0)
			return judge_trace(c, st);
		if (st != OK)
			break;
		ending_find(c->pm, m->kernel, m->log, &e);
		if (e.how == ENDING_ORDERLY) {
			say_kernel(m->kernel, e.why, "booting on");
			return CHOOSE_BOOT_ON;
		}
		number = captured_as(c->disk, e.crash_id);
		if (number == 0 && (i == 0 || e.sure))
			return judge_crash(c, &e);
		if (number)
			con_printf("afterimage: automatic: kernel %s of host %s %s; dump %u has "
				   "it\n",
				m->kernel->uts[UTS_RELEASE], m->kernel->uts[UTS_NODENAME], e.why,
				number);
		else
			say_kernel(m->kernel, e.why, "perhaps remains of an earlier run");
		if (m->kernel->verified_count < 2 || !oldkernel_skip(&ask, m->kernel))
			break;
	}
	say("nothing else to capture; booting on");
	return CHOOSE_BOOT_ON;
}

/*
 * The image may be unable to do what firmware could, find the disk and write to it: then the
 * record stays as it is, and the machine would never start anything else.
 */
static enum choose_way judge_survey(struct choose *c)
{
	c->crash_id = c->disk->survey_id;
	if (c->crash_id == c->disk->tried_id) {
		say("the survey's record was not written at the last start; booting on; see "
		    "mkdumpdisk --check");
		return CHOOSE_BOOT_ON;
	}
	say("a survey is under way");
	return CHOOSE_CAPTURE;
}

static enum choose_way decide(struct choose *c)
{
	if (!c->automatic)
		return CHOOSE_CAPTURE;
	return c->disk->survey ? judge_survey(c) : judge_kernels(c);
}

enum choose_way choose_way(struct choose *c)
{
	enum choose_way way;

	c->level = CHOOSE_NO_LEVEL;
	c->by_key = false;
	c->crash_id = 0;
	c->vmcoreinfo_pa = 0;
	way = decide(c);
	if (c->automatic && c->disk->survey && way == CHOOSE_CAPTURE)
		return way;
	return menu_ask(c, way);
}

bool choose_disk_super(struct choose_disk *disk, const void *block, struct dl_super *super)
{
	memset(disk, 0, sizeof(*disk));
	memcpy(super, block, sizeof(*super));
	disk->why = dl_super_check(super);
	disk->known = disk->why == OK;
	return disk->known;
}

/* The place of the dump with the lowest number, or a free one. */
static struct choose_dump *place_for(struct choose_disk *disk, u32 number)
{
	struct choose_dump *lowest = &disk->dump[0];

	if (disk->count < CHOOSE_IDS)
		return &disk->dump[disk->count++];
	for (u32 i = 1; i < CHOOSE_IDS; i++) {
		if (disk->dump[i].number < lowest->number)
			lowest = &disk->dump[i];
	}
	return lowest->number < number ? lowest : NULL;
}

void choose_disk_slot(struct choose_disk *disk, const struct dl_super *super, const void *block)
{
	struct choose_dump *place;
	struct dl_header h;

	memcpy(&h, block, sizeof(h));
	if (dl_header_check(&h, super) != OK || h.crash_id == 0)
		return;
	place = place_for(disk, h.number);
	if (place)
		*place = (struct choose_dump) {
			h.crash_id, h.number, h.state == DL_STATE_INCOMPLETE && h.reason == OK};
}

void choose_disk_survey(struct choose_disk *disk, const struct dl_super *super, const void *block)
{
	struct dl_survey v;

	memcpy(&v, block, sizeof(v));
	if (dl_survey_check(&v, super) != OK)
		return;
	disk->survey = v.state == DL_SURVEY_ARMED || v.state == DL_SURVEY_FILLED;
	disk->survey_id = SURVEY_NAME | v.crc32c;
}
