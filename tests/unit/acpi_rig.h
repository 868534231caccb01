/*
 * Makes ACPI tables for the tests: a piece of firmware memory of 1 MiB, tables one after the
 * other from its middle, sealed with their checksums. Tables of QEMU as hexadecimal text.
 */
#ifndef AFTERIMAGE_ACPI_RIG_H
#define AFTERIMAGE_ACPI_RIG_H

#include <stdlib.h>
#include <string.h>
#include "acpi.h"
#include "tests/host/ports_mem.h"

#define RIG_BYTES    (1024u * 1024u)
#define RIG_TABLES   0x20000u
#define RIG_EBDA     0x9fc00u
#define RIG_ENTRIES  600
#define RIG_RSDP     0xf5000u
#define RIG_HEADER   36u
#define RIG_FADT_5   268u
#define RIG_FADT_PM1 0x604u

struct acpi_rig {
	u8 *mem; /* at physical address @base_pa */
	u64 base_pa;
	u64 next_pa;
	u32 entries;
	u64 entry[RIG_ENTRIES];
};

static inline void rig_put(struct acpi_rig *rig, u64 pa, u64 value, u32 bytes)
{
	if (pa < rig->base_pa || !range_fits(pa - rig->base_pa, bytes, RIG_BYTES))
		abort();
	memcpy(rig->mem + (pa - rig->base_pa), &value, bytes);
}

static inline u64 rig_get(const struct acpi_rig *rig, u64 pa, u32 bytes)
{
	u64 value = 0;

	if (pa < rig->base_pa || !range_fits(pa - rig->base_pa, bytes, RIG_BYTES))
		abort();
	memcpy(&value, rig->mem + (pa - rig->base_pa), bytes);
	return value;
}

/* Makes the byte at @sum_pa so that @bytes from @pa add up to 0. */
static inline void rig_sum(struct acpi_rig *rig, u64 pa, u32 bytes, u64 sum_pa)
{
	u64 sum = 0;

	rig_put(rig, sum_pa, 0, 1);
	for (u32 i = 0; i < bytes; i++)
		sum += rig_get(rig, pa + i, 1);
	rig_put(rig, sum_pa, 0x100 - (sum & 0xff), 1);
}

static inline void rig_seal(struct acpi_rig *rig, u64 pa)
{
	rig_sum(rig, pa, (u32)rig_get(rig, pa + 4, 4), pa + 9);
}

/* One more table, zero but for its header; listed in the root table. */
static inline u64 rig_table(struct acpi_rig *rig, const char *signature, u8 revision, u32 bytes)
{
	u64 pa = rig->next_pa;

	rig->next_pa += bytes + 1; /* nothing is aligned */
	rig_put(rig, pa + bytes - 1, 0, 1);
	memcpy(rig->mem + (pa - rig->base_pa), signature, 4);
	rig_put(rig, pa + 4, bytes, 4);
	rig_put(rig, pa + 8, revision, 1);
	if (rig->entries == RIG_ENTRIES)
		abort();
	rig->entry[rig->entries++] = pa;
	rig_seal(rig, pa);
	return pa;
}

/* One more table with @bytes of contents after the header. */
static inline u64 rig_filled(
	struct acpi_rig *rig, const char *signature, const void *contents, u32 bytes)
{
	u64 pa = rig_table(rig, signature, 2, RIG_HEADER + bytes);

	memcpy(rig->mem + (pa - rig->base_pa) + RIG_HEADER, contents, bytes);
	rig_seal(rig, pa);
	return pa;
}

/* A table as hexadecimal digits, as it was in a machine. */
static inline u64 rig_hex(struct acpi_rig *rig, const char *hex)
{
	u32 bytes = (u32)strlen(hex) / 2;
	u64 pa = rig_table(rig, "none", 0, bytes);

	for (u32 i = 0; i < bytes; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

		rig_put(rig, pa + i, strtoul(digits, NULL, 16), 1);
	}
	return pa;
}

/* Writes the root table with all tables so far. */
static inline u64 rig_root(struct acpi_rig *rig, u32 entry_bytes)
{
	u32 n = rig->entries;
	u64 pa =
		rig_table(rig, entry_bytes == 8 ? "XSDT" : "RSDT", 1, RIG_HEADER + n * entry_bytes);

	rig->entries = n;
	for (u32 i = 0; i < n; i++)
		rig_put(rig, pa + RIG_HEADER + i * entry_bytes, rig->entry[i], entry_bytes);
	rig_seal(rig, pa);
	return pa;
}

static inline void rig_rsdp(struct acpi_rig *rig, u64 pa, u8 revision, u64 rsdt, u64 xsdt)
{
	memcpy(rig->mem + (pa - rig->base_pa), "RSD PTR ", 8);
	rig_put(rig, pa + 15, revision, 1);
	rig_put(rig, pa + 16, rsdt, 4);
	rig_sum(rig, pa, 20, pa + 8);
	if (revision < 2)
		return;
	rig_put(rig, pa + 20, 36, 4);
	rig_put(rig, pa + 24, xsdt, 8);
	rig_sum(rig, pa, 36, pa + 32);
}

static inline void rig_init(struct acpi_rig *rig)
{
	free(rig->mem);
	memset(rig, 0, sizeof(*rig));
	rig->mem = calloc(1, RIG_BYTES);
	if (!rig->mem)
		abort();
	rig->next_pa = RIG_TABLES;
	host_reset_all();
	host_firmware_set(0, rig->mem, RIG_BYTES);
}

/* The usual machine: XSDT, revision 2. Seals nothing but what it makes. */
static inline bool rig_load(struct acpi_rig *rig, struct acpi *a)
{
	u64 rsdp_pa = rig->base_pa + RIG_RSDP;

	memset(a, 0xa5, sizeof(*a));
	rig_rsdp(rig, rsdp_pa, 2, 0, rig_root(rig, 8));
	return acpi_load(rsdp_pa, a);
}

/* An address of ACPI 6.5 s5.2.3.2 at @pa. */
static inline void rig_gas(struct acpi_rig *rig, u64 pa, u8 space, u8 bits, u64 address)
{
	rig_put(rig, pa, space, 1);
	rig_put(rig, pa + 1, bits, 1);
	rig_put(rig, pa + 2, 0, 2);
	rig_put(rig, pa + 4, address, 8);
}

/* A FADT of revision 5 with PM1a by its port, and a DSDT with @contents. */
static inline u64 rig_fadt(struct acpi_rig *rig, const void *contents, u32 bytes)
{
	u64 dsdt = rig_filled(rig, "DSDT", contents, bytes);
	u64 pa;

	rig->entries--; /* the FADT leads to it, not the root table */
	pa = rig_table(rig, "FACP", 5, RIG_FADT_5);
	rig_put(rig, pa + 40, dsdt, 4);
	rig_put(rig, pa + 64, RIG_FADT_PM1, 4);
	rig_seal(rig, pa);
	return pa;
}

#endif
