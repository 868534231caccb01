/*
 * The rules of struct page out of vmcoreinfo: where its fields lie and what their values
 * mean. A key that is absent, malformed or out of bounds leaves its rule out. Does not
 * look at any struct page.
 */
#include <string.h>
#include "pagefields.h"

#define MIN_BYTES      32
#define HALF_4_LEVELS  0xffff800000000000ull
#define HALF_5_LEVELS  0xff00000000000000ull
#define FLAG_BITS      64
#define DTOR_NEXT_BYTE 1 /* the order lies right behind it: both are u8 */

/* A field of @bytes at the offset that @key gives, less @back; -1 if it is not inside. */
static s32 field_at(const struct vmcoreinfo *vi, const char *key, const struct page_rules *r,
	u32 bytes, u32 back)
{
	s64 at;

	if (!vmcoreinfo_number(vi, key, &at) || at < back)
		return -1;
	at -= back;
	return range_fits((u64)at, bytes, r->size) ? (s32)at : -1;
}

/* Mask of the flag whose bit number @key gives. */
static u64 flag_mask(const struct vmcoreinfo *vi, const char *key)
{
	s64 bit;

	if (!vmcoreinfo_number(vi, key, &bit) || bit < 0 || bit >= FLAG_BITS)
		return 0;
	return 1ull << bit;
}

/*
 * A page type: 32 bits, written signed or unsigned. Types are negative; -1 would make a type of
 * every page that is not mapped.
 */
static bool type_value(const struct vmcoreinfo *vi, const char *key, u32 *type)
{
	s64 n;

	if (!vmcoreinfo_number(vi, key, &n) || n < INT32_MIN || n > (s64)UINT32_MAX)
		return false;
	*type = (u32)n;
	return (s32)*type < 0 && *type != MAPCOUNT_NONE;
}

static void load_fields(const struct vmcoreinfo *vi, struct page_rules *r)
{
	r->flags = field_at(vi, "OFFSET(page.flags)", r, 8, 0);
	r->refcount = field_at(vi, "OFFSET(page._refcount)", r, 4, 0);
	if (r->refcount < 0)
		r->refcount = field_at(vi, "OFFSET(page._count)", r, 4, 0);
	r->mapcount = field_at(vi, "OFFSET(page._mapcount)", r, 4, 0);
	r->mapping = field_at(vi, "OFFSET(page.mapping)", r, 8, 0);
	r->private = field_at(vi, "OFFSET(page.private)", r, 8, 0);
	r->compound = field_at(vi, "OFFSET(page.compound_head)", r, 8, 0);
	r->compound_masked = false;
	if (r->compound < 0) {
		r->compound = field_at(vi, "OFFSET(page.compound_info)", r, 8, 0);
		r->compound_masked = r->compound >= 0 && (r->size & (r->size - 1)) == 0;
	}
}

/* The list of a page, struct list_head lru. */
static void load_list(const struct vmcoreinfo *vi, struct page_rules *r)
{
	s32 lru = field_at(vi, "OFFSET(page.lru)", r, 16, 0);
	s64 next;
	s64 prev;

	r->list_next = -1;
	r->list_prev = -1;
	if (lru < 0 || !vmcoreinfo_number(vi, "OFFSET(list_head.next)", &next) ||
		!vmcoreinfo_number(vi, "OFFSET(list_head.prev)", &prev))
		return;
	if ((next != 0 && next != 8) || (prev != 0 && prev != 8))
		return;
	r->list_next = lru + (s32)next;
	r->list_prev = lru + (s32)prev;
}

static void load_flags(const struct vmcoreinfo *vi, struct page_rules *r)
{
	s64 mask;

	r->lru = flag_mask(vi, "NUMBER(PG_lru)");
	r->swapcache = flag_mask(vi, "NUMBER(PG_swapcache)");
	r->swapbacked = flag_mask(vi, "NUMBER(PG_swapbacked)");
	r->private_flag = flag_mask(vi, "NUMBER(PG_private)");
	r->hwpoison = flag_mask(vi, "NUMBER(PG_hwpoison)");
	r->slab = flag_mask(vi, "NUMBER(PG_slab)");
	r->buddy = flag_mask(vi, "NUMBER(PG_buddy)");
	r->head = 0;
	if (vmcoreinfo_number(vi, "NUMBER(PG_head_mask)", &mask))
		r->head = (u64)mask;
}

static void load_types(const struct vmcoreinfo *vi, struct page_rules *r)
{
	s64 orders;

	r->has_slab_type = type_value(vi, "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", &r->slab_type);
	r->has_buddy_type = type_value(vi, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", &r->buddy_type);
	r->has_offline_type =
		type_value(vi, "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", &r->offline_type);
	r->has_unaccepted_type =
		type_value(vi, "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)", &r->unaccepted_type);
	if (r->has_slab_type)
		r->slab = 0;
	if (r->has_buddy_type)
		r->buddy = 0;
	r->free_orders = 0;
	if (vmcoreinfo_number(vi, "LENGTH(zone.free_area)", &orders) && orders > 0 &&
		orders <= PAGEINFO_MAX_ORDER + 1)
		r->free_orders = (u32)orders;
}

static void set_hugetlb(struct page_rules *r, enum hugetlb_source from, s32 at, u32 bytes)
{
	r->hugetlb_from = at >= 0 ? from : HUGETLB_NONE;
	r->hugetlb_at = at;
	r->hugetlb_bytes = bytes;
}

/* Order and destructor in fields of their own. False if neither struct has them. */
static bool load_order_fields(const struct vmcoreinfo *vi, struct page_rules *r)
{
	s32 dtor = field_at(vi, "OFFSET(folio._folio_dtor)", r, 1, r->size);
	bool narrow = true;
	s64 value;

	r->order_at = field_at(vi, "OFFSET(folio._folio_order)", r, 1, r->size);
	if (r->order_at < 0) {
		dtor = field_at(vi, "OFFSET(page.compound_dtor)", r, 2, 0);
		r->order_at = field_at(vi, "OFFSET(page.compound_order)", r, 2, 0);
		narrow = dtor < 0 || r->order_at == dtor + DTOR_NEXT_BYTE;
	}
	if (r->order_at < 0)
		return false;
	r->order_from = narrow ? ORDER_BYTE : ORDER_HALF;
	if (vmcoreinfo_number(vi, "NUMBER(HUGETLB_PAGE_DTOR)", &value)) {
		set_hugetlb(r, HUGETLB_DTOR, dtor, narrow ? 1 : 2);
		r->hugetlb_value = (u64)value;
	}
	return true;
}

/* By what is exported, the newest way first: old keys are gone where a new one came. */
static void load_order(const struct vmcoreinfo *vi, struct page_rules *r)
{
	u32 type;

	r->order_from = ORDER_NONE;
	r->order_at = -1;
	r->hugetlb_value = 0;
	set_hugetlb(r, HUGETLB_NONE, -1, 0);
	if (type_value(vi, "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)", &type)) {
		r->order_from = ORDER_FLAGS;
		r->order_at = r->flags;
		set_hugetlb(r, HUGETLB_TYPE, r->mapcount, 4);
		r->hugetlb_value = type;
		return;
	}
	r->hugetlb_value = flag_mask(vi, "NUMBER(PG_hugetlb)");
	if (r->hugetlb_value) {
		r->order_from = ORDER_FLAGS;
		r->order_at = r->flags;
		set_hugetlb(r, HUGETLB_FLAG, r->flags, 8);
		return;
	}
	if (load_order_fields(vi, r) || r->compound >= 0 || r->list_prev < 0)
		return;
	r->order_from = ORDER_LIST_PREV;
	r->order_at = r->list_prev;
	if (vmcoreinfo_hex(vi, "SYMBOL(free_huge_page)", &r->hugetlb_value))
		set_hugetlb(r, HUGETLB_DTOR, r->list_next, 8);
}

/* No bit serves two flags. */
static bool flags_differ(const struct page_rules *r)
{
	const u64 mask[] = {r->lru, r->swapcache, r->swapbacked, r->private_flag, r->hwpoison,
		r->slab, r->head, r->buddy};
	u64 seen = 0;

	for (u32 i = 0; i < ARRAY_SIZE(mask); i++) {
		if (seen & mask[i])
			return false;
		seen |= mask[i];
	}
	return true;
}

/* No value means two types. */
static bool types_differ(const struct page_rules *r)
{
	const bool has[] = {r->has_slab_type, r->has_buddy_type, r->has_offline_type,
		r->has_unaccepted_type, r->hugetlb_from == HUGETLB_TYPE};
	const u32 type[] = {r->slab_type, r->buddy_type, r->offline_type, r->unaccepted_type,
		(u32)r->hugetlb_value};

	for (u32 i = 0; i < ARRAY_SIZE(has); i++) {
		for (u32 j = 0; j < i; j++) {
			if (has[i] && has[j] && type[i] == type[j])
				return false;
		}
	}
	return true;
}

enum status page_rules_load(const struct vmcoreinfo *vi, u32 levels, struct page_rules *r)
{
	s64 size;

	memset(r, 0, sizeof(*r));
	if (!vmcoreinfo_number(vi, "SIZE(page)", &size) || size < MIN_BYTES ||
		size > PAGEINFO_MAX_BYTES || size % 8 != 0)
		return E_PAGEMAP;
	r->size = (u32)size;
	r->kernel_va = levels == 5 ? HALF_5_LEVELS : HALF_4_LEVELS;
	load_fields(vi, r);
	if (r->flags < 0 || r->mapping < 0)
		return E_PAGEMAP;
	load_list(vi, r);
	load_flags(vi, r);
	load_types(vi, r);
	if (r->mapcount < 0) {
		r->has_slab_type = false;
		r->has_buddy_type = false;
		r->has_offline_type = false;
		r->has_unaccepted_type = false;
	}
	load_order(vi, r);
	return flags_differ(r) && types_differ(r) ? OK : E_PAGEMAP;
}
