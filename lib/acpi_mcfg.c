/*
 * Where PCI configuration space is mapped: MCFG (PCI Firmware 3.3 s4.1.2). Keeps entries that
 * can not be used as such, so that nobody takes a part of a segment for the whole.
 */
#include "acpi_parts.h"

#define FIRST_OFFSET	 44u
#define ENTRY_BYTES	 16u
#define ENTRY_SEGMENT	 8
#define ENTRY_FIRST_BUS	 10
#define ENTRY_LAST_BUS	 11
#define ENTRIES_MAX	 4096u
#define BUS_BYTES	 (1ull << 20)
#define SEGMENT_RESERVED 0xffffu /* numbers of functions have an end */

static bool entry_good(const struct acpi_ecam *e)
{
	u64 first = e->first_bus * BUS_BYTES;
	u64 end = (e->last_bus + 1u) * BUS_BYTES;

	if (e->pa == 0 || e->pa % BUS_BYTES != 0 || e->pa >= ACPI_PHYSICAL_END)
		return false;
	return end > first && range_fits(e->pa + first, end - first, ACPI_PHYSICAL_END);
}

/* One that has no room takes those of its segment with it. */
static void entry_add(struct acpi *a, const struct acpi_ecam *e)
{
	if (a->ecams < ACPI_ECAMS) {
		a->ecam[a->ecams++] = *e;
		return;
	}
	for (u32 i = 0; i < ACPI_ECAMS; i++) {
		if (a->ecam[i].segment == e->segment)
			a->ecam[i].pa = 0;
	}
}

void acpi_mcfg_find(struct acpi_root *r, struct acpi *a)
{
	struct acpi_table t;
	u32 index = 0;

	if (!acpi_table_next(r, &index, "MCFG", &t))
		return;
	for (u32 i = 0; i < ENTRIES_MAX; i++) {
		struct acpi_ecam e = {0};
		u8 b[ENTRY_BYTES];

		if (!acpi_table_read(&t, FIRST_OFFSET + i * ENTRY_BYTES, b, sizeof(b)))
			return;
		e.pa = get_u64(b);
		e.segment = get_u16(b + ENTRY_SEGMENT);
		e.first_bus = b[ENTRY_FIRST_BUS];
		e.last_bus = b[ENTRY_LAST_BUS];
		if (!entry_good(&e))
			e.pa = 0;
		if (e.segment != SEGMENT_RESERVED)
			entry_add(a, &e);
	}
}
