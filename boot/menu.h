/*
 * The few seconds in which the console can be asked for something else.
 */
#ifndef AFTERIMAGE_MENU_H
#define AFTERIMAGE_MENU_H

#include "choose.h"

/*
 * Offers to capture, to capture with another level (c->level), to boot on, to switch off.
 * Without a key it is @way, after c->seconds for a capture and at once for anything else; a key
 * that was pressed before counts. Every wait in it is bounded, and so are the keys that it takes.
 */
enum choose_way menu_ask(struct choose *c, enum choose_way way) MUST_CHECK;

#endif
