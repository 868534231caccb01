/*
 * Restarting and switching off by the registers that the FADT names. Prepares no device for
 * it and runs no AML: \_PTS and \_TTS are for systems that go on.
 */
#include "mmio.h"
#include "pci.h"
#include "power.h"

/* PM1 control (ACPI 6.5 s4.8.3.2.1); all that matters is in its lower half */
#define PM1_BYTES      2
#define PM1_SCI_EN     (1u << 0)
#define PM1_SLP_TYP(t) ((u32)(t) << 10)
#define PM1_SLP_MASK   (PM1_SLP_TYP(7) | PM1_SLP_EN)
#define PM1_SLP_EN     (1u << 13)
#define PM1_NOBODY     0xffffu

/* Sleep control (s4.8.3.7) */
#define SLEEP_BYTES  1
#define SLEEP_TYP(t) ((u32)(t) << 2)
#define SLEEP_EN     (1u << 5)

/* Reset register (s4.8.3.6) */
#define RESET_BYTES	  1
#define RESET_DEVICE(a)	  ((u32)((a) >> 32) & 31)
#define RESET_FUNCTION(a) ((u32)((a) >> 16) & 7)
#define RESET_OFFSET(a)	  ((u32)(a)&0xff)
#define RESET_CONTROL	  0xcf9
#define RESET_POWER_CYCLE 0x08u /* of what is written there: memory would lose its contents */

#define ENABLE_WAIT_US 3000000u /* firmware's SMI handler does it */
#define SLEEP_WAIT_US  3000000u
#define RESET_WAIT_US  500000u

/* A register of the firmware's tables, ready for use. */
struct access {
	u16 port;
	const struct mmio *regs; /* NULL: it is the port */
	u32 bytes;
};

static bool access_open(const struct acpi_register *reg, u32 bytes, struct access *x)
{
	*x = (struct access) {.bytes = bytes};
	if (reg->address == 0)
		return false;
	if (reg->space == ACPI_SPACE_IO) {
		x->port = (u16)reg->address;
		return reg->address <= UINT16_MAX;
	}
	if (reg->space != ACPI_SPACE_MEMORY)
		return false;
	x->regs = mmio_map(reg->address, bytes);
	return x->regs != NULL;
}

static u16 pm1_read(const struct access *x)
{
	return (u16)(x->regs ? mmio_read(x->regs, 0, x->bytes) : io_read(x->port, x->bytes));
}

static void access_write(const struct access *x, u32 value)
{
	if (x->regs)
		mmio_write(x->regs, 0, x->bytes, value);
	else
		io_write(x->port, x->bytes, value);
}

/* Whether it worked is not asked: if the machine is not in ACPI mode, S5 will show it. */
static void acpi_mode_enter(const struct acpi_power *p, const struct access *pm1a)
{
	u64 end = clock_us() + ENABLE_WAIT_US;

	if (p->smi_command == 0 || pm1_read(pm1a) & PM1_SCI_EN)
		return;
	io_write(p->smi_command, 1, p->acpi_enable);
	while (!(pm1_read(pm1a) & PM1_SCI_EN) && clock_us() < end)
		;
}

/* The type first, then with the bit that acts on it: some chipsets want it so. */
static void pm1_sleep(const struct acpi_power *p, const struct access *a, const struct access *b)
{
	u32 value_a = (pm1_read(a) & ~PM1_SLP_MASK) | PM1_SLP_TYP(p->s5_a);
	u32 value_b = b ? (pm1_read(b) & ~PM1_SLP_MASK) | PM1_SLP_TYP(p->s5_b) : 0;

	access_write(a, value_a);
	if (b)
		access_write(b, value_b);
	access_write(a, value_a | PM1_SLP_EN);
	if (b)
		access_write(b, value_b | PM1_SLP_EN);
}

static bool off_by_pm1(const struct acpi_power *p)
{
	struct access a, b;

	if (!access_open(&p->pm1a, PM1_BYTES, &a) || pm1_read(&a) == PM1_NOBODY)
		return false;
	acpi_mode_enter(p, &a);
	pm1_sleep(p, &a, access_open(&p->pm1b, PM1_BYTES, &b) ? &b : NULL);
	return true;
}

static bool off_by_sleep_control(const struct acpi_power *p)
{
	struct access x;

	if (!access_open(&p->sleep_control, SLEEP_BYTES, &x))
		return false;
	access_write(&x, SLEEP_TYP(p->s5_a) | SLEEP_EN);
	return true;
}

enum status power_off(const struct acpi_power *p)
{
	if (!p->has_s5)
		return E_POWEROFF;
	if (off_by_sleep_control(p) || off_by_pm1(p))
		clock_wait_us(SLEEP_WAIT_US);
	return E_POWEROFF;
}

/* The dword around the byte is written as it was read. */
static void reset_by_pci(u64 address, u8 value)
{
	u32 bdf = RESET_DEVICE(address) << 3 | RESET_FUNCTION(address);
	u32 offset = RESET_OFFSET(address) & ~3u;
	u32 shift = 8 * (RESET_OFFSET(address) & 3);
	u32 old = pci_read(bdf, offset);

	pci_write(bdf, offset, (old & ~(0xffu << shift)) | (u32)value << shift);
}

static void reset_by_register(const struct acpi_power *p)
{
	bool control = p->reset.space == ACPI_SPACE_IO && p->reset.address == RESET_CONTROL;
	u32 value = p->reset_value & (control ? ~RESET_POWER_CYCLE : UINT32_MAX);
	struct access x;

	if (p->reset.address == 0)
		return;
	if (p->reset.space == ACPI_SPACE_PCI)
		reset_by_pci(p->reset.address, p->reset_value);
	else if (access_open(&p->reset, RESET_BYTES, &x))
		access_write(&x, value);
	else
		return;
	clock_wait_us(RESET_WAIT_US);
}

void power_leave(const struct acpi_power *p, enum machine_action action)
{
	if (action == ACTION_REBOOT)
		reset_by_register(p);
	machine_reset(action);
}
