/*
 * The menu on the console: one line, one key. Characters that mean nothing are not taken for
 * somebody who is there: serial lines make them.
 */
#include "menu.h"
#include "ports.h"
#include "str.h"

#define SECOND_US  1000000u
#define TYPING_S   30u /* to type a level, once the key for it was pressed */
#define KEYS_MAX   256u
#define ENTER	   '\r'
#define LINE_FEED  '\n'
#define BACKSPACE  '\b'
#define DELETE	   0x7fu
#define ESCAPE	   0x1bu
#define ANY_DIGITS 2u

/* A key, or 0 after the deadline; the time left is said each second if @count. */
static u32 key_until(struct choose *c, u64 end_us)
{
	u64 now = clock_us();

	return c->key(c->ctx, end_us > now ? end_us - now : 0);
}

static bool is_enter(u32 key)
{
	return key == ENTER || key == LINE_FEED;
}

/* What was typed as a level, or CHOOSE_NO_LEVEL. */
static u32 level_read(struct choose *c)
{
	u64 end = clock_us() + (u64)TYPING_S * SECOND_US;
	u32 level = 0, digits = 0;

	con_printf("afterimage: level 0-31, then Enter: ");
	for (u32 i = 0; i < KEYS_MAX; i++) {
		u32 key = key_until(c, end);

		if (key >= '0' && key <= '9' && digits < ANY_DIGITS) {
			con_printf("%c", (char)key);
			level = level * 10 + key - '0';
			digits++;
		} else if ((key == BACKSPACE || key == DELETE) && digits > 0) {
			con_printf("\b \b");
			level /= 10;
			digits--;
		} else if (is_enter(key) || key == ESCAPE || key == 0) {
			con_printf("\n");
			return is_enter(key) && digits && level <= DL_LEVEL_MAX ? level
										: CHOOSE_NO_LEVEL;
		}
	}
	con_printf("\n");
	return CHOOSE_NO_LEVEL;
}

static void say_keys(const struct choose *c, u32 seconds)
{
	con_printf("afterimage: capture in %u s; keys: d now, l other level, b %s, o switch off\n",
		seconds, c->boots_on ? "boot on" : "restart");
}

/* Carries out @key; true if that settles it. */
static bool obey(struct choose *c, u32 key, enum choose_way *way)
{
	switch (key) {
	case 'd':
	case 'D':
		*way = CHOOSE_CAPTURE;
		return true;
	case 'l':
	case 'L':
		c->level = level_read(c);
		*way = CHOOSE_CAPTURE;
		if (c->level != CHOOSE_NO_LEVEL)
			return true;
		con_printf("afterimage: that is no level\n");
		return false;
	case 'b':
	case 'B':
		*way = CHOOSE_BOOT_ON;
		return true;
	case 'o':
	case 'O':
		*way = CHOOSE_OFF;
		return true;
	default:
		return false;
	}
}

enum choose_way menu_ask(struct choose *c, enum choose_way way)
{
	u32 seconds = way == CHOOSE_CAPTURE ? (u32)min_u64(c->seconds, CHOOSE_MAX) : 0;
	u64 end = clock_us() + (u64)seconds * SECOND_US;

	if (!c->key || c->seconds == 0)
		return way;
	if (seconds)
		say_keys(c, seconds);
	for (u32 i = 0; i < KEYS_MAX; i++) {
		enum choose_way chosen = way;
		u32 key = key_until(c, end);

		if (key == 0)
			return way;
		if (obey(c, key, &chosen))
			return chosen;
		if (chosen != way || key == 'l' || key == 'L') {
			/* Somebody is there, who mistyped. */
			way = CHOOSE_CAPTURE;
			end = clock_us() + (u64)CHOOSE_SECONDS * SECOND_US;
			say_keys(c, CHOOSE_SECONDS);
		}
	}
	return way;
}
