/*
 * Where the DMA remapping units are: DMAR (Intel VT-d 4.0 s8) and IVRS (AMD I/O
 * Virtualization 3.07 s5.2). Looks at nothing but the addresses of their registers and their
 * PCI segment.
 */
#include <string.h>
#include "acpi_parts.h"

/* Both tables: structures one after the other, each with its length; a unit's base at 8. */
#define FIRST_OFFSET   48u
#define HEAD_BYTES     4u
#define HEAD_LENGTH    2
#define BASE_OFFSET    8u
#define BASE_BYTES     8u
#define SEGMENT_BYTES  2u
#define STRUCTURES_MAX 4096u

#define DMAR_TYPE_DRHD	  0x0000
#define DRHD_BYTES	  16u
#define DRHD_SEGMENT	  6u
#define DRHD_ALIGN	  0x1000u
#define IVRS_TYPE_IVHD_10 0x10
#define IVRS_TYPE_IVHD_11 0x11
#define IVRS_TYPE_IVHD_40 0x40
#define IVHD_BYTES	  24u
#define IVHD_SEGMENT	  16u
#define IVHD_ALIGN	  0x4000u

struct rule {
	const char *signature;
	enum acpi_iommu_kind kind;
	u32 least_bytes;
	u32 align;
	u32 segment; /* offset of the unit's PCI segment, 2 bytes */
};

static const struct rule rules[] = {
	{"DMAR", IOMMU_INTEL, DRHD_BYTES, DRHD_ALIGN, DRHD_SEGMENT},
	{"IVRS", IOMMU_AMD, IVHD_BYTES, IVHD_ALIGN, IVHD_SEGMENT},
};

static bool is_unit(enum acpi_iommu_kind kind, const u8 *head)
{
	u8 type = head[0];

	if (kind == IOMMU_INTEL)
		return get_u16(head) == DMAR_TYPE_DRHD;
	return type == IVRS_TYPE_IVHD_10 || type == IVRS_TYPE_IVHD_11 || type == IVRS_TYPE_IVHD_40;
}

static void unit_add(struct acpi *a, const struct rule *rule, u64 pa, u32 segment)
{
	if (pa == 0 || pa % rule->align != 0 || pa >= ACPI_PHYSICAL_END)
		return;
	for (u32 i = 0; i < a->iommus; i++) {
		if (a->iommu[i].pa == pa)
			return;
	}
	if (a->iommus == ACPI_IOMMUS) {
		a->iommus_dropped++;
		return;
	}
	a->iommu[a->iommus].pa = pa;
	a->iommu[a->iommus].kind = rule->kind;
	a->iommu[a->iommus].segment = segment;
	a->iommus++;
}

/* The unit's structure is at @offset. */
static void unit_read(
	const struct acpi_table *t, u32 offset, const struct rule *rule, struct acpi *a)
{
	u8 base[BASE_BYTES], segment[SEGMENT_BYTES];

	if (!acpi_table_read(t, offset + BASE_OFFSET, base, sizeof(base)) ||
		!acpi_table_read(t, offset + rule->segment, segment, sizeof(segment)))
		return;
	unit_add(a, rule, get_u64(base), get_u16(segment));
}

static void table_walk(const struct acpi_table *t, const struct rule *rule, struct acpi *a)
{
	u32 offset = FIRST_OFFSET;

	for (u32 i = 0; i < STRUCTURES_MAX; i++) {
		u8 head[HEAD_BYTES];
		u32 bytes;

		if (!acpi_table_read(t, offset, head, sizeof(head)))
			return;
		bytes = get_u16(head + HEAD_LENGTH);
		if (bytes < HEAD_BYTES || !range_fits(offset, bytes, t->bytes))
			return;
		if (is_unit(rule->kind, head) && bytes >= rule->least_bytes)
			unit_read(t, offset, rule, a);
		offset += bytes;
	}
}

void acpi_iommu_find(struct acpi_root *r, struct acpi *a)
{
	for (u32 i = 0; i < ARRAY_SIZE(rules); i++) {
		struct acpi_table t;
		u32 index = 0;

		if (acpi_table_next(r, &index, rules[i].signature, &t))
			table_walk(&t, &rules[i], a);
	}
}
