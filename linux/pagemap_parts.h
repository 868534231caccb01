/*
 * Private to linux/: what the parts of the page map need from each other.
 */
#ifndef AFTERIMAGE_LINUX_PAGEMAP_PARTS_H
#define AFTERIMAGE_LINUX_PAGEMAP_PARTS_H

#include "pagemap.h"

#define SECTION_SHIFT 15 /* of a PFN */

/*
 * Fill what the kind needs, end_pfn and present_pages (RAM or not); E_PAGEMAP if it is not there
 * or contradicts itself.
 */
enum status pagemap_open_sparse(struct pagemap *m, const struct oldkernel *k) MUST_CHECK;
enum status pagemap_open_nodes(struct pagemap *m, const struct vmcoreinfo *vi) MUST_CHECK;
enum status pagemap_open_flat(struct pagemap *m, const struct vmcoreinfo *vi) MUST_CHECK;

/* s->va and s->end_pfn for s->pfn, which lies below m->end_pfn. */
void pagemap_stretch_sparse(struct pagemap *m, struct pagemap_stretch *s);
void pagemap_stretch_nodes(const struct pagemap *m, struct pagemap_stretch *s);

/* True if the struct pages of @count pages can lie at @va. */
bool pagemap_can_lie(const struct pagemap *m, u64 va, u64 count);

/*
 * True if the struct pages of the first and the last page of RAM in @part are what they should
 * be: believable, and section or node @owner's if they name it. One that can not be had or was
 * never written says nothing, but one must say yes.
 */
bool pagemap_belongs(struct pagemap *m, const struct pagemap_node *part, u64 owner);

/* True if no bit is set. */
bool pagemap_is_blank(const u8 *page, u32 bytes);

/* True if a tract has the memory at @pa for another part of the map than @va. */
bool pagemap_is_shared(const struct pagemap *m, u64 va, u64 pa);

/* Physical address of the byte of the map at @va, if a tract holds it: without any walk. */
bool pagemap_tract_pa(const struct pagemap *m, u64 va, u64 *pa);

/* Walks the map over all RAM, if it is known what is RAM: m->tract and m->present_pages. */
void pagemap_walk(struct pagemap *m);

#endif
