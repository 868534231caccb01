/*
 * ACPI tables from arbitrary bytes: the input is the memory from 0xe0000, where the RSDP is
 * searched. Checksums of everything that looks like a table are made to match so that the
 * parsers are reached. What comes out must be what the contract in acpi.h allows.
 */
#include <stdlib.h>
#include <string.h>
#include "acpi.h"
#include "tests/host/ports_mem.h"

#define BASE_PA	     0xe0000u
#define MIN_BYTES    64u
#define MAX_BYTES    0x10000u
#define HEADER_BYTES 36u
#define SUM_OFFSET   9
#define RSDP_FIRST   20u
#define RSDP_ALL     36u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 minus_sum(const u8 *p, u32 bytes)
{
	u32 sum = 0;

	for (u32 i = 0; i < bytes; i++)
		sum += p[i];
	return (u8)(0x100 - (sum & 0xff));
}

static bool is_table(const u8 *p)
{
	static const char *const names[] = {
		"RSDT", "XSDT", "FACP", "DSDT", "SSDT", "DMAR", "IVRS", "MCFG"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		if (memcmp(p, names[i], 4) == 0)
			return true;
	}
	return false;
}

static void seal(u8 *p, u32 left)
{
	u32 bytes;

	memcpy(&bytes, p + 4, 4);
	if (left >= HEADER_BYTES && is_table(p) && bytes >= HEADER_BYTES && bytes <= left) {
		p[SUM_OFFSET] = 0;
		p[SUM_OFFSET] = minus_sum(p, bytes);
	}
	if (left < RSDP_ALL || memcmp(p, "RSD PTR ", 8) != 0)
		return;
	p[8] = 0;
	p[8] = minus_sum(p, RSDP_FIRST);
	p[32] = 0;
	p[32] = minus_sum(p, RSDP_ALL);
}

static void check_register(const struct acpi_register *r, bool may_be_pci)
{
	if (r->address == 0 && (r->space || r->bytes))
		abort();
	if (r->bytes > 4 || r->bytes == 3 || r->space > (may_be_pci ? 2 : 1))
		abort();
	if (r->space == ACPI_SPACE_IO ? r->address > 0xffff : r->address >= 1ull << 52)
		abort();
}

static void check_ecams(const struct acpi *a)
{
	if (a->ecams > ACPI_ECAMS)
		abort();
	for (u32 i = 0; i < a->ecams; i++) {
		const struct acpi_ecam *e = &a->ecam[i];

		if (e->segment > 0xfffe || e->first_bus > 255 || e->last_bus > 255)
			abort();
		if (!e->pa)
			continue;
		if (e->pa & 0xfffff || e->first_bus > e->last_bus)
			abort();
		if (e->pa >= (1ull << 52) - ((u64)e->last_bus << 20))
			abort();
	}
}

static void check(const struct acpi *a)
{
	const struct acpi_power *p = &a->power;

	check_register(&p->reset, true);
	check_register(&p->pm1a, false);
	check_register(&p->pm1b, false);
	check_register(&p->sleep_control, false);
	if (p->s5_a > 7 || p->s5_b > 7 || (!p->has_s5 && (p->s5_a || p->s5_b)))
		abort();
	if (a->iommus > ACPI_IOMMUS || (a->iommus_dropped && a->iommus != ACPI_IOMMUS))
		abort();
	check_ecams(a);
	for (u32 i = 0; i < a->iommus; i++) {
		if (!a->iommu[i].pa || a->iommu[i].pa & 0xfff || !a->iommu[i].kind)
			abort();
		for (u32 j = 0; j < i; j++) {
			if (a->iommu[i].pa == a->iommu[j].pa)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct acpi none;
	struct acpi a;
	u8 *mem;

	if (size < MIN_BYTES || size > MAX_BYTES)
		return 0;
	mem = malloc(size);
	if (!mem)
		abort();
	memcpy(mem, data, size);
	for (u32 i = 0; i + 8 <= size; i++)
		seal(mem + i, (u32)size - i);
	host_reset_all();
	host_firmware_set(BASE_PA, mem, size);
	for (u32 i = 0; i < 2; i++) {
		if (!acpi_load(i ? BASE_PA : 0, &a) && memcmp(&a, &none, sizeof(a)) != 0)
			abort();
		check(&a);
	}
	free(mem);
	return 0;
}
