/*
 * The menu on the console: one line, one key. Characters that mean nothing are not taken for
 * somebody who is there: serial lines make them.
 */
#include "ports.h"
#include "str.h"
#include "boot/menu.h"

#define SECOND_US 1000000u
#define TYPING_S  30u /* for a level, once its key was pressed */
#define KEYS_MAX  256u
#define ESCAPE	  0x1bu
#define DELETE	  0x7fu

static u32 key_until(struct choose *c, u64 end_us)
{
	u64 now = clock_us();

	return c->key(c->ctx, end_us > now ? end_us - now : 0);
}

/* At most two digits are taken; what is none of them is ignored. */
static u32 digit_take(u32 key, u32 digits, u32 *level)
{
	if (key >= '0' && key <= '9' && digits < 2) {
		con_printf("%c", (char)key);
		*level = *level * 10 + key - '0';
		return digits + 1;
	}
	if ((key == '\b' || key == DELETE) && digits > 0) {
		con_printf("\b \b");
		*level /= 10;
		return digits - 1;
	}
	return digits;
}

/* What is typed as a level, or CHOOSE_NO_LEVEL. */
static u32 level_read(struct choose *c)
{
	u64 end = clock_us() + (u64)TYPING_S * SECOND_US;
	u32 level = 0, digits = 0, key = 0;

	con_printf("afterimage: level 0-31, then Enter: ");
	for (u32 i = 0; i < KEYS_MAX; i++) {
		key = key_until(c, end);
		if (key == 0 || key == ESCAPE || key == '\r' || key == '\n')
			break;
		digits = digit_take(key, digits, &level);
	}
	con_printf("\n");
	if ((key == '\r' || key == '\n') && digits > 0 && level <= DL_LEVEL_MAX)
		return level;
	return CHOOSE_NO_LEVEL;
}

/* Says what the keys are for and returns until when they count. */
static u64 offer(const struct choose *c, u32 seconds)
{
	con_printf("afterimage: capture in %u s; keys: d now, l other level, b %s, o switch off\n",
		seconds, c->boots_on ? "boot on" : "restart");
	return clock_us() + (u64)seconds * SECOND_US;
}

/* What @key asks for; false if nothing. A level that is none leaves CHOOSE_NO_LEVEL. */
static bool obey(struct choose *c, u32 key, enum choose_way *way)
{
	switch (key | 0x20) { /* small letters */
	case 'd':
		*way = CHOOSE_CAPTURE;
		c->by_key = true;
		return true;
	case 'l':
		*way = CHOOSE_CAPTURE;
		c->by_key = true;
		c->level = level_read(c);
		return true;
	case 'b':
		*way = CHOOSE_BOOT_ON;
		return true;
	case 'o':
		*way = CHOOSE_OFF;
		return true;
	default:
		return false;
	}
}

enum choose_way menu_ask(struct choose *c, enum choose_way way)
{
	u32 seconds = (u32)min_u64(c->seconds, CHOOSE_MAX);
	u64 end = clock_us();

	if (!c->key || seconds == 0)
		return way;
	if (way == CHOOSE_CAPTURE)
		end = offer(c, seconds);
	for (u32 i = 0; i < KEYS_MAX; i++) {
		u32 key = key_until(c, end);

		if (key == 0)
			break;
		if (!obey(c, key, &way))
			continue;
		if ((key | 0x20) != 'l' || c->level != CHOOSE_NO_LEVEL)
			break;
		con_printf("afterimage: that is no level\n");
		end = offer(c, seconds);
	}
	return way;
}
