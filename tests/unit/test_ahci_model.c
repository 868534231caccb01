/*
 * The modelled HBA itself, by a host that keeps the rules and then breaks them one at a time:
 * tests of the driver are worth as much as what the model notices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/host/ports_mem.h"
#include "tests/model/ahci_model.h"

#define RAM_BYTES  (1u * MIB)
#define DISK_BYTES (256u * KIB)
#define LIST_PA	   0x1000u
#define FIS_PA	   0x1400u
#define TABLE_PA   0x2000u
#define DATA_PA	   0x8000u

struct rig {
	struct ahci_model m;
	u8 *ram;
	u8 disk[DISK_BYTES];
	u8 kept[DISK_BYTES];
};

static u32 get(struct rig *r, u32 offset)
{
	return r->m.regs.read32(&r->m, offset);
}

static u32 pget(struct rig *r, u32 offset)
{
	return get(r, HBA_PORTS + offset);
}

static void pset(struct rig *r, u32 offset, u32 value)
{
	r->m.regs.write32(&r->m, HBA_PORTS + offset, value);
}

static void set(struct rig *r, u32 offset, u32 value)
{
	r->m.regs.write32(&r->m, offset, value);
}

static void make(struct rig *r)
{
	host_reset_all();
	pci_model_reset();
	r->ram = calloc(1, RAM_BYTES);
	assert_non_null(r->ram);
	host_ram_set(r->ram, RAM_BYTES);
	memset(r->disk, 0x5a, DISK_BYTES);
	memset(r->kept, 0x5a, DISK_BYTES);
	ahci_model_init(&r->m, AHCI_MODEL_BDF, 2);
	ahci_model_disk(&r->m, 0, r->disk, r->kept, DISK_BYTES, 512);
	r->m.fn->config[1] |= PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	r->m.fn->mapped_bytes = HBA_PORTS + 2 * HBA_PORT;
}

static void drop(struct rig *r)
{
	ahci_model_free(&r->m);
	free(r->ram);
	host_reset_all();
}

/* Reset, lists, link, ready, started. */
static void bring_up(struct rig *r)
{
	set(r, HBA_GHC, GHC_AE | GHC_HR);
	for (u32 i = 0; i < 5000 && get(r, HBA_GHC) & GHC_HR; i++)
		;
	pset(r, PX_CLB, LIST_PA);
	pset(r, PX_FB, FIS_PA);
	pset(r, PX_CMD, CMD_FRE | CMD_SUD);
	host_clock_advance_us(20000);
	assert_int_equal(pget(r, PX_SSTS) & 15, 3);
	assert_true(pget(r, PX_TFD) & STS_BSY);
	host_clock_advance_us(5000);
	assert_true(pget(r, PX_TFD) & STS_BSY); /* the exchange was not acknowledged */
	pset(r, PX_SERR, ~0u);
	assert_int_equal(pget(r, PX_TFD), 0x0150);
	assert_int_equal(pget(r, PX_SIG), SIG_ATA);
	pset(r, PX_IS, ~0u);
	pset(r, PX_CMD, CMD_FRE | CMD_SUD | CMD_ST);
	assert_int_equal(r->m.protocol_errors, 0);
}

/* Builds a command of one PRD in @slot. */
static void build(struct rig *r, u32 slot, u8 command, u64 lba, u32 bytes)
{
	u32 table_pa = TABLE_PA + slot * 0x100;
	bool write = command == ATA_WRITE_FPDMA || command == ATA_WRITE_DMA_EXT;
	bool queued = command == ATA_WRITE_FPDMA || command == ATA_READ_FPDMA;
	u32 header[8] = {5 | (write ? HDR_W : 0) | (bytes ? 1u << 16 : 0), 0, table_pa};
	u32 prd[4] = {DATA_PA + slot * 0x1000, 0, 0, bytes - 1};
	u8 fis[20] = {FIS_H2D, FIS_C, command};
	u32 count = bytes / 512;

	fis[4] = (u8)lba;
	fis[5] = (u8)(lba >> 8);
	fis[7] = DEV_LBA;
	fis[3] = (u8)(queued ? count : 0);
	fis[12] = (u8)(queued ? slot << 3 : count);
	memcpy(r->ram + LIST_PA + slot * HEADER_BYTES, header, sizeof(header));
	memcpy(r->ram + table_pa, fis, sizeof(fis));
	memcpy(r->ram + table_pa + TABLE_PRDT, prd, sizeof(prd));
}

static void issue(struct rig *r, u32 slots, bool queued)
{
	if (queued)
		pset(r, PX_SACT, slots);
	pset(r, PX_CI, slots);
	host_clock_advance_us(5000);
	pget(r, PX_IS);
}

static void test_commands(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	make(r);
	bring_up(r);
	build(r, 0, ATA_IDENTIFY, 0, 512);
	issue(r, 1, false);
	assert_int_equal(pget(r, PX_CI), 0);
	assert_int_equal(r->ram[DATA_PA + 2 * 60 + 1], (DISK_BYTES / 512) >> 8);
	assert_int_equal(r->ram[LIST_PA + 5], 2); /* PRDBC is 512 */
	for (u32 slot = 0; slot < 8; slot++) {
		build(r, slot, ATA_WRITE_FPDMA, slot * 8, 4096);
		memset(r->ram + DATA_PA + slot * 4096, (int)slot, 4096);
	}
	issue(r, 0xff, true);
	assert_int_equal(pget(r, PX_SACT) | pget(r, PX_CI), 0);
	for (u32 slot = 0; slot < 8; slot++)
		assert_memory_equal(r->disk + slot * 4096, r->ram + DATA_PA + slot * 4096, 4096);
	assert_int_equal(r->kept[4096], 0x5a);
	build(r, 3, ATA_FLUSH_EXT, 0, 0);
	issue(r, 8, false);
	assert_int_equal(pget(r, PX_CI), 0);
	assert_memory_equal(r->kept, r->disk, DISK_BYTES);
	build(r, 3, ATA_READ_DMA_EXT, 16, 4096);
	issue(r, 8, false);
	assert_memory_equal(r->ram + DATA_PA + 3 * 4096, r->disk + 16 * 512, 4096);
	assert_int_equal(r->m.protocol_errors, 0);
	assert_int_equal(r->m.stray_dma, 0);
	drop(r);
	free(r);
}

/* A queued command fails: the rest is dropped, nothing works until the log was read. */
static void test_error_and_log(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	make(r);
	r->m.port[0].disk.bad_lba = 18;
	bring_up(r);
	for (u32 slot = 0; slot < 4; slot++)
		build(r, slot, ATA_WRITE_FPDMA, slot * 8, 4096);
	issue(r, 15, true);
	assert_int_equal(pget(r, PX_SACT), 12);
	assert_int_equal(pget(r, PX_TFD) & (STS_ERR | STS_BSY), STS_ERR);
	assert_true(pget(r, PX_IS) & IS_TFES);
	for (u32 i = 0; i < 2; i++) {
		pset(r, PX_CMD, CMD_FRE | CMD_SUD);
		host_clock_advance_us(100);
		assert_int_equal(pget(r, PX_CMD) & CMD_CR, 0);
		assert_int_equal(pget(r, PX_SACT), 0);
		pset(r, PX_SERR, ~0u);
		pset(r, PX_IS, ~0u);
		pset(r, PX_CMD, CMD_FRE | CMD_SUD | CMD_ST);
		build(r, 0, i ? ATA_READ_LOG_EXT : ATA_IDENTIFY, i ? LOG_NCQ : 0, 512);
		issue(r, 1, false);
	}
	assert_int_equal(pget(r, PX_CI), 0);
	assert_int_equal(r->ram[DATA_PA], 2);
	build(r, 3, ATA_WRITE_FPDMA, 24, 4096);
	issue(r, 8, true);
	assert_int_equal(pget(r, PX_SACT), 0);
	assert_int_equal(r->m.protocol_errors, 0);
	drop(r);
	free(r);
}

static void test_power_loss(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	make(r);
	bring_up(r);
	build(r, 0, ATA_WRITE_DMA_EXT, 8, 512);
	issue(r, 1, false);
	assert_int_equal(r->disk[8 * 512], 0);
	r->m.read_fault = AHCI_READ_POWER_BACK;
	r->m.read_fault_at = r->m.reads + 1;
	assert_true(pget(r, PX_IS) & IS_PCS);
	assert_int_equal(r->disk[8 * 512], 0x5a);
	host_clock_advance_us(20000);
	pget(r, PX_TFD);
	host_clock_advance_us(20000);
	assert_true(pget(r, PX_TFD) & STS_BSY);
	pset(r, PX_SERR, ~0u);
	assert_int_equal(pget(r, PX_TFD), 0x0150);
	drop(r);
	free(r);
}

/* What a host must not do, each in a fresh rig. */
static void offend(struct rig *r, u32 how)
{
	u32 up = CMD_FRE | CMD_SUD | CMD_ST;

	switch (how) {
	case 0:
		pset(r, PX_CLB, LIST_PA);
		break;
	case 1:
		pset(r, PX_FB, FIS_PA);
		break;
	case 2:
		pset(r, PX_CMD, up & ~CMD_ST);
		pset(r, PX_CMD, up); /* CR is still set */
		break;
	case 3:
		pset(r, PX_CMD, CMD_SUD);
		break;
	case 4:
		pset(r, PX_CMD, up & ~CMD_ST);
		pset(r, PX_CI, 1);
		break;
	case 5:
		pset(r, PX_SCTL, 1);
		break;
	case 6:
		build(r, 0, ATA_READ_FPDMA, 0, 512);
		build(r, 1, ATA_READ_DMA_EXT, 0, 512);
		pset(r, PX_SACT, 1);
		pset(r, PX_CI, 3);
		break;
	case 7:
		build(r, 0, ATA_READ_FPDMA, 0, 512);
		pset(r, PX_CI, 1);
		break;
	case 8:
		get(r, HBA_PORTS + HBA_PORT * 2 + PX_CMD);
		break;
	case 9:
		build(r, 0, ATA_READ_DMA_EXT, 0, 512);
		pset(r, PX_CI, 1);
		pset(r, PX_CI, 1);
		break;
	case 10:
		build(r, 0, ATA_READ_DMA_EXT, 0, 513);
		issue(r, 1, false);
		break;
	case 11:
		build(r, 0, ATA_READ_FPDMA, 0, 512);
		pset(r, PX_SACT, 1);
		pset(r, PX_CI, 1);
		pset(r, PX_CMD, up & ~CMD_ST);
		host_clock_advance_us(100);
		pset(r, PX_CMD, up); /* the drive still has it */
		pset(r, PX_SACT, 1);
		pset(r, PX_CI, 1);
		break;
	case 12:
		set(r, HBA_GHC, GHC_AE | GHC_HR);
		pget(r, PX_CMD);
		break;
	case 13:
		set(r, HBA_BOHC, 2);
		break;
	case 14:
		pset(r, PX_CMD, up & ~CMD_ST);
		host_clock_advance_us(100);
		pset(r, PX_SCTL, 1);
		pset(r, PX_SCTL, 0); /* too early */
		break;
	default:
		r->m.cap &= ~CAP_S64A;
		build(r, 0, ATA_READ_DMA_EXT, 0, 512);
		r->ram[LIST_PA + 12] = 1;
		issue(r, 1, false);
		break;
	}
}

static void test_rules_are_noticed(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	for (u32 how = 0; how < 16; how++) {
		make(r);
		bring_up(r);
		offend(r, how);
		if (r->m.protocol_errors == 0)
			print_error("offence %u\n", how);
		assert_true(r->m.protocol_errors > 0);
		drop(r);
	}
	free(r);
}

static void test_bios(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	for (u32 how = 0; how < 4; how++) {
		make(r);
		r->m.cap2 = CAP2_BOH;
		r->m.bohc = BOHC_BOS;
		r->m.bios = how == 3 ? AHCI_BIOS_SLOW : AHCI_BIOS_STUCK;
		r->m.bios_us = 3000000;
		if (how > 0)
			set(r, HBA_BOHC, BOHC_BOS | BOHC_OOS);
		if (how > 1)
			host_clock_advance_us(30000);
		pset(r, PX_CMD, CMD_SUD);
		/* Only who asked and waited may, and BB makes that longer. */
		assert_int_equal(r->m.protocol_errors, how == 2 ? 0 : 1);
		drop(r);
	}
	free(r);
}

static void test_old_commands_are_stray(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	(void)state;
	make(r);
	ahci_model_leave_running(&r->m, 0, 0x80000, 31);
	get(r, HBA_CAP);
	assert_true(r->m.stray_dma > 0);
	drop(r);
	make(r);
	ahci_model_leave_running(&r->m, 0, 0x80000, 31);
	r->m.fn->config[1] &= ~PCI_MODEL_MASTER;
	get(r, HBA_CAP);
	assert_int_equal(pget(r, PX_SACT), 0x7fffffff);
	assert_int_equal(r->m.stray_dma, 0);
	drop(r);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_error_and_log),
		cmocka_unit_test(test_power_loss),
		cmocka_unit_test(test_rules_are_noticed),
		cmocka_unit_test(test_bios),
		cmocka_unit_test(test_old_commands_are_stray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
