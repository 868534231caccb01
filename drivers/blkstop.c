/*
 * How every driver stops: first all requests to their ends, last of all the controller's right
 * to do DMA. Apart from blk.c because the tools, which have files for disks, know no PCI.
 */
#include "blk.h"

enum status blk_drain(struct blk *blk)
{
	enum status st = blk->dead;

	/* Every request has a deadline, so this ends. */
	while (blk->inflight > 0 && st == OK)
		st = blk->ops->poll(blk);
	return st;
}

enum status blk_silence(struct blk *blk, const struct pci_dev *dev, enum status stopped)
{
	enum status off = pci_disable_dma(dev);
	enum status st = stopped == OK ? off : stopped;

	blk->silent = off == OK;
	blk_die(blk, st == OK ? E_DEVICE_GONE : st);
	return st;
}
