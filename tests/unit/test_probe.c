/*
 * What controllers are called that hide their disks, and that nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "probe.h"
#include "tests/host/ports_mem.h"
#include "tests/model/pci_model.h"

#define INTEL  0x8086
#define REDHAT 0x1b36
#define VIRTIO 0x1af4

struct named {
	u16 vendor, device;
	u32 class;
	const char *word; /* in its name; NULL: it has none */
};

static const struct named all[] = {
	{INTEL, 0x201d, 0x010400, "VMD off"},
	{INTEL, 0x28c0, 0x010400, "VMD off"},
	{INTEL, 0x467f, 0x010400, "VMD off"},
	{INTEL, 0x4c3d, 0x010400, "VMD off"},
	{INTEL, 0x7d0b, 0x010400, "VMD off"},
	{INTEL, 0x9a0b, 0x010400, "VMD off"},
	{INTEL, 0xa77f, 0x010400, "VMD off"},
	{INTEL, 0xad0b, 0x010400, "VMD off"},
	{INTEL, 0xb06f, 0x010400, "VMD off"},
	{INTEL, 0xb07f, 0x010400, "VMD off"},
	{INTEL, 0xb60b, 0x010400, "VMD off"},
	{REDHAT, 0x201d, 0x010400, "a RAID controller"},
	{INTEL, 0x2822, 0x010400, "RST (choose AHCI"},
	{0x1022, 0x43bd, 0x010400, "a RAID controller"},
	{INTEL, 0x7010, 0x010180, "IDE mode (choose AHCI"},
	{0x1000, 0x0012, 0x010000, "a SCSI"},
	{0x1000, 0x0097, 0x010700, "a SAS"},
	{REDHAT, 0x0013, 0x010901, "a UFS"},
	{REDHAT, 0x0007, 0x080501, "an SD or eMMC"},
	{VIRTIO, 0x1004, 0x010000, "virtio-scsi"},
	{VIRTIO, 0x1048, 0x010000, "virtio-scsi"},
	{VIRTIO, 0x1000, 0x020000, NULL},
	{VIRTIO, 0x1009, 0x010000, NULL}, /* 9p */
	{REDHAT, 0x0010, 0x010802, NULL}, /* driven */
	{INTEL, 0x31e8, 0x0c0330, NULL},  /* USB may hide a disk, and may not */
	{INTEL, 0x201d, 0x060400, NULL},
	{REDHAT, 0x0005, 0x080501 ^ 0x000600, NULL},
};

static void test_names(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
		struct pci_dev dev = {.bdf = 0x20,
			.vendor = all[i].vendor,
			.device = all[i].device,
			.class = all[i].class};
		const char *name;

		host_reset_all();
		pci_model_reset();
		name = probe_hidden(&dev);
		if (!all[i].word)
			assert_null(name);
		else
			assert_non_null(strstr(name, all[i].word));
	}
}

/* A virtio disk that is not driven has no interface that could be used. */
static void test_old_virtio(void **state)
{
	static const u16 devices[] = {0x1001, 0x1042};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(devices); i++) {
		struct pci_dev dev = {
			.bdf = 0x20, .vendor = VIRTIO, .device = devices[i], .class = 0x010000};
		const char *name;

		pci_model_reset();
		name = probe_hidden(&dev);
		assert_true(
			probe_driver(&dev) ? !name : strstr(name, "disable-modern=off") != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_old_virtio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
