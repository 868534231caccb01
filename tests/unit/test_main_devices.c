/*
 * Whole dumps on NVMe, AHCI and virtio disks that misbehave in every way they can, at
 * commands and register reads all over the dump. See devices_rig.h for what must be true
 * whatever happens.
 */
#include "tests/unit/devices_rig.h"

/*
 * The longest a dump may take. A disk is given up within 90 s of a request, and a start and a stop
 * have deadlines of their own; an operator gets 5 s to read why.
 */
#define LIMIT_US (200ull * 1000000)

#define POINTS	7u /* places in a dump to look at, for each kind of fault */
#define LASTING 2u

static struct nvme_model nvme;
static struct ahci_model ahci;
static struct virtio_model virtio;

static void nvme_make(void)
{
	nvme_model_init(&nvme, DEV_BDF);
	nvme_model_add(&nvme, 1, dev_disk, DEV_BLOCKS, 9);
	nvme.dma_first = DEV_ARENA_PA;
	nvme.dma_end = DEV_ARENA_PA + DEV_ARENA_BYTES;
	nvme.write_first = DEV_FIRST;
	nvme.write_end = DEV_LAST + 1;
	nvme.us_per_read = DEV_READ_US;
	nvme.delay_reads = 1;
	nvme.caches = nvme.loses = true;
}

static void nvme_fault(u32 kind, u64 at, u64 count)
{
	nvme.fault = (enum nvme_fault)kind;
	nvme.fault_at = at;
	nvme.fault_count = count;
	nvme.abort = (enum nvme_abort)(at % NVME_ABORTS);
}

static void nvme_read_fault(u32 kind, u64 at)
{
	nvme.read_fault = (enum nvme_read_fault)kind;
	nvme.read_fault_at = at;
}

static u64 nvme_commands(void)
{
	return nvme.commands;
}

static u64 nvme_reads(void)
{
	return nvme.reads;
}

static u32 nvme_broken(void)
{
	return nvme.stray_writes + nvme.stray_dma + nvme.protocol_errors + nvme.fn->pins +
	       pci_model_masters(nvme.fn);
}

static void nvme_cut(void)
{
	nvme_model_cut(&nvme);
}

static void ahci_make(void)
{
	struct ahci_model_disk *d;

	ahci_model_free(&ahci);
	ahci_model_init(&ahci, DEV_BDF, 1);
	d = ahci_model_disk(&ahci, 0, dev_disk, dev_kept, DEV_DISK_BYTES, 512);
	d->write_first = DEV_FIRST;
	d->write_end = DEV_LAST + 1;
	ahci.dma_first = DEV_ARENA_PA;
	ahci.dma_end = DEV_ARENA_PA + DEV_ARENA_BYTES;
	ahci.us_per_read = DEV_READ_US;
}

static void ahci_fault(u32 kind, u64 at, u64 count)
{
	ahci.fault = (enum ahci_fault)kind;
	ahci.fault_at = at;
	ahci.fault_count = count;
}

static void ahci_read_fault(u32 kind, u64 at)
{
	ahci.read_fault = (enum ahci_read_fault)kind;
	ahci.read_fault_at = at;
}

static u64 ahci_commands(void)
{
	return ahci.commands;
}

static u64 ahci_reads(void)
{
	return ahci.reads;
}

static u32 ahci_broken(void)
{
	if (ahci.broken)
		print_message("%s\n", ahci.broken);
	return ahci.stray_writes + ahci.stray_dma + ahci.protocol_errors + ahci.fn->pins +
	       pci_model_masters(ahci.fn);
}

static void kept_cut(void)
{
	dev_copy(dev_disk, dev_kept);
}

static void virtio_make(void)
{
	virtio_model_init(&virtio, DEV_BDF, dev_disk, dev_kept, DEV_DISK_BYTES);
	virtio.dma_first = DEV_ARENA_PA;
	virtio.dma_end = DEV_ARENA_PA + DEV_ARENA_BYTES;
	virtio.write_first = DEV_FIRST;
	virtio.write_end = DEV_LAST + 1;
	virtio.us_per_read = DEV_READ_US;
	virtio.delay_reads = 1;
	virtio.forgets_cache = true;
}

static void virtio_fault(u32 kind, u64 at, u64 count)
{
	virtio.fault = (enum virtio_fault)kind;
	virtio.fault_at = at;
	virtio.fault_count = count;
}

static void virtio_read_fault(u32 kind, u64 at)
{
	virtio.read_fault = (enum virtio_read_fault)kind;
	virtio.read_fault_at = at;
}

static u64 virtio_commands(void)
{
	return virtio.commands;
}

static u64 virtio_reads(void)
{
	return virtio.reads;
}

static u32 virtio_broken(void)
{
	if (virtio.broken)
		print_message("%s\n", virtio.broken);
	return virtio.stray_writes + virtio.stray_dma + virtio.protocol_errors + virtio.fn->pins +
	       pci_model_masters(virtio.fn);
}

static const struct device devices[] = {
	{"nvme", NVME_FAULTS, NVME_READ_FAULTS, nvme_make, nvme_fault, nvme_read_fault,
		nvme_commands, nvme_reads, nvme_broken, nvme_cut},
	{"ahci", AHCI_FAULTS, AHCI_READ_FAULTS, ahci_make, ahci_fault, ahci_read_fault,
		ahci_commands, ahci_reads, ahci_broken, kept_cut},
	{"virtio", VIRTIO_FAULTS, VIRTIO_READ_FAULTS, virtio_make, virtio_fault, virtio_read_fault,
		virtio_commands, virtio_reads, virtio_broken, kept_cut},
};

/* The @i-th of @points places among @total, others for each @kind. */
static u64 place(u32 i, u32 points, u64 total, u32 kind)
{
	u64 at = 1 + (i * total + kind * total / 16) / points;

	return 1 + at % total;
}

static void every_command(const struct device *d, u64 total)
{
	for (u32 kind = 1; kind < d->faults; kind++) {
		for (u32 i = 0; i < POINTS + LASTING; i++) {
			bool lasting = i >= POINTS;
			u32 points = lasting ? LASTING : POINTS;
			u64 at = place(lasting ? i - POINTS : i, points, total, kind);

			dev_make(d);
			d->fault(kind, at, lasting ? DEV_FOREVER : 1);
			dev_run(d, LIMIT_US);
		}
	}
}

static void every_read(const struct device *d, u64 total)
{
	for (u32 kind = 1; kind < d->read_faults; kind++) {
		for (u32 i = 0; i < POINTS; i++) {
			dev_make(d);
			d->read_fault(kind, place(i, POINTS, total, kind));
			dev_run(d, LIMIT_US);
		}
	}
}

static void every_fault(const struct device *d)
{
	u64 commands, reads;

	dev_complete = dev_incomplete = dev_none = 0;
	dev_longest_us = 0;
	dev_make(d);
	dev_run(d, LIMIT_US);
	assert_int_equal(dev_complete, 1);
	commands = d->commands();
	reads = d->reads();
	every_command(d, commands);
	every_read(d, reads);
	dev_same(dev_disk + DEV_HEAD_BYTES, dev_blank + DEV_HEAD_BYTES,
		DEV_DISK_BYTES - DEV_HEAD_BYTES - DEV_TAIL_BYTES);
	print_message("%s: %u commands and %u register reads in a dump; with faults %u complete, "
		      "%u incomplete, %u none; the longest took %u s\n",
		d->name, (u32)commands, (u32)reads, dev_complete, dev_incomplete, dev_none,
		(u32)(dev_longest_us / 1000000));
	assert_true(dev_complete > 20 && dev_incomplete > 20 && dev_none > 20);
}

static void test_nvme(void **state)
{
	(void)state;
	every_fault(&devices[0]);
}

/*
 * What a disk gets over by a reset is no reason for less than a whole dump, unless the reset
 * cost it what it had not written yet: that is noticed.
 */
static void test_nvme_gets_over(void **state)
{
	static const enum nvme_fault faults[] = {NVME_FAULT_NEVER, NVME_FAULT_PHASE, NVME_FAULT_CID,
		NVME_FAULT_FATAL, NVME_FAULT_RESET, NVME_FAULT_SPURIOUS};
	const struct device *d = &devices[0];
	u32 lost = 0, kept = 0;
	u64 commands;

	(void)state;
	dev_make(d);
	dev_run(d, LIMIT_US);
	commands = d->commands();
	for (u32 i = 0; i < ARRAY_SIZE(faults) * POINTS * 2; i++) {
		u32 kind = i / POINTS / 2;

		dev_make(d);
		d->fault(faults[kind], place(i % POINTS, POINTS, commands, kind), 1);
		nvme.loses = i / POINTS % 2;
		dev_complete = 0;
		dev_run(d, LIMIT_US);
		kept += nvme.loses && dev_complete;
		if (nvme.loses && !dev_complete) {
			assert_int_equal(dev_count("afterimage: dump 1 incomplete: E58 "), 1);
			lost++;
		} else {
			assert_int_equal(dev_complete, 1);
		}
	}
	assert_true(lost > 10 && kept > 5);
}

static void test_ahci(void **state)
{
	(void)state;
	every_fault(&devices[1]);
	ahci_model_free(&ahci);
}

static void test_virtio(void **state)
{
	(void)state;
	every_fault(&devices[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nvme, dev_setup),
		cmocka_unit_test_setup(test_nvme_gets_over, dev_setup),
		cmocka_unit_test_setup(test_ahci, dev_setup),
		cmocka_unit_test_setup(test_virtio, dev_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
