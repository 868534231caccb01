/*
 * What the AHCI driver does when a command fails or the port does not do what it should
 * (AHCI 1.3.1 s6.2.2): finds the command, restarts the list, resets the port, and sends again
 * what was not done.
 */
#include "ahcivar.h"

/* Nothing that was sent counts; all of it is sent again. */
static void hold_all(struct ahci *a)
{
	a->held |= a->sent;
	a->sent = 0;
	a->tagged = 0;
}

enum status ahci_port_reset(struct ahci *a, enum status why)
{
	enum status st;

	if (why == E_DEVICE_GONE || a->blk.resets > 0)
		return blk_die(&a->blk, why);
	a->blk.resets++;
	hold_all(a);
	st = ahci_port_stop(a);
	if (st == OK)
		st = ahci_port_start(a);
	if (st == OK)
		st = ahci_disk_same(a);
	if (st != OK)
		return blk_die(&a->blk, st == E_NO_PARTITION ? E_DEVICE_GONE : st);
	ahci_issue(a);
	return OK;
}

static bool log_good(const u8 *log)
{
	u8 sum = 0;

	for (u32 i = 0; i < ATA_LOG_BYTES; i++)
		sum = (u8)(sum + log[i]);
	return sum == 0 && log[ATA_NCQ_STATUS] & ATA_STATUS_ERR &&
	       !(log[ATA_NCQ_TAG] & ATA_NCQ_TAG_NONE);
}

/*
 * The disk's word which queued command failed; until it is read the disk refuses all others
 * (SATA s13.7). A disk that does not name one of ours gets commands one by one from now on:
 * then it is clear which one fails.
 */
static enum status log_ask(struct ahci *a)
{
	enum status st = ahci_ask(a, ATA_READ_LOG_EXT, ATA_LOG_NCQ_ERROR);
	u32 tag = ATA_NCQ_TAG_OF(a->data[ATA_NCQ_TAG]);

	if (st == OK && log_good(a->data) && a->held & ahci_bit(tag)) {
		ahci_slot_failed(a, tag);
		return OK;
	}
	a->queued = false;
	a->at_once = 1;
	return st;
}

/* The command that the HBA was at, if it is one of ours. */
static u32 current(const struct ahci *a)
{
	if ((a->sent & (a->sent - 1)) == 0)
		return a->sent;
	return a->sent & ahci_bit(AHCI_PXCMD_CCS(ahci_port_reg(a, AHCI_PXCMD)));
}

enum status ahci_recover(struct ahci *a, u32 is, u32 pending)
{
	bool queued = a->tagged != 0;
	u32 failed = queued ? 0 : current(a);
	enum status st;

	ahci_reap(a, a->sent & ~(pending | failed));
	queued = queued && a->sent;
	hold_all(a);
	/* Without the disk's word it may still be at a command that was not queued. */
	if (!queued && (!failed || !(is & AHCI_PXIS_TFES)))
		return ahci_port_reset(a, E_FATAL);
	st = ahci_list_restart(a);
	if (st == OK && queued)
		st = log_ask(a);
	if (st != OK) {
		/* It will not say any more which one it was. */
		a->queued = false;
		a->at_once = 1;
		return ahci_port_reset(a, st);
	}
	for (u32 i = 0; i < a->slots; i++) {
		if (failed & ahci_bit(i))
			ahci_slot_failed(a, i);
	}
	ahci_issue(a);
	return OK;
}
