/*
 * The few facts of firmware's ACPI tables that a capture needs: how to restart and switch
 * off the machine, where PCI configuration space is mapped, and where the DMA remapping units
 * are. No interpreter: of AML only the package named \_S5_ is looked at (ACPI 6.5 s7.4.2). Tables
 * are read through firmware_read() into bounded buffers; checksums, lengths and every offset are
 * checked.
 */
#ifndef AFTERIMAGE_ACPI_H
#define AFTERIMAGE_ACPI_H

#include "status.h"
#include "types.h"

#define ACPI_SPACE_MEMORY 0
#define ACPI_SPACE_IO	  1
#define ACPI_SPACE_PCI	  2 /* bus 0; device, function and offset in the address */

/*
 * A register of the fixed hardware (s5.2.3.2); address 0: there is none. The address is possible
 * in its space: below 64 KiB, below 2^52, or a function of bus 0. Only the reset register is in
 * PCI configuration space.
 */
struct acpi_register {
	u64 address;
	u8 space;
	u8 bytes; /* 1, 2, 4; 0: unknown */
};

struct acpi_power {
	struct acpi_register reset; /* s4.8.3.6 */
	u8 reset_value;
	struct acpi_register pm1a, pm1b;    /* control registers, s4.8.3.2.1 */
	struct acpi_register sleep_control; /* hardware-reduced machines, s4.8.3.7 */
	u16 smi_command;		    /* port; 0: the machine is in ACPI mode always */
	u8 acpi_enable;
	bool has_s5;
	u8 s5_a, s5_b; /* SLP_TYPa and SLP_TYPb of \_S5_ */
};

enum acpi_iommu_kind {
	IOMMU_INTEL = 1, /* from DMAR */
	IOMMU_AMD = 2,	 /* from IVRS */
};

#define ACPI_IOMMUS 128 /* a server with eight sockets has some eighty */

struct acpi_iommu {
	u64 pa; /* of its registers */
	u32 kind;
	u32 segment; /* of PCI, whose functions' DMA it remaps */
};

#define ACPI_ECAMS 32 /* a server has one or two for each socket */

/*
 * Where some buses' configuration space is mapped (MCFG, PCI Firmware 3.3 s4.1.2): bus b's
 * is at pa + b * 1 MiB. All of it is below 2^52. Address 0: the entry can not be used, and what
 * is there of the segment can not be reached.
 */
struct acpi_ecam {
	u64 pa;
	u32 segment; /* below 0xffff */
	u16 first_bus;
	u16 last_bus; /* not below the first one */
};

struct acpi {
	struct acpi_power power;
	u32 iommus;
	u32 iommus_dropped; /* that did not fit */
	struct acpi_iommu iommu[ACPI_IOMMUS];
	u32 ecams;
	struct acpi_ecam ecam[ACPI_ECAMS];
};

/*
 * Fills *@a from the tables that the RSDP at @rsdp_pa leads to; if there is none, or with 0, it
 * is searched for where a BIOS has it (s5.2.5.1). What is missing or damaged is left out, all
 * zero; false if there are no tables at all.
 */
bool acpi_load(u64 rsdp_pa, struct acpi *a);

#endif
