/*
 * What the files of lib/acpi*.c offer each other: checked tables and reading inside them.
 */
#ifndef AFTERIMAGE_ACPI_PARTS_H
#define AFTERIMAGE_ACPI_PARTS_H

#include "acpi.h"
#include "bytes.h"

#define ACPI_HEADER_BYTES 36u
#define ACPI_PHYSICAL_END (1ull << 52)
#define ACPI_PIECE_BYTES  512u /* that tables are read in; lives on the stack */

/* The root table and what may still be read of the tables it lists. */
struct acpi_root {
	u64 pa;
	u32 entry_bytes; /* 8: XSDT, 4: RSDT */
	u32 entries;
	u32 budget_bytes; /* bounds the time that tables with absurd lengths can take */
};

/* Header and checksum were good. */
struct acpi_table {
	u64 pa;
	u32 bytes;
	u8 revision;
};

/* Opens the table at @pa if it has @signature (4 characters) and is whole. */
bool acpi_table_open(
	struct acpi_root *r, u64 pa, const char *signature, struct acpi_table *t) MUST_CHECK;

/* The next table with @signature at or after entry *@index, which starts at 0. */
bool acpi_table_next(
	struct acpi_root *r, u32 *index, const char *signature, struct acpi_table *t) MUST_CHECK;

/* False if [@offset, @offset + @bytes) is not inside the table. */
bool acpi_table_read(const struct acpi_table *t, u32 offset, void *buf, u32 bytes) MUST_CHECK;

/* Looks for the package \_S5_ in an AML table; fills @p->s5_* if it is there and valid. */
void acpi_s5_find(const struct acpi_table *t, struct acpi_power *p);

/* Fills @a->iommu* from DMAR and IVRS. */
void acpi_iommu_find(struct acpi_root *r, struct acpi *a);

/* Fills @a->ecam* from MCFG. */
void acpi_mcfg_find(struct acpi_root *r, struct acpi *a);

#endif
