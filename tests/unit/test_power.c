/*
 * Power off and reset by the firmware's registers: which writes in which order, on ports, in
 * memory and in configuration space, and that a machine that does not obey is not waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "mmio.h"
#include "pci.h"
#include "power.h"
#include "tests/host/ports_mem.h"

#define PM1A	 0x604
#define PM1B	 0x704
#define SMI	 0xb2
#define SCI_EN	 1u
#define MEM_BASE 0xfea00000ull
#define MEM_END	 0xfea00400ull

static struct {
	u16 pm1a, pm1b;
	u32 smi_polls; /* reads of PM1a until the machine is in ACPI mode; 0: never */
	bool smi_done;
	bool no_memory; /* mmio_map fails */
	u32 config;
	char log[1024];
} m;

static struct mmio handle;
static u32 mapped_at;

static void note(const char *what, u64 where, u32 bytes, u32 value)
{
	size_t used = strlen(m.log);

	snprintf(m.log + used, sizeof(m.log) - used, "%s%s %llx/%u=%x", used ? ", " : "", what,
		(unsigned long long)where, bytes, value);
}

static u32 model_in(void *ctx, u16 port, u32 bytes)
{
	(void)ctx;
	if (port == PM1A && m.smi_done && m.smi_polls && --m.smi_polls == 0)
		m.pm1a |= SCI_EN;
	if (port == PM1A && bytes == 2)
		return m.pm1a;
	return port == PM1B && bytes == 2 ? m.pm1b : 0xffffffff;
}

static void model_out(void *ctx, u16 port, u32 bytes, u32 value)
{
	(void)ctx;
	note("io", port, bytes, value);
	if (port == SMI)
		m.smi_done = true;
}

static u32 model_read(void *model, u32 offset, u32 bytes)
{
	(void)model;
	note("read", mapped_at + offset, bytes, 0);
	return 0x1401;
}

static void model_write(void *model, u32 offset, u32 bytes, u32 value)
{
	(void)model;
	note("mem", mapped_at + offset, bytes, value);
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	if (m.no_memory || pa < MEM_BASE || pa + bytes > MEM_END)
		return NULL;
	mapped_at = (u32)(pa - MEM_BASE);
	handle = (struct mmio) {.read = model_read, .write = model_write};
	return &handle;
}

u32 pci_read(u32 bdf, u32 offset)
{
	note("pciread", bdf, offset, 0);
	return m.config;
}

void pci_write(u32 bdf, u32 offset, u32 value)
{
	note("pci", bdf, offset, value);
}

static void start(void)
{
	static const struct host_io io = {model_in, model_out, NULL};

	memset(&m, 0, sizeof(m));
	host_reset_all();
	host_io_set(&io);
}

static struct acpi_register io_at(u64 port)
{
	return (struct acpi_register) {port, ACPI_SPACE_IO, 2};
}

static struct acpi_register memory_at(u64 pa)
{
	return (struct acpi_register) {pa, ACPI_SPACE_MEMORY, 1};
}

/* Bounded also in time: three seconds for each of two waits. */
static void try_off(const struct acpi_power *p, const char *want)
{
	u64 begin = clock_us();

	assert_int_equal(power_off(p), E_POWEROFF);
	assert_string_equal(m.log, want);
	assert_true(clock_us() - begin < 6100000);
	assert_int_equal(host_reset_action(), -1);
}

static void test_pm1(void **state)
{
	struct acpi_power p = {.has_s5 = true, .s5_a = 5, .s5_b = 2, .pm1a = io_at(PM1A)};
	u64 begin;

	(void)state;
	start();
	m.pm1a = 0x3c03; /* the old type and the enable bit go, all else stays */
	begin = clock_us();
	try_off(&p, "io 604/2=1403, io 604/2=3403");
	assert_true(clock_us() - begin > 2900000);

	start();
	m.pm1a = SCI_EN;
	m.pm1b = 0x1c00;
	p.pm1b = io_at(PM1B);
	try_off(&p, "io 604/2=1401, io 704/2=800, io 604/2=3401, io 704/2=2800");
}

static void test_acpi_mode(void **state)
{
	struct acpi_power p = {.has_s5 = true,
		.s5_a = 1,
		.pm1a = io_at(PM1A),
		.smi_command = SMI,
		.acpi_enable = 0xf1};
	u64 begin;

	(void)state;
	start();
	m.smi_polls = 100;
	begin = clock_us();
	try_off(&p, "io b2/1=f1, io 604/2=401, io 604/2=2401");
	assert_true(clock_us() - begin < 3100000);

	start(); /* it is already */
	m.pm1a = SCI_EN;
	try_off(&p, "io 604/2=401, io 604/2=2401");

	start(); /* it never gets there: tried all the same */
	begin = clock_us();
	try_off(&p, "io b2/1=f1, io 604/2=400, io 604/2=2400");
	assert_true(clock_us() - begin > 5900000);

	start();
	p.smi_command = 0;
	try_off(&p, "io 604/2=400, io 604/2=2400");
}

static void test_sleep_control(void **state)
{
	struct acpi_power p = {.has_s5 = true,
		.s5_a = 5,
		.sleep_control = memory_at(0xfea00200),
		.pm1a = io_at(PM1A)};

	(void)state;
	start();
	try_off(&p, "mem 200/1=34");
	start();
	p.sleep_control = io_at(0x600);
	try_off(&p, "io 600/1=34");
}

static void test_pm1_in_memory(void **state)
{
	struct acpi_power p = {.has_s5 = true, .s5_a = 7, .pm1a = memory_at(0xfea003fe)};

	(void)state;
	start();
	try_off(&p, "read 3fe/2=0, read 3fe/2=0, mem 3fe/2=1c01, mem 3fe/2=3c01");
}

/* Nothing is written, nothing waited for. */
static void test_no_way(void **state)
{
	static const struct acpi_power none[] = {
		{.has_s5 = false,
			.pm1a = {PM1A, ACPI_SPACE_IO, 2},
			.sleep_control = {0x600, ACPI_SPACE_IO, 1}},
		{.has_s5 = true},
		{.has_s5 = true, .pm1a = {0x999, ACPI_SPACE_IO, 2}}, /* open bus */
		{.has_s5 = true, .pm1a = {0x10604, ACPI_SPACE_IO, 2}},
		{.has_s5 = true, .pm1a = {PM1A, ACPI_SPACE_PCI, 2}},
		{.has_s5 = true, .pm1a = {0xd0000000, ACPI_SPACE_MEMORY, 2}},
		{.has_s5 = true, .pm1b = {PM1B, ACPI_SPACE_IO, 2}},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		u64 begin;

		start();
		begin = clock_us();
		try_off(&none[i], "");
		assert_true(clock_us() - begin < 1000);
	}
}

/* A second register that can not be reached does not stop the first. */
static void test_no_pm1b(void **state)
{
	struct acpi_power p = {
		.has_s5 = true, .s5_a = 5, .pm1a = io_at(PM1A), .pm1b = memory_at(0xfea00000)};

	(void)state;
	start();
	m.no_memory = true;
	try_off(&p, "io 604/2=1400, io 604/2=3400");
}

static void leave(const struct acpi_power *p, enum machine_action action, const char *want)
{
	u64 begin = clock_us();

	power_leave(p, action);
	assert_string_equal(m.log, want);
	assert_int_equal(host_reset_action(), action);
	assert_true(clock_us() - begin < 600000);
	if (want[0])
		assert_true(clock_us() - begin > 400000);
	else
		assert_true(clock_us() - begin < 1000);
}

static void test_reset(void **state)
{
	struct acpi_power p = {.reset = {0xcf9, ACPI_SPACE_IO, 1}, .reset_value = 0x0f};

	(void)state;
	start();
	leave(&p, ACTION_REBOOT, "io cf9/1=7");
	start();
	p.reset.bytes = 4; /* a byte always (s4.8.3.6) */
	leave(&p, ACTION_REBOOT, "io cf9/1=7");
	start();
	p.reset = memory_at(0xfea00202);
	p.reset_value = 0x42;
	leave(&p, ACTION_REBOOT, "mem 202/1=42");
	start();
	m.no_memory = true;
	leave(&p, ACTION_REBOOT, "");
	start();
	p.reset = (struct acpi_register) {0x64, 9, 1};
	leave(&p, ACTION_REBOOT, "");
	start();
	p.reset.address = 0;
	leave(&p, ACTION_REBOOT, "");
}

static void test_reset_by_pci(void **state)
{
	static const struct {
		u64 address;
		const char *want;
	} cases[] = {
		{0x1f00030040ull, "pciread fb/64=0, pci fb/64=332211fe"},
		{0x1f00030041ull, "pciread fb/64=0, pci fb/64=3322fe00"},
		{0x0000000046ull, "pciread 0/68=0, pci 0/68=33fe1100"},
		{0x1f000700ffull, "pciread ff/252=0, pci ff/252=fe221100"},
	};
	struct acpi_power p = {.reset = {0, ACPI_SPACE_PCI, 1}, .reset_value = 0xfe};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		start();
		m.config = 0x33221100;
		p.reset.address = cases[i].address;
		leave(&p, ACTION_REBOOT, cases[i].want);
	}
}

/* Halt, and power off after it failed: no register is touched. */
static void test_halt(void **state)
{
	struct acpi_power p = {.reset = {0xcf9, ACPI_SPACE_IO, 1},
		.reset_value = 6,
		.has_s5 = true,
		.pm1a = io_at(PM1A)};

	(void)state;
	start();
	leave(&p, ACTION_HALT, "");
	start();
	leave(&p, ACTION_POWEROFF, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pm1),
		cmocka_unit_test(test_acpi_mode),
		cmocka_unit_test(test_sleep_control),
		cmocka_unit_test(test_pm1_in_memory),
		cmocka_unit_test(test_no_way),
		cmocka_unit_test(test_no_pm1b),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_by_pci),
		cmocka_unit_test(test_halt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
