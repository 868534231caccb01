/*
 * Values of options: text that the user gave to checked numbers and names. Nothing is opened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootimage.h"
#include "choose.h"
#include "dumplog.h"
#include "options.h"
#include "ports.h"
#include "surveylog.h"
#include "tools/common/tool.h"

#define SERIAL_PORT_MIN 0x100u
#define SERIAL_PORT_MAX 0xfff8u
#define ROOT_MAX	1024

static const char *const after_names[] = {
	[ACTION_REBOOT] = "reboot",
	[ACTION_POWEROFF] = "poweroff",
	[ACTION_HALT] = "halt",
};
static const char *const overwrite_names[] = {
	[DL_OVERWRITE_NEVER] = "never",
	[DL_OVERWRITE_OLDEST] = "oldest",
};
static const char *const kexec_names[] = {
	[KEXEC_INSTALL] = "install",
	[KEXEC_STATUS] = "status",
	[KEXEC_REMOVE] = "remove",
	[KEXEC_LOAD] = "load",
	[KEXEC_UNLOAD] = "unload",
};
static const char *const boot_entry_names[] = {
	[BOOT_ENTRY_ADD] = "add",
	[BOOT_ENTRY_FIRST] = "first",
	[BOOT_ENTRY_LAST] = "last",
	[BOOT_ENTRY_NEXT] = "next",
	[BOOT_ENTRY_REMOVE] = "remove",
	[BOOT_ENTRY_STATUS] = "status",
};
static const char *const loader_names[] = {
	[LOADER_INSTALL] = "install",
	[LOADER_STATUS] = "status",
	[LOADER_REMOVE] = "remove",
};
static const char *const compressor_names[] = {
	[DL_COMP_NONE] = "none",
	[DL_COMP_LZF] = "lzf",
	[DL_COMP_ZLIB] = "zlib",
	[DL_COMP_ZSTD] = "zstd",
};

const char *options_after_name(u32 after)
{
	return after_names[after];
}

const char *options_overwrite_name(u32 overwrite)
{
	return overwrite_names[overwrite];
}

const char *options_kexec_name(u32 kexec)
{
	return kexec_names[kexec];
}

const char *options_boot_entry_name(u32 boot_entry)
{
	return boot_entry_names[boot_entry];
}

const char *options_loader_name(u32 action)
{
	return loader_names[action];
}

/* Index of @text in @names, or false after the message. */
static bool parse_name(
	const char *option, const char *text, const char *const *names, u32 count, u32 *value)
{
	for (u32 i = 0; i < count; i++) {
		if (names[i] && strcmp(text, names[i]) == 0) {
			*value = i;
			return true;
		}
	}
	tool_error_usage("--%s: '%s' is not known", option, text);
	return false;
}

static bool parse_compressor(const char *text, u32 *value)
{
	if (!parse_name("compress", text, compressor_names, ARRAY_SIZE(compressor_names), value))
		return false;
	if (*value != DL_COMP_ZSTD)
		return true;
	tool_error_usage("--compress: zstd does not fit the boot image; use lzf or zlib, getdump "
			 "can recompress with zstd");
	return false;
}

static bool parse_port(const char *text, u16 *port)
{
	static const u16 com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
	unsigned long v;
	char *end;

	if (text[0] >= '0' && text[0] <= '3' && text[1] == '\0') {
		*port = com[text[0] - '0'];
		return true;
	}
	if (strncmp(text, "0x", 2) != 0 || strlen(text) > 6 || text[2] == '\0')
		return false;
	if (strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
		return false;
	v = strtoul(text + 2, &end, 16);
	if (v < SERIAL_PORT_MIN || v > SERIAL_PORT_MAX)
		return false;
	*port = (u16)v;
	return true;
}

/* What follows "serial": nothing, :PORT or :PORT:BAUD. */
static bool parse_serial(char *text, struct options *o)
{
	u64 baud = OPTIONS_BAUD_MAX;
	char *baud_text;

	o->console |= BOOT_CONSOLE_SERIAL;
	if (*text == '\0')
		return true;
	baud_text = strchr(text + 1, ':');
	if (baud_text) {
		*baud_text++ = '\0';
		if (!tool_parse_number(baud_text, OPTIONS_BAUD_MAX, &baud) || baud < 2 ||
			OPTIONS_BAUD_MAX % baud != 0)
			return false;
	}
	o->serial_baud = (u32)baud;
	return parse_port(text + 1, &o->serial_port);
}

static bool parse_console_word(char *word, struct options *o)
{
	if (strcmp(word, "screen") == 0) {
		o->console |= BOOT_CONSOLE_SCREEN;
		return true;
	}
	if (strncmp(word, "serial", 6) != 0 || (word[6] != '\0' && word[6] != ':'))
		return false;
	return parse_serial(word + 6, o);
}

bool options_parse_console(const char *text, struct options *o)
{
	char copy[64];
	char *rest = copy;
	bool ok = strlen(text) < sizeof(copy);

	o->console = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (u32 i = 0; ok && rest && i < sizeof(copy); i++)
		ok = parse_console_word(strsep(&rest, ","), o);
	if (!ok)
		tool_error_usage("--console: '%s' is not serial[:PORT[:BAUD]] and/or screen, with "
				 "PORT 0-3 or 0x100-0xfff8 and BAUD a divisor of 115200 from 2 on",
			text);
	return ok;
}

static bool parse_label(const char *text, const char **label)
{
	char shown[LABEL_MAX_BYTES + 2];

	*label = text;
	if (strlen(text) > LABEL_MAX_BYTES) {
		tool_error_usage("--label: longer than %d bytes", LABEL_MAX_BYTES);
		return false;
	}
	tool_printable(shown, sizeof(shown), text, LABEL_MAX_BYTES);
	if (strcmp(shown, text) == 0)
		return true;
	tool_error_usage("--label: not printable UTF-8");
	return false;
}

static bool parse_level(const char *text, u32 *level)
{
	u64 v;

	if (!tool_parse_number(text, 31, &v)) {
		tool_error_usage("--level: '%s' is not 0-31", text);
		return false;
	}
	*level = (u32)v;
	return true;
}

/* Below DIR: an absolute path in it follows the name as it is. */
static bool parse_root(const char *text, const char **root)
{
	size_t length = strlen(text);

	if (length == 0 || length > ROOT_MAX || text[length - 1] == '/') {
		tool_error_usage("--root: '%s' is no directory's name without / at its end", text);
		return false;
	}
	*root = text;
	return true;
}

static bool parse_kexec(const char *text, u32 *kexec)
{
	*kexec = KEXEC_INSTALL;
	return !text || parse_name("kexec", text, kexec_names, ARRAY_SIZE(kexec_names), kexec);
}

/* --survey, --survey=N or --survey=off. */
static bool parse_survey(const char *text, struct options *o)
{
	u64 cycles = DL_SURVEY_CYCLES;

	o->survey = text && strcmp(text, "off") == 0 ? SURVEY_OFF : SURVEY_ARM;
	if (o->survey == SURVEY_OFF)
		return true;
	if (text && (!tool_parse_number(text, DL_SURVEY_CYCLES_MAX, &cycles) || cycles == 0)) {
		tool_error_usage(
			"--survey: '%s' is not 1-%u cycles, nor off", text, DL_SURVEY_CYCLES_MAX);
		return false;
	}
	o->survey_cycles = (u32)cycles;
	return true;
}

static bool parse_boot_entry(const char *text, u32 *action)
{
	*action = BOOT_ENTRY_ADD;
	return !text || parse_name("boot-entry", text, boot_entry_names,
				ARRAY_SIZE(boot_entry_names), action);
}

static bool parse_loader(const char *option, const char *text, u32 *action)
{
	*action = LOADER_INSTALL;
	return !text || parse_name(option, text, loader_names, ARRAY_SIZE(loader_names), action);
}

static bool parse_menu(const char *text, u32 *seconds)
{
	u64 v;

	if (!tool_parse_number(text, CHOOSE_MAX, &v)) {
		tool_error_usage("--menu: '%s' is not 0-%u seconds", text, CHOOSE_MAX);
		return false;
	}
	*seconds = (u32)v;
	return true;
}

static bool parse_auto(const char *text, struct options *o)
{
	o->given_auto = true;
	o->automatic = !text || strcmp(text, "on") == 0;
	if (o->automatic || strcmp(text, "off") == 0)
		return true;
	tool_error_usage("--auto: '%s' is neither on nor off", text);
	return false;
}

static bool parse_size(const char *text, u64 *bytes)
{
	if (tool_parse_size(text, bytes) && *bytes > 0)
		return true;
	tool_error_usage("--size: '%s' is not a size like 4G", text);
	return false;
}

static bool parse_sector_size(const char *text, u32 *bytes)
{
	u64 v;

	if (!tool_parse_number(text, 4096, &v) || (v != 512 && v != 4096)) {
		tool_error_usage("--sector-size: '%s' is not 512 or 4096", text);
		return false;
	}
	*bytes = (u32)v;
	return true;
}

bool options_take_value(struct options *o, int c, const char *value)
{
	switch (c) {
	case 's':
		return parse_size(value, &o->size_bytes);
	case 'l':
		return parse_level(value, &o->level);
	case 'c':
		return parse_compressor(value, &o->compressor);
	case 'a':
		return parse_name("after", value, after_names, ARRAY_SIZE(after_names), &o->after);
	case 'C':
		o->given_console = true;
		return options_parse_console(value, o);
	case 'o':
		return parse_name("overwrite", value, overwrite_names, ARRAY_SIZE(overwrite_names),
			&o->overwrite);
	case 'L':
		return parse_label(value, &o->label);
	case 'i':
		o->image = value;
		return true;
	case 'E':
		o->efi_image = value;
		return true;
	case 'S':
		return parse_sector_size(value, &o->sector_bytes);
	case 'k':
		return parse_kexec(value, &o->kexec);
	case 'u':
		return parse_survey(value, o);
	case 'b':
		return parse_boot_entry(value, &o->boot_entry);
	case 'g':
		return parse_loader("grub", value, &o->grub);
	case 'd':
		return parse_loader("systemd-boot", value, &o->systemd_boot);
	case 'm':
		o->given_menu = true;
		return parse_menu(value, &o->menu_seconds);
	case 'A':
		return parse_auto(value, o);
	case 'r':
		return parse_root(value, &o->root);
	default:
		tool_error_usage("-%c is not an option with a value", c);
		return false;
	}
}
