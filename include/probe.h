/*
 * Which functions are disk controllers, and which of our drivers is theirs.
 */
#ifndef AFTERIMAGE_PROBE_H
#define AFTERIMAGE_PROBE_H

#include "blk.h"

/* The driver of @dev; NULL if there is none. */
const struct blk_driver *probe_driver(const struct pci_dev *dev);

/*
 * What hides disks from us in @dev and what to change, for a message: "Intel VMD (switch VMD off
 * in the firmware setup)". NULL if it is driven or has nothing to do with disks.
 */
const char *probe_hidden(const struct pci_dev *dev);

#endif
