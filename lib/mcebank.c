/*
 * The meaning of a machine check bank. In doubt whether the processor's state is good the
 * verdict is fatal; in doubt which page is meant no page is given up.
 */
#include "mcebank.h"

#define OVERFLOW (1ull << 62)
#define PCC	 (1ull << 57) /* processor context corrupt */
#define TCC	 (1ull << 55) /* AMD: context of the running program corrupt */
#define AR	 (1ull << 55) /* Intel: action required, the program needs the data */

#define ADDR_PAGE 0x000ffffffffff000ull /* AMD uses the bits above for something else */

/* MCi_MISC of Intel, SDM Vol. 3B s15.3.2.4: how much of the address is valid, and its kind. */
#define MISC_LSB(misc)	((misc)&0x3f)
#define MISC_MODE(misc) ((misc) >> 6 & 0x7)
#define MODE_PHYSICAL	2

static enum mcebank_verdict judge_amd(const struct mcebank *b, u32 features)
{
	if (b->status & TCC || !(b->status & MCEBANK_ADDR_VALID))
		return MCEBANK_FATAL;
	if (b->status & OVERFLOW && !(features & MCEBANK_OVERFLOW))
		return MCEBANK_FATAL;
	return MCEBANK_PAGE;
}

/* A physical address, and of one page only. */
static bool addr_is_page(const struct mcebank *b)
{
	return b->status & MCEBANK_ADDR_VALID && b->status & MCEBANK_MISC_VALID &&
	       MISC_MODE(b->misc) == MODE_PHYSICAL && MISC_LSB(b->misc) <= PAGE_SHIFT;
}

/* Data that nobody asked for yet (AR clear) may stay bad, and may have overflown the bank. */
static enum mcebank_verdict judge_recovery(const struct mcebank *b)
{
	if (!(b->status & AR))
		return addr_is_page(b) ? MCEBANK_PAGE : MCEBANK_IGNORE;
	return addr_is_page(b) && !(b->status & OVERFLOW) ? MCEBANK_PAGE : MCEBANK_FATAL;
}

static enum mcebank_verdict judge_uncorrected(const struct mcebank *b, u32 features)
{
	if (b->status & PCC)
		return MCEBANK_FATAL;
	if (features & MCEBANK_AMD)
		return judge_amd(b, features);
	if (features & MCEBANK_RECOVERY)
		return judge_recovery(b);
	return b->status & MCEBANK_ADDR_VALID && !(b->status & OVERFLOW) ? MCEBANK_PAGE
									 : MCEBANK_FATAL;
}

enum mcebank_verdict mcebank_judge(const struct mcebank *bank, u32 features, u64 *pa)
{
	enum mcebank_verdict verdict = MCEBANK_IGNORE;

	if (bank->status & MCEBANK_VALID && bank->status & MCEBANK_UC)
		verdict = judge_uncorrected(bank, features);
	*pa = verdict == MCEBANK_PAGE ? bank->addr & ADDR_PAGE : 0;
	return verdict;
}
