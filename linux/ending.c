/*
 * How the old kernel stopped, by its log and its variables, and which run of it that was.
 *
 * Its log must end with its own words of an orderly end: emergency_restart() (sysrq B, a panic
 * with a timeout) says none. Its system_state must agree: the log's words are the last that it
 * does on its way down, system_state is set before the drivers are stopped, so a hang between the
 * two leaves the state without the words.
 *
 * crash_id is made of as little as names a run, so that a few pages overwritten between two
 * looks do not make another one of it: release, phys_base and the page tables' root, which have
 * been verified, and number and time of the last record of the log that follows the one before
 * it. KASLR alone does not tell runs apart (nokaslr), a time in nanoseconds does. Not in it is
 * where vmcoreinfo lies: there are two copies, and either may be lost. jiffies counts only where
 * the log can not be read: nothing shows whether firmware wrote over it. After a reset all of
 * this stands still.
 */
#include <string.h>
#include "ending.h"
#include "kallsyms.h"

#define CPUS_MAX 8192u /* panic_cpu is -1 if none panics */
#define SEED	 0x61667465726d6174ull
#define FACTOR	 0x9e3779b97f4a7c15ull /* odd, its bits well mixed: 2^64 by the golden ratio */

/* include/linux/kernel.h, the same from 6.0 to 7.2. */
enum system_state {
	SYSTEM_RUNNING = 3, /* below: booting */
	SYSTEM_HALT = 4,
	SYSTEM_RESTART = 6, /* between: power off */
	SYSTEM_SUSPEND = 7,
};

struct state {
	bool known; /* system_state */
	bool panics;
	u32 system;  /* enum system_state */
	u64 jiffies; /* 0: not known */
};

static bool read_variable(struct physmem *pm, const struct oldkernel *k,
	const struct kallsyms_wanted *symbol, void *buf, u32 bytes)
{
	return symbol->va && pagetable_read(pm, &k->pt, symbol->va, buf, bytes) == OK;
}

static void read_state(
	struct physmem *pm, const struct oldkernel *k, struct kallsyms_room *room, struct state *s)
{
	struct kallsyms_wanted symbol[] = {
		{"system_state", 0}, {"panic_cpu", 0}, {"jiffies_64", 0}};
	u32 cpu;

	memset(s, 0, sizeof(*s));
	if (!kallsyms_find(pm, k, room, symbol, ARRAY_SIZE(symbol)))
		return;
	s->known = read_variable(pm, k, &symbol[0], &s->system, sizeof(s->system)) &&
		   s->system <= SYSTEM_SUSPEND;
	s->panics = read_variable(pm, k, &symbol[1], &cpu, sizeof(cpu)) && cpu < CPUS_MAX;
	if (!read_variable(pm, k, &symbol[2], &s->jiffies, sizeof(s->jiffies)))
		s->jiffies = 0;
}

static bool went_down(const struct state *s)
{
	return s->system >= SYSTEM_HALT && s->system <= SYSTEM_RESTART;
}

/* Of one that did not shut down in order. */
static const char *crash_why(const struct state *s, bool has_log, u32 last)
{
	bool oops = last == PANIC_WORDS_OOPS;

	if (last == PANIC_WORDS_RESET)
		return "was restarted by sysrq, without a shutdown";
	if (!s->known)
		return oops ? "stopped after an oops or a lockup" : "did not shut down";
	if (s->system < SYSTEM_RUNNING)
		return "was still booting: it hung or was reset";
	if (s->system == SYSTEM_SUSPEND)
		return "was on its way to sleep or back";
	if (went_down(s))
		return has_log ? "did not get all the way down"
			       : "was on its way down; its log can not be read";
	return oops ? "was still running, after an oops or a lockup"
		    : "was still running: it hung or was reset";
}

static void judge(struct ending *out, const struct state *s, bool has_log, u32 last)
{
	bool panicked = last == PANIC_WORDS_PANIC || s->panics;

	out->how = ENDING_CRASH;
	if (panicked) {
		out->why = "panicked";
	} else if (!has_log && !s->known) {
		out->how = ENDING_UNKNOWN;
		out->why = "left nothing that says how it ended";
	} else if (last == PANIC_WORDS_GOODBYE && (!s->known || went_down(s))) {
		out->how = ENDING_ORDERLY;
		out->why = "shut down in order";
	} else {
		out->why = crash_why(s, has_log, last);
	}
}

static u64 mix(u64 sum, u64 value)
{
	sum = (sum ^ value) * FACTOR;
	return sum ^ sum >> 29;
}

static u64 name_run(const struct oldkernel *k, u64 first, u64 second)
{
	const char *release = k->uts[UTS_RELEASE];
	u64 sum = SEED;

	for (u32 i = 0; i < UTS_FIELD && release[i]; i++)
		sum = mix(sum, (u8)release[i]);
	sum = mix(mix(sum, k->pt.root_pa), (u64)k->phys_base);
	sum = mix(mix(sum, first), second);
	return sum ? sum : 1;
}

void ending_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct ending *out)
{
	struct kallsyms_room *room = (struct kallsyms_room *)(void *)scratch->record.text;
	struct panic_words words;
	struct state state;
	bool has_log = panic_last_words(pm, k, scratch, &words);
	u32 bytes;

	_Static_assert(sizeof(*room) <= PRINTK_TEXT_MAX, "no room for the symbols");
	read_state(pm, k, room, &state);
	if (vmcoreinfo_text(&k->vi, "CRASHTIME", &bytes))
		words.last = PANIC_WORDS_PANIC;
	memset(out, 0, sizeof(*out));
	judge(out, &state, has_log, words.last);
	out->sure = has_log && out->how == ENDING_CRASH &&
		    (words.last == PANIC_WORDS_PANIC ||
			    (state.known && state.system == SYSTEM_RUNNING));
	if (has_log)
		out->crash_id = name_run(k, words.sequence, words.time_ns);
	else if (state.jiffies)
		out->crash_id = name_run(k, UINT64_MAX, state.jiffies);
}
