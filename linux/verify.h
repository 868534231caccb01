/*
 * Private to linux/: from the physical address of a vmcoreinfo copy to a kernel whose
 * own page tables confirm it.
 */
#ifndef AFTERIMAGE_LINUX_VERIFY_H
#define AFTERIMAGE_LINUX_VERIFY_H

#include "oldkernel.h"

#define KERNEL_MAP_VA	0xffffffff80000000ull /* where all kernels map their text and data */
#define NOTE_NAME_BYTES 11u		      /* "VMCOREINFO" and its NUL */
#define NOTE_TEXT	24u		      /* from the start of the note */

struct note_head {
	u32 name_bytes;
	u32 text_bytes;
	u32 type;
	char name[12]; /* padded to a multiple of 4 */
};
ASSERT_SIZE(struct note_head, NOTE_TEXT);

/* True if @head opens an ELF note of vmcoreinfo. */
bool vmcoreinfo_is_note(const struct note_head *head);

/* Copies the text at @pa, which holds a note or plain text. False if it holds neither. */
bool vmcoreinfo_load(struct physmem *pm, u64 pa, struct vmcoreinfo *vi);

/*
 * Fills all of @k that follows from k->vi, and verifies it. @guesses is what is left of
 * the places where a phys_base that was not exported may be looked for; it is used up.
 */
enum status oldkernel_verify(struct physmem *pm, struct oldkernel *k, u32 *guesses) MUST_CHECK;

/* Virtual address of physical 0 in the direct map of @k, whose k->pt is verified; 0 unknown. */
u64 oldkernel_page_offset(struct physmem *pm, const struct oldkernel *k);

#endif
