/*
 * The command line: cuts it into words as Linux does and takes the few it knows. A value that
 * makes no sense is remembered as such where somebody has to be told; nothing is guessed.
 */
#include <string.h>
#include "bootimage.h"
#include "linuxboot.h"

#define UUID_CHARS	 36u
#define BAUD_MAX	 115200u
#define BAUD_LINUX	 9600u	/* what ttySN means without a rate (serial-console.rst) */
#define PORT_MIN	 0x100u /* those below are the board's own */
#define PORT_MAX	 0xfff8u
#define PORT_DEFAULT	 0x3f8u
#define PORT_HEX_DIGITS	 4u
#define LEGACY_PORTS	 4u
#define MAX_CONSOLE_LIST 8u
#define SECONDS_MAX	 60u /* CHOOSE_MAX of choose.h */

/* A piece of the command line; not terminated. */
struct slice {
	const char *at;
	u32 bytes;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool slice_is(struct slice s, const char *text, u32 bytes)
{
	return s.bytes == bytes && memcmp(s.at, text, bytes) == 0;
}
#define IS(s, literal) slice_is(s, literal, sizeof(literal) - 1)

static bool skip_prefix(struct slice *s, const char *text, u32 bytes)
{
	if (s->bytes < bytes || memcmp(s->at, text, bytes) != 0)
		return false;
	s->at += bytes;
	s->bytes -= bytes;
	return true;
}
#define SKIP(s, literal) skip_prefix(s, literal, sizeof(literal) - 1)

/* Takes what comes before the first @separator, or all; true if there was one: it is gone. */
static bool cut(struct slice *rest, char separator, struct slice *head)
{
	bool found;

	*head = (struct slice) {rest->at, 0};
	while (head->bytes < rest->bytes && rest->at[head->bytes] != separator)
		head->bytes++;
	found = head->bytes < rest->bytes;
	rest->at += head->bytes + found;
	rest->bytes -= head->bytes + found;
	return found;
}

/* Without a quote at its start and the one at its end that belongs to it. */
static struct slice unquoted(struct slice s)
{
	if (s.bytes == 0 || s.at[0] != '"')
		return s;
	s.at++;
	s.bytes--;
	if (s.bytes > 0 && s.at[s.bytes - 1] == '"')
		s.bytes--;
	return s;
}

/* Takes the next word from @line; empty at the end. */
static struct slice next_word(struct slice *line)
{
	struct slice word;
	bool in_quotes = false;

	while (line->bytes > 0 && is_blank(line->at[0])) {
		line->at++;
		line->bytes--;
	}
	word = (struct slice) {line->at, 0};
	while (word.bytes < line->bytes && (in_quotes || !is_blank(line->at[word.bytes]))) {
		if (line->at[word.bytes] == '"')
			in_quotes = !in_quotes;
		word.bytes++;
	}
	line->at += word.bytes;
	line->bytes -= word.bytes;
	return word;
}

/* Value of a digit up to 'f'; 16 for anything else. */
static u32 digit(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (u32)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (u32)(c - 'A') + 10;
	return 16;
}

/* Takes all digits at the start of @s; false if there are none or they do not fit. */
static bool take_digits(struct slice *s, u32 base, u64 *value)
{
	u64 v = 0;
	u32 n = 0;

	for (; n < s->bytes && digit(s->at[n]) < base; n++) {
		u32 d = digit(s->at[n]);

		if (v > (UINT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	s->at += n;
	s->bytes -= n;
	*value = v;
	return n > 0;
}

static bool skip_0x(struct slice *s)
{
	return SKIP(s, "0x") || SKIP(s, "0X");
}

/* Bits to shift by for a suffix of memparse; 0 for none. */
static u32 suffix_shift(char c)
{
	static const char suffixes[] = "kmgtpeKMGTPE";

	for (u32 i = 0; i < sizeof(suffixes) - 1; i++) {
		if (suffixes[i] == c)
			return 10 * (i % 6 + 1);
	}
	return 0;
}

/* A number as Linux's memparse takes it; false if there is none or it overflows. */
static bool take_size(struct slice *s, u64 *value)
{
	u32 base = 10;
	u32 shift;

	if (skip_0x(s))
		base = 16;
	else if (s->bytes > 0 && s->at[0] == '0')
		base = 8;
	if (!take_digits(s, base, value))
		return false;
	shift = s->bytes > 0 ? suffix_shift(s->at[0]) : 0;
	if (shift == 0)
		return true;
	if (*value > UINT64_MAX >> shift)
		return false;
	*value <<= shift;
	s->at++;
	s->bytes--;
	return true;
}

/* [SIZE@]ADDR; 0 if it is none. The size is of no use: the header says what it has. */
static u64 parse_elfcorehdr(struct slice s)
{
	u64 value;

	if (!take_size(&s, &value))
		return 0;
	if (SKIP(&s, "@") && !take_size(&s, &value))
		return 0;
	return s.bytes == 0 ? value : 0;
}

static u64 parse_rsdp(struct slice s)
{
	u64 value;

	(void)skip_0x(&s);
	return take_digits(&s, 16, &value) && s.bytes == 0 ? value : 0;
}

/* Decimal; one that is too long or no number counts as none. */
static u32 parse_seconds(struct slice s)
{
	u64 v;

	return take_digits(&s, 10, &v) && s.bytes == 0 && v <= SECONDS_MAX ? (u32)v : 0;
}

/* To the order on disk, where the first three fields are little-endian (UEFI 2.10 app. A). */
static bool parse_uuid(struct slice s, u8 uuid[16])
{
	static const u8 place[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	u8 bytes[16];
	u32 at = 0;

	if (s.bytes != UUID_CHARS)
		return false;
	for (u32 i = 0; i < 16; i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;
		u32 high;
		u32 low;

		if (dash && s.at[at++] != '-')
			return false;
		high = digit(s.at[at++]);
		low = digit(s.at[at++]);
		if (high > 15 || low > 15)
			return false;
		bytes[place[i]] = (u8)(high << 4 | low);
	}
	memcpy(uuid, bytes, sizeof(bytes));
	return true;
}

static u16 legacy_port(u64 n)
{
	static const u16 com[LEGACY_PORTS] = {PORT_DEFAULT, 0x2f8, 0x3e8, 0x2e8};

	return com[n];
}

/* 0-3 or an I/O address in hexadecimal. */
static bool parse_port(struct slice s, u16 *port)
{
	u64 v;

	if (!skip_0x(&s)) {
		if (s.bytes != 1 || !take_digits(&s, 10, &v) || v >= LEGACY_PORTS)
			return false;
		*port = legacy_port(v);
		return true;
	}
	if (s.bytes > PORT_HEX_DIGITS || !take_digits(&s, 16, &v) || s.bytes > 0)
		return false;
	if (v < PORT_MIN || v > PORT_MAX)
		return false;
	*port = (u16)v;
	return true;
}

/* The UART divides its clock: only these rates exist, and the divisor has 16 bits. */
static bool take_baud(struct slice *s, u32 *baud)
{
	u64 v;

	if (!take_digits(s, 10, &v) || v < 2 || v > BAUD_MAX || BAUD_MAX % v != 0)
		return false;
	*baud = (u32)v;
	return true;
}

/* [:PORT[:BAUD]] after "serial". */
static bool parse_serial(struct slice s, struct linuxboot_cmdline *c)
{
	struct slice port_text;
	u32 baud = BAUD_MAX;
	u16 port = PORT_DEFAULT;

	if (s.bytes > 0) {
		if (!SKIP(&s, ":"))
			return false;
		if (cut(&s, ':', &port_text) && (!take_baud(&s, &baud) || s.bytes > 0))
			return false;
		if (!parse_port(port_text, &port))
			return false;
	}
	c->console |= BOOT_CONSOLE_SERIAL;
	c->serial_port = port;
	c->serial_baud = baud;
	return true;
}

/* N[,BAUD[PARITY[BITS[FLOW]]]] after "ttyS"; a rate that can not be set is left at the highest. */
static bool parse_tty_serial(struct slice s, struct linuxboot_cmdline *c)
{
	struct slice number;
	u32 baud = BAUD_LINUX;
	u64 n;

	(void)cut(&s, ',', &number);
	if (number.bytes != 1 || !take_digits(&number, 10, &n) || n >= LEGACY_PORTS)
		return false;
	if (s.bytes > 0 && !take_baud(&s, &baud))
		baud = BAUD_MAX;
	c->console |= BOOT_CONSOLE_SERIAL;
	c->serial_port = legacy_port(n);
	c->serial_baud = baud;
	return true;
}

static bool parse_console_word(struct slice s, struct linuxboot_cmdline *c)
{
	if (IS(s, "screen")) {
		c->console |= BOOT_CONSOLE_SCREEN;
		return true;
	}
	return SKIP(&s, "serial") && parse_serial(s, c);
}

/* All of it or nothing. */
static bool parse_console_list(struct slice s, struct linuxboot_cmdline *c)
{
	struct linuxboot_cmdline with = *c;
	struct slice word;
	bool more = true;

	for (u32 i = 0; more && i < MAX_CONSOLE_LIST; i++) {
		more = cut(&s, ',', &word);
		if (!parse_console_word(word, &with))
			return false;
	}
	if (!more)
		*c = with;
	return !more;
}

static bool parse_console(struct slice s, struct linuxboot_cmdline *c)
{
	if (SKIP(&s, "ttyS"))
		return parse_tty_serial(s, c);
	if (IS(s, "tty") || IS(s, "tty0") || IS(s, "tty1")) {
		c->console |= BOOT_CONSOLE_SCREEN;
		return true;
	}
	return parse_console_list(s, c);
}

static void take_word(struct slice word, struct linuxboot_cmdline *c)
{
	struct slice value = unquoted(word);
	struct slice name;

	(void)cut(&value, '=', &name);
	value = unquoted(value);
	if (IS(name, "elfcorehdr")) {
		c->has_elfcorehdr = true;
		c->elfcorehdr_pa = parse_elfcorehdr(value);
	} else if (IS(name, "acpi_rsdp")) {
		c->rsdp_pa = parse_rsdp(value);
	} else if (IS(name, "dump")) {
		c->has_target = parse_uuid(value, c->target_uuid);
		c->bad_target = !c->has_target;
	} else if (IS(name, "auto")) {
		c->automatic = true;
	} else if (IS(name, "menu")) {
		c->menu_seconds = parse_seconds(value);
	} else if (IS(name, "console")) {
		c->has_console |= parse_console(value, c);
	}
}

void linuxboot_cmdline(const char *text, struct linuxboot_cmdline *out)
{
	struct slice line = {text, 0};

	memset(out, 0, sizeof(*out));
	out->serial_port = PORT_DEFAULT;
	out->serial_baud = BAUD_MAX;
	while (line.bytes < LINUXBOOT_CMDLINE_MAX && text[line.bytes])
		line.bytes++;
	while (line.bytes > 0)
		take_word(next_word(&line), out);
	if (!out->has_console)
		out->console = BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN;
}
