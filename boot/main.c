/*
 * The core: what happens between a front door and the restart of the machine. Each
 * step is another file's; here is their order, and what the operator is told.
 */
#include <string.h>
#include "iommu.h"
#include "main.h"
#include "pci.h"
#include "ports.h"
#include "power.h"
#include "str.h"
#include "surveymem.h"
#include "boot/session.h"

#define READING_TIME_US 5000000u /* for a message that nobody may be watching for */
#define LOOP_CAPTURES	3u	 /* within WRITER_RECENT_S: the machine crashes in a loop */

static struct session session;

void session_say(enum status st)
{
	con_printf("afterimage: E%u %s; %s\n", st, status_text(st), status_advice(st));
}

/*
 * After the last segments are quiet nothing masters the bus that a unit must keep from memory.
 * Where one stays on that a disk may be behind, nobody knows which memory that would reach.
 */
static enum status remapping_off(struct session *s)
{
	u32 units;
	enum status st;

	if (!acpi_load(s->handoff->rsdp_pa, &s->acpi))
		con_printf("afterimage: no ACPI tables found\n");
	pci_quiesce_segments(&s->acpi, &s->handoff->map);
	st = iommu_disable(&s->acpi, &s->handoff->map, &units);
	if (units)
		con_printf("afterimage: DMA remapping was on in %u unit%s\n", units,
			units == 1 ? "" : "s");
	return st;
}

static enum status memory_open(struct session *s)
{
	const struct handoff *h = s->handoff;

	if (memmap_ram_pages(&h->map) == 0)
		return E_MEMMAP;
	s->arena.pa = h->arena_pa;
	s->arena.bytes = h->arena_bytes;
	s->arena.va = arena_map(h->arena_pa, h->arena_bytes);
	if (!s->arena.va)
		return E_NO_MEMORY;
	physmem_init(&s->pm, &h->map);
	if (h->degraded & DL_DEGRADED_MEMMAP)
		con_printf("afterimage: the firmware's memory map is too long; some memory is not "
			   "dumped\n");
	return OK;
}

static enum status machine_open(struct session *s)
{
	enum status st = remapping_off(s);

	return st == OK ? memory_open(s) : st;
}

/* What is known of the reset from an earlier survey; that counts from the first look on. */
static void survey_begin(struct session *s)
{
	survey_open(&s->survey, s->handoff, &s->pm, &s->target.gate, &s->target.super, &s->arena);
	survey_apply(&s->survey);
}

/*
 * True if memory belongs to a survey: then there is nothing to dump. What a disk has armed that
 * only takes the place of another one is not for this memory.
 */
static bool survey_takes(struct session *s, enum status found)
{
	const struct survey_kernel k = {
		found, &s->kernel, &s->log, .keep = s->target.how == TARGET_NEXT};

	survey_run(&s->survey, &k);
	return s->survey.restart;
}

static bool is_wiped(struct session *s)
{
	struct surveymem_sample sample;

	surveymem_sample(&s->pm, 0, &sample);
	return surveymem_wiped(&sample);
}

static enum status dump(struct session *s)
{
	enum status st;

	survey_begin(s);
	st = s->kernel_known ? OK : known_kernel(s);
	if (survey_takes(s, st))
		return OK;
	memmap_settle(&s->handoff->map, TOUCHED_LOADER);
	if (st == E_NO_KERNEL && is_wiped(s))
		st = E_WIPED;
	if (st != OK)
		return st;
	if (!s->kernel_known)
		known_rest(s);
	return store_dump(s);
}

/* The one result line. */
static void report(struct session *s, enum status st, const char *detail)
{
	const struct dl_header *h = &s->writer.header;
	const char *colon = detail[0] ? ": " : "";
	u64 ms = (clock_us() - s->start_us) / 1000;

	s->reported = true;
	if (st != OK)
		con_printf("afterimage: E%u: %s\n", st, status_advice(st));
	if (!s->dump_open)
		con_printf("afterimage: no dump: E%u %s%s%s\n", st, status_text(st), colon, detail);
	else if (st != OK)
		con_printf("afterimage: dump %u incomplete: E%u %s%s%s; %lu bytes safe\n",
			h->number, st, status_text(st), colon, detail,
			writer_safe_bytes(&s->writer));
	else
		con_printf(
			"afterimage: dump %u complete: %lu pages kept of %lu, %lu bytes written, "
			"%lu ms\n",
			h->number, h->kept_pages, h->ram_pages, h->stored_bytes, ms);
}

/*
 * What the disk asks for, unless that would make the machine crash and restart for ever. A
 * survey has a count of its own; automatic mode boots on after a crash that it knows.
 */
static enum machine_action action_choose(const struct session *s)
{
	u32 action = s->target_open ? s->target.super.after : ACTION_REBOOT;

	if (s->survey.restart)
		return ACTION_REBOOT;
	if (action == ACTION_HALT || action == ACTION_POWEROFF)
		return (enum machine_action)action;
	if (s->handoff && s->handoff->automatic && s->crash_id)
		return ACTION_REBOOT;
	if (max_u64(s->recent, s->writer.recent) + 1 < LOOP_CAPTURES)
		return ACTION_REBOOT;
	session_say(E_LOOP);
	return ACTION_HALT;
}

/* Called again from its own exceptions: then without what they may have come from. */
static void leave(struct session *s, enum status st, enum machine_action action)
{
	static const char *const words[] = {
		[ACTION_REBOOT] = "rebooting",
		[ACTION_POWEROFF] = "powering off",
		[ACTION_HALT] = "halted",
	};

	if (s->leaving) {
		machine_reset(action);
		return;
	}
	s->leaving = true;
	con_printf("afterimage: %s\n", words[action]);
	if (st != OK)
		clock_wait_us(READING_TIME_US);
	if (action == ACTION_POWEROFF && power_off(&s->acpi.power) != OK)
		session_say(E_POWEROFF);
	power_leave(&s->acpi.power, action);
}

void dump_hello(u32 door)
{
	con_printf("afterimage %s via %s\n", AFTERIMAGE_VERSION, door_name(door));
}

/* A key of the console, for doors that firmware does not help. */
static u32 console_key(void *ctx, u64 wait_us)
{
	u64 end = clock_us() + wait_us;
	u32 key;

	(void)ctx;
	while ((key = con_key()) == 0 && clock_us() < end)
		;
	return key;
}

enum choose_way dump_choose(struct handoff *handoff, const struct choose_disk *disk,
	u32 (*key)(void *ctx, u64 wait_us), void *ctx, u64 *crash_id)
{
	struct session *s = &session;
	struct choose c = {
		.pm = &s->pm,
		.memory = {&s->kernel, &s->candidate, &s->pagemap, &s->log},
		.disk = disk,
		.automatic = handoff->automatic,
		.boots_on = handoff->boots_on,
		.seconds = handoff->menu_seconds,
		.key = key,
		.ctx = ctx,
	};
	enum choose_way way;

	physmem_init(&s->pm, &handoff->map);
	way = choose_way(&c);
	*crash_id = c.crash_id;
	handoff->asked = true;
	handoff->vmcoreinfo_pa = c.vmcoreinfo_pa;
	handoff->has_level = c.level != CHOOSE_NO_LEVEL;
	handoff->level = c.level;
	return way;
}

void dump_leave(struct handoff *handoff, enum choose_way way)
{
	struct session *s = &session;

	s->handoff = handoff;
	if (machine_open(s) != OK)
		con_printf("afterimage: no ACPI tables can be read\n");
	leave(s, OK, way == CHOOSE_OFF ? ACTION_POWEROFF : ACTION_REBOOT);
}

/* True if the capture is to go on; else the machine was left. */
static bool ask(struct session *s)
{
	struct handoff *h = s->handoff;
	enum choose_way way;
	u64 unused;

	if (h->asked || h->menu_seconds == 0)
		return true;
	h->automatic = false; /* that is for doors which can ask the dump disk */
	way = dump_choose(h, NULL, console_key, NULL, &unused);
	if (way == CHOOSE_CAPTURE)
		return true;
	dump_leave(h, way);
	return false;
}

/*
 * Where the old kernel started us, its devices are still at work: they are stopped first. After
 * a reset only firmware's are, and it may be firmware that makes a keyboard of one of them.
 */
void dump_main(struct handoff *handoff)
{
	struct session *s = &session;
	enum status st;

	memset(s, 0, sizeof(*s));
	s->handoff = handoff;
	s->degraded = handoff->degraded;
	s->start_us = clock_us();
	if (handoff->elfcorehdr_pa)
		pci_quiesce();
	if (!ask(s))
		return;
	pci_quiesce();
	st = machine_open(s);
	if (st == OK)
		st = disk_dump(s, dump);
	if (!s->survey.restart)
		report(s, st, "");
	leave(s, st, action_choose(s));
}

void dump_panic_way(void (*way)(void))
{
	session.panic_way = way;
}

void dump_panic(enum status status, const char *detail)
{
	struct session *s = &session;
	void (*way)(void) = s->panic_way;

	if (!s->reported)
		report(s, status, detail);
	s->panic_way = NULL;
	if (way)
		way();
	leave(s, status, action_choose(s));
}
