/*
 * The keyboard at the i8042 port, or what firmware makes look like one: the keys that the menu
 * knows, by their codes of set 1, which the controller translates to. Polled; sets nothing up.
 */
#include "metal.h"
#include "x86.h"

#define KBC_DATA	  0x60
#define KBC_STATUS	  0x64
#define KBC_STATUS_OUTPUT 0x01
#define KBC_STATUS_MOUSE  0x20
#define KBC_STATUS_NOBODY 0xff
#define CODE_RELEASED	  0x80
#define CODES_PER_LOOK	  16u

/* The characters of the codes from 1 on; a blank is a key that means nothing here. */
static const char keys[] = "\0331234567890  \b qwertyuiop  \r asdfghjkl     zxcvbnm";

static u32 key_of(u8 code)
{
	if (code & CODE_RELEASED || code == 0 || code >= sizeof(keys))
		return 0;
	return keys[code - 1] == ' ' ? 0 : (u32)keys[code - 1];
}

u32 keyboard_key(void)
{
	for (u32 i = 0; i < CODES_PER_LOOK; i++) {
		u8 status = inb(KBC_STATUS);
		u32 key;

		if (status == KBC_STATUS_NOBODY || !(status & KBC_STATUS_OUTPUT))
			return 0;
		key = key_of(inb(KBC_DATA));
		if (key && !(status & KBC_STATUS_MOUSE))
			return key;
	}
	return 0;
}
