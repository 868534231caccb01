/*
 * ACPI tables: the way from the RSDP to a checked table, and what the fixed table (FADT)
 * says about power. Offsets are those of ACPI 6.5 s5.2. Nothing of a table is used before its
 * checksum was good. Runs no AML.
 */
#include <string.h>
#include "acpi_parts.h"
#include "ports.h"

#define BUDGET_BYTES (16u * MIB) /* a server's tables take one or two */
#define TABLES_MAX   512u

/* Where a BIOS has the RSDP (s5.2.5.1) */
#define EBDA_SEGMENT 0x40eu
#define EBDA_LOWEST  0x400u
#define EBDA_END     0xa0000u
#define EBDA_BYTES   1024u
#define BIOS_PA	     0xe0000u
#define BIOS_BYTES   0x20000u

/* RSDP (s5.2.5.3) */
#define RSDP_ALIGN     16u
#define RSDP_BYTES_1   20u
#define RSDP_REVISION  15
#define RSDP_RSDT      16
#define RSDP_LENGTH    20
#define RSDP_XSDT      24
#define RSDP_BYTES_2   36u
#define RSDP_BYTES_MAX 64u

/* Every table's header (s5.2.6) */
#define HEADER_LENGTH	4
#define HEADER_REVISION 8

/* FADT (s5.2.9) */
#define FADT_DSDT	   40
#define FADT_SMI_CMD	   48
#define FADT_ACPI_ENABLE   52
#define FADT_PM1A_CNT	   64
#define FADT_PM1B_CNT	   68
#define FADT_FLAGS	   112
#define FADT_FLAG_RESET	   (1u << 10)
#define FADT_FLAG_REDUCED  (1u << 20)
#define FADT_BYTES_1	   116u
#define FADT_RESET	   116
#define FADT_RESET_VALUE   128
#define FADT_X_DSDT	   140
#define FADT_X_PM1A_CNT	   172
#define FADT_X_PM1B_CNT	   184
#define FADT_SLEEP_CONTROL 244
#define FADT_BYTES_5	   268u
#define PM1_CNT_BYTES	   2

/* Generic address structure (s5.2.3.2) */
#define GAS_SPACE	    0
#define GAS_BIT_WIDTH	    1
#define GAS_BIT_OFFSET	    2
#define GAS_ADDRESS	    4
#define IO_END		    0x10000u
#define GAS_PCI_DEVICE(a)   ((a) >> 32)
#define GAS_PCI_FUNCTION(a) ((a) >> 16 & 0xffff)
#define GAS_PCI_OFFSET(a)   ((a)&0xffff)

bool acpi_table_read(const struct acpi_table *t, u32 offset, void *buf, u32 bytes)
{
	return range_fits(offset, bytes, t->bytes) && firmware_read(t->pa + offset, buf, bytes);
}

static u8 sum_of(const u8 *p, u32 bytes)
{
	u8 sum = 0;

	for (u32 i = 0; i < bytes; i++)
		sum = (u8)(sum + p[i]);
	return sum;
}

static bool table_sum_good(const struct acpi_table *t)
{
	u8 piece[ACPI_PIECE_BYTES];
	u8 sum = 0;

	for (u32 offset = 0; offset < t->bytes; offset += ACPI_PIECE_BYTES) {
		u32 n = (u32)min_u64(ACPI_PIECE_BYTES, t->bytes - offset);

		if (!acpi_table_read(t, offset, piece, n))
			return false;
		sum = (u8)(sum + sum_of(piece, n));
	}
	return sum == 0;
}

bool acpi_table_open(struct acpi_root *r, u64 pa, const char *signature, struct acpi_table *t)
{
	u8 header[ACPI_HEADER_BYTES];

	if (pa == 0 || pa >= ACPI_PHYSICAL_END || !firmware_read(pa, header, sizeof(header)))
		return false;
	if (memcmp(header, signature, 4) != 0)
		return false;
	t->pa = pa;
	t->bytes = get_u32(header + HEADER_LENGTH);
	t->revision = header[HEADER_REVISION];
	if (t->bytes < ACPI_HEADER_BYTES || t->bytes > r->budget_bytes)
		return false;
	r->budget_bytes -= t->bytes;
	return table_sum_good(t);
}

static u64 entry_read(const struct acpi_root *r, u32 index)
{
	u8 entry[8] = {0};
	u64 pa = r->pa + ACPI_HEADER_BYTES + (u64)index * r->entry_bytes;

	return firmware_read(pa, entry, r->entry_bytes) ? get_u64(entry) : 0;
}

bool acpi_table_next(struct acpi_root *r, u32 *index, const char *signature, struct acpi_table *t)
{
	while (*index < r->entries) {
		u64 pa = entry_read(r, *index);

		++*index;
		if (acpi_table_open(r, pa, signature, t))
			return true;
	}
	return false;
}

static bool root_open(struct acpi_root *r, u64 pa, u32 entry_bytes)
{
	struct acpi_table t;

	if (!acpi_table_open(r, pa, entry_bytes == 8 ? "XSDT" : "RSDT", &t))
		return false;
	r->pa = pa;
	r->entry_bytes = entry_bytes;
	r->entries = (u32)min_u64(TABLES_MAX, (t.bytes - ACPI_HEADER_BYTES) / entry_bytes);
	return true;
}

/* The extended part counts only with its own checksum; without it the first part serves. */
static u64 rsdp_xsdt(u64 pa)
{
	u8 b[RSDP_BYTES_MAX];
	u32 bytes;

	if (!firmware_read(pa, b, RSDP_BYTES_2))
		return 0;
	bytes = get_u32(b + RSDP_LENGTH);
	if (b[RSDP_REVISION] < 2 || bytes < RSDP_BYTES_2 || bytes > RSDP_BYTES_MAX)
		return 0;
	if (!firmware_read(pa, b, bytes) || sum_of(b, bytes) != 0)
		return 0;
	return get_u64(b + RSDP_XSDT);
}

static bool rsdp_good(u64 pa, u8 b[RSDP_BYTES_1])
{
	return firmware_read(pa, b, RSDP_BYTES_1) && memcmp(b, "RSD PTR ", 8) == 0 &&
	       sum_of(b, RSDP_BYTES_1) == 0;
}

static bool rsdp_open(u64 pa, struct acpi_root *r)
{
	u8 b[RSDP_BYTES_1];

	if (pa >= ACPI_PHYSICAL_END || !rsdp_good(pa, b))
		return false;
	return root_open(r, rsdp_xsdt(pa), 8) || root_open(r, get_u32(b + RSDP_RSDT), 4);
}

static bool rsdp_search(u64 pa, u32 bytes, struct acpi_root *r)
{
	u8 piece[ACPI_PIECE_BYTES];

	for (u32 offset = 0; offset < bytes; offset += ACPI_PIECE_BYTES) {
		if (!firmware_read(pa + offset, piece, ACPI_PIECE_BYTES))
			continue;
		for (u32 i = 0; i < ACPI_PIECE_BYTES; i += RSDP_ALIGN) {
			if (memcmp(piece + i, "RSD PTR ", 8) == 0 && rsdp_open(pa + offset + i, r))
				return true;
		}
	}
	return false;
}

static bool bios_search(struct acpi_root *r)
{
	u8 segment[2];
	u32 ebda_pa = 0;

	if (firmware_read(EBDA_SEGMENT, segment, sizeof(segment)))
		ebda_pa = (u32)get_u16(segment) << 4;
	if (ebda_pa >= EBDA_LOWEST && range_fits(ebda_pa, EBDA_BYTES, EBDA_END) &&
		rsdp_search(ebda_pa, EBDA_BYTES, r))
		return true;
	return rsdp_search(BIOS_PA, BIOS_BYTES, r);
}

static bool address_possible(u8 space, u64 address)
{
	switch (space) {
	case ACPI_SPACE_MEMORY:
		return address < ACPI_PHYSICAL_END;
	case ACPI_SPACE_IO:
		return address < IO_END;
	case ACPI_SPACE_PCI:
		return GAS_PCI_DEVICE(address) < 32 && GAS_PCI_FUNCTION(address) < 8 &&
		       GAS_PCI_OFFSET(address) < 256;
	default:
		return false;
	}
}

static struct acpi_register register_at(const u8 *gas)
{
	struct acpi_register none = {0};
	struct acpi_register reg = {.address = get_u64(gas + GAS_ADDRESS), .space = gas[GAS_SPACE]};
	u8 bits = gas[GAS_BIT_WIDTH];

	if (reg.address == 0 || gas[GAS_BIT_OFFSET] != 0)
		return none;
	if (!address_possible(reg.space, reg.address))
		return none;
	if (bits == 8 || bits == 16 || bits == 32)
		reg.bytes = bits / 8;
	return reg;
}

/* A PM1 control block: by its extended address, else by its port. */
static struct acpi_register pm1_control(const u8 *gas, u32 port)
{
	struct acpi_register reg = register_at(gas);

	if (reg.address != 0 && reg.space != ACPI_SPACE_PCI)
		return reg;
	memset(&reg, 0, sizeof(reg));
	if (port == 0 || port >= IO_END)
		return reg;
	reg.address = port;
	reg.space = ACPI_SPACE_IO;
	reg.bytes = PM1_CNT_BYTES;
	return reg;
}

static void fadt_sleep(const u8 *f, struct acpi_power *p)
{
	u32 smi_command = get_u32(f + FADT_SMI_CMD);

	if (f[HEADER_REVISION] >= 5 && get_u32(f + FADT_FLAGS) & FADT_FLAG_REDUCED) {
		p->sleep_control = register_at(f + FADT_SLEEP_CONTROL);
		if (p->sleep_control.space == ACPI_SPACE_PCI)
			memset(&p->sleep_control, 0, sizeof(p->sleep_control));
		return;
	}
	p->pm1a = pm1_control(f + FADT_X_PM1A_CNT, get_u32(f + FADT_PM1A_CNT));
	p->pm1b = pm1_control(f + FADT_X_PM1B_CNT, get_u32(f + FADT_PM1B_CNT));
	if (smi_command < IO_END && f[FADT_ACPI_ENABLE] != 0) {
		p->smi_command = (u16)smi_command;
		p->acpi_enable = f[FADT_ACPI_ENABLE];
	}
}

static void s5_load(struct acpi_root *r, const u8 *f, struct acpi_power *p)
{
	struct acpi_table t;
	u32 index = 0;

	if (acpi_table_open(r, get_u64(f + FADT_X_DSDT), "DSDT", &t) ||
		acpi_table_open(r, get_u32(f + FADT_DSDT), "DSDT", &t))
		acpi_s5_find(&t, p);
	while (!p->has_s5 && acpi_table_next(r, &index, "SSDT", &t))
		acpi_s5_find(&t, p);
}

/* What an older revision does not have stays zero, whatever it holds there. */
static u32 fadt_bytes(const struct acpi_table *t)
{
	if (t->revision < 2)
		return FADT_BYTES_1;
	if (t->revision < 5)
		return (u32)min_u64(t->bytes, FADT_SLEEP_CONTROL);
	return (u32)min_u64(t->bytes, FADT_BYTES_5);
}

static void fadt_load(struct acpi_root *r, struct acpi_power *p)
{
	u8 f[FADT_BYTES_5] = {0};
	struct acpi_table t;
	u32 index = 0;

	if (!acpi_table_next(r, &index, "FACP", &t) || t.bytes < FADT_BYTES_1)
		return;
	if (!acpi_table_read(&t, 0, f, fadt_bytes(&t)))
		return;
	if (get_u32(f + FADT_FLAGS) & FADT_FLAG_RESET) {
		p->reset = register_at(f + FADT_RESET);
		p->reset_value = p->reset.address ? f[FADT_RESET_VALUE] : 0;
	}
	fadt_sleep(f, p);
	s5_load(r, f, p);
}

bool acpi_load(u64 rsdp_pa, struct acpi *a)
{
	struct acpi_root root = {.budget_bytes = BUDGET_BYTES};
	bool found = rsdp_pa != 0 && rsdp_open(rsdp_pa, &root);

	memset(a, 0, sizeof(*a));
	if (!found) {
		root.budget_bytes = BUDGET_BYTES;
		found = bios_search(&root);
	}
	if (!found)
		return false;
	acpi_mcfg_find(&root, a);
	acpi_iommu_find(&root, a);
	fadt_load(&root, &a->power);
	return true;
}
