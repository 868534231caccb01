/*
 * Why the old kernel stopped: one walk over its log that remembers the last panic, the
 * start of the last oops and the last orderly end. Looks at how lines begin, not at what a record
 * is: the three kinds of log divide their text differently. What user space had written into the
 * log is passed over.
 */
#include <string.h>
#include "panic.h"
#include "str.h"

#define SAME_OOPS_RECORDS 16u /* registers and code between the lines of one oops */
#define LAST_WORDS	  8u  /* of drivers, after the kernel's own; then it restarts */

/* How such lines begin. Those about programs of user space have the program's name in front. */
static const char *const openings[] = {
	"BUG: ",
	"kernel BUG at ",
	"Oops: ",
	"general protection fault",
	"Unable to handle ",
	"divide error: ",
	"invalid opcode: ",
	"stack segment: ",
	"double fault: ",
	"watchdog: BUG: soft lockup",
	"NMI watchdog: BUG: soft lockup",
	"watchdog: Watchdog detected hard LOCKUP",
	"NMI watchdog: Watchdog detected hard LOCKUP",
};

static const char panic_opening[] = "Kernel panic - not syncing: ";

/* A panic because of an oops has only this to say; the oops says more. */
static const char fatal_opening[] = "Fatal exception";

/* What a kernel says when it stops because it was told to; before 3.11 without a prefix. */
static const char *const goodbyes[] = {
	"reboot: Restarting system",
	"reboot: Power down",
	"reboot: System halted",
	"kexec_core: Starting new kernel",
	"kexec: Starting new kernel",
	"Restarting system",
	"Power down.",
	"System halted.",
	"Starting new kernel",
};

/* Sysrq B restarts at once. Two spellings of long ago. */
static const char *const resets[] = {
	"sysrq: Resetting",
	"sysrq: SysRq : Resetting",
	"SysRq : Resetting",
};

/* One line of a record; not terminated. */
struct line {
	const char *at;
	u32 bytes;
};

/* The best so far goes straight to the caller's text, so that nothing is kept twice. */
struct hunt {
	char *text;
	u32 bytes;
	bool panic;    /* what @text has is a panic that says why */
	u64 record;    /* now */
	u64 last_oops; /* record of the last line that opens an oops; 0: none yet */
	u64 goodbye;   /* record of the last orderly end */
	u64 before;    /* sequence of the record before this one */
	struct panic_words *words;
};

static bool begins(const struct line *l, const char *with)
{
	u32 n = str_len(with, l->bytes + 1);

	return n <= l->bytes && memcmp(l->at, with, n) == 0;
}

static bool begins_as_one(const struct line *l, const char *const *texts, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (begins(l, texts[i]))
			return true;
	}
	return false;
}

static void take(struct hunt *h, const char *from, u32 bytes)
{
	str_copy(h->text, h->bytes, from, bytes);
	str_sanitize(h->text, h->bytes);
}

static void judge_panic(struct hunt *h, struct line rest)
{
	bool fatal = begins(&rest, fatal_opening);

	h->words->last = PANIC_WORDS_PANIC;
	if (rest.bytes == 0 || (fatal && h->text[0]))
		return;
	take(h, rest.at, rest.bytes);
	h->panic = !fatal;
}

/* Close to the one before means the same oops, or one while that was being reported. */
static void judge_oops(struct hunt *h, const struct line *l)
{
	bool same = h->last_oops && h->record - h->last_oops <= SAME_OOPS_RECORDS;

	h->last_oops = h->record;
	if (h->words->last != PANIC_WORDS_PANIC)
		h->words->last = PANIC_WORDS_OOPS;
	if (!same && !h->panic)
		take(h, l->at, l->bytes);
}

static void judge_goodbye(struct hunt *h)
{
	h->words->last = PANIC_WORDS_GOODBYE;
	h->goodbye = h->record;
}

static void judge_line(struct hunt *h, struct line l)
{
	const u32 skip = sizeof(panic_opening) - 1;

	if (begins(&l, panic_opening))
		judge_panic(h, (struct line) {l.at + skip, l.bytes - skip});
	else if (begins_as_one(&l, openings, ARRAY_SIZE(openings)))
		judge_oops(h, &l);
	else if (begins_as_one(&l, goodbyes, ARRAY_SIZE(goodbyes)))
		judge_goodbye(h);
	else if (begins_as_one(&l, resets, ARRAY_SIZE(resets)) &&
		 h->words->last != PANIC_WORDS_PANIC)
		h->words->last = PANIC_WORDS_RESET;
}

static u64 text_number(const struct printk_record *r)
{
	u64 n = 0;

	for (u32 i = 0; i < r->bytes; i++)
		n = n * 31 + (u8)r->text[i];
	return n;
}

/* One that does not follow the one before it may be what firmware wrote in its place. */
static void remember(struct hunt *h, const struct printk_record *r)
{
	if (h->record == 1 || r->sequence == h->before + 1) {
		h->words->sequence = r->sequence;
		h->words->time_ns = r->time_ns != PRINTK_TIME_UNKNOWN ? r->time_ns : text_number(r);
	}
	h->before = r->sequence;
}

static void judge_record(struct hunt *h, const struct printk_record *r)
{
	u32 at = 0;

	h->record++;
	remember(h, r);
	if (r->facility != PRINTK_BY_KERNEL)
		return;
	while (at < r->bytes) {
		struct line l = {r->text + at, 0};

		while (l.bytes < r->bytes - at && l.at[l.bytes] != '\n')
			l.bytes++;
		judge_line(h, l);
		at += l.bytes + 1;
	}
}

/* False if there is no log to be read. */
static bool walk(struct hunt *h, struct physmem *pm, const struct oldkernel *k,
	struct panic_scratch *scratch)
{
	h->text[0] = '\0';
	memset(h->words, 0, sizeof(*h->words));
	if (!k->verified || printk_open(&scratch->log, pm, &k->pt, &k->vi) != OK)
		return false;
	while (printk_next(&scratch->log, &scratch->record))
		judge_record(h, &scratch->record);
	if (h->words->last == PANIC_WORDS_GOODBYE && h->record - h->goodbye > LAST_WORDS)
		h->words->last = PANIC_WORDS_NONE;
	return h->record > 0;
}

bool panic_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	char *text, u32 bytes)
{
	struct panic_words words;
	struct hunt h = {.text = text, .bytes = bytes, .words = &words};

	return bytes > 0 && walk(&h, pm, k, scratch) && text[0] != '\0';
}

bool panic_last_words(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct panic_words *words)
{
	char unused[2];
	struct hunt h = {.text = unused, .bytes = sizeof(unused), .words = words};

	return walk(&h, pm, k, scratch);
}

bool panic_orderly_end(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch)
{
	struct panic_words words;

	return panic_last_words(pm, k, scratch, &words) && words.last == PANIC_WORDS_GOODBYE;
}
