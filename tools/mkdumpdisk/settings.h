/*
 * mkdumpdisk --settings: what a dump disk does when it is started, shown or changed.
 */
#ifndef MKDUMPDISK_SETTINGS_H
#define MKDUMPDISK_SETTINGS_H

#include "options.h"
#include "types.h"

/* What --settings asks for. False: reported. */
bool settings_act(const struct options *o) MUST_CHECK;

#endif
