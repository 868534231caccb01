/*
 * What is on a target already.
 */
#ifndef MKDUMPDISK_PROBE_H
#define MKDUMPDISK_PROBE_H

#include "target.h"

/*
 * True, after the message, if @t holds dumps that were not cleared, partitions, a file
 * system, swap, RAID or LVM data, anything unknown, or cannot be read. Reads only.
 */
bool probe_holds_data(const struct target *t) MUST_CHECK;

#endif
