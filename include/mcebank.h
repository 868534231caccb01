/*
 * What a processor's machine check bank says and what it means for a program that only
 * reads memory. Arithmetic on the bank's words; who reads and clears them is metal.
 */
#ifndef AFTERIMAGE_MCEBANK_H
#define AFTERIMAGE_MCEBANK_H

#include "types.h"

/* Of one bank: MCi_STATUS; MCi_ADDR and MCi_MISC, 0 where the status calls them invalid. */
struct mcebank {
	u64 status;
	u64 addr;
	u64 misc;
};

#define MCEBANK_VALID	   (1ull << 63)
#define MCEBANK_UC	   (1ull << 61)
#define MCEBANK_MISC_VALID (1ull << 59)
#define MCEBANK_ADDR_VALID (1ull << 58)

/* How this processor's banks are to be read. */
#define MCEBANK_RECOVERY 0x1u /* Intel: software error recovery, MCG_CAP.MCG_SER_P */
#define MCEBANK_AMD	 0x2u /* AMD's and Hygon's meaning of bit 55 */
#define MCEBANK_OVERFLOW 0x4u /* AMD: errors lost by an overflow were no fatal ones */

enum mcebank_verdict {
	MCEBANK_IGNORE, /* nothing in it, or nothing that hurts a reader of memory */
	MCEBANK_PAGE,	/* the page at the address is lost, all else goes on */
	MCEBANK_FATAL,	/* what the processor computes can not be relied on */
};

/*
 * Judges one bank after a machine check that can be returned from; @features are the
 * MCEBANK_ flags above. @pa is the page's address for MCEBANK_PAGE and 0 otherwise.
 * Total over all inputs. Intel SDM Vol. 3B s15.3.2, s15.6; AMD APM Vol. 2 s9.3.2.
 */
enum mcebank_verdict mcebank_judge(const struct mcebank *bank, u32 features, u64 *pa);

#endif
