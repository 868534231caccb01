/*
 * The script in /etc/grub.d that prints the menu entry whenever GRUB's settings are made, and
 * what these settings say of it afterwards. Runs nothing.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "grub.h"
#include "kexec.h"
#include "linuxboot.h"
#include "loader.h"

#define LINES_MAX  1000000
#define LINE_BYTES 4096
#define MARK	   "# Made by mkdumpdisk --grub; mkdumpdisk --grub=remove takes it away.\n"
#define WORDS	   "WORDS='"
#define ENTRY_ID   " --id " GRUB_ENTRY_ID " "

/*
 * Whatever is wrong here, it ends well: or no settings would be made at all, nor any for the next
 * kernel. Device, modules, cryptomount and search come from GRUB's own library. By Multiboot 1 GRUB
 * puts the image below 1 MiB on BIOS, by 2 on UEFI, where it tells the framebuffer only if it has
 * a driver for it.
 */
static const char script_text[] =
	"#!/bin/sh\n" MARK "# Prints an entry for GRUB's menu; run by grub-mkconfig.\n"
	"IMAGE=" GRUB_IMAGE "\n" WORDS "%s'\n"
	"\n"
	"leave_out() {\n"
	"	echo \"Warning: afterimage's entry is left out: $*\" >&2\n"
	"	exit 0\n"
	"}\n"
	"\n"
	": \"${pkgdatadir:=/usr/share/grub}\"\n"
	"[ -r \"$pkgdatadir/grub-mkconfig_lib\" ] || leave_out \"no grub-mkconfig_lib\"\n"
	". \"$pkgdatadir/grub-mkconfig_lib\"\n"
	"[ -f \"$IMAGE\" ] || leave_out \"$IMAGE is not there\"\n"
	"is_path_readable_by_grub \"$IMAGE\" || leave_out \"GRUB cannot read $IMAGE\"\n"
	"device=$(\"$grub_probe\" --target=device \"$IMAGE\") && [ -n \"$device\" ] ||\n"
	"	leave_out \"the device of $IMAGE is not known\"\n"
	"path=$(make_system_path_relative_to_its_root \"$IMAGE\" | grub_quote)\n"
	"[ -n \"$path\" ] || leave_out \"the place of $IMAGE is not known\"\n"
	"prepare=$(prepare_grub_to_access_device $device | grub_add_tab)\n"
	"\n"
	"echo \"Found afterimage: $IMAGE\" >&2\n"
	"cat <<EOF\n"
	"menuentry '" LOADER_TITLE "' --class afterimage" ENTRY_ID "{\n"
	"$prepare\n"
	"	if [ x\\$grub_platform = xefi ]; then\n"
	"		insmod all_video\n"
	"		load=multiboot2\n"
	"	else\n"
	"		load=multiboot\n"
	"	fi\n"
	"	if insmod \\$load; then\n"
	"		echo 'Loading afterimage ...'\n"
	"		\\$load '$path' $WORDS\n"
	"	else\n"
	"		echo \"afterimage: no dump: this GRUB has no module \\$load, or may not "
	"load it.\"\n"
	"		echo 'Memory is as it was: start the dump disk from the boot menu of the "
	"firmware.'\n"
	"		sleep 60\n"
	"	fi\n"
	"}\n"
	"EOF\n";

bool grub_script_write(const struct options *o, const char *words)
{
	char text[sizeof(script_text) + BOOTFILE_WORDS_BYTES];

	snprintf(text, sizeof(text), script_text, words);
	return kexec_file_write_script(o, GRUB_SCRIPT, text);
}

/* --- what is there --- */

static FILE *open_lines(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return fopen(kexec_path(o, path, full), "re");
}

/* @text up to one of @ends, if it fits. */
static void take_words(const char *text, const char *ends, char words[BOOTFILE_WORDS_BYTES])
{
	size_t n = strcspn(text, ends);

	if (n >= BOOTFILE_WORDS_BYTES)
		n = 0;
	memcpy(words, text, n);
	words[n] = '\0';
}

static void look_script(const struct options *o, struct grub_state *s)
{
	char path[KEXEC_PATH_BYTES], line[LINE_BYTES];
	struct linuxboot_cmdline c;
	FILE *f = open_lines(o, GRUB_SCRIPT);

	s->script = access(kexec_path(o, GRUB_SCRIPT, path), F_OK) == 0;
	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		s->ours = s->ours || (i == 1 && strcmp(line, MARK) == 0);
		if (s->ours && strncmp(line, WORDS, sizeof(WORDS) - 1) == 0)
			take_words(line + sizeof(WORDS) - 1, "'\n", s->words);
	}
	if (f)
		fclose(f);
	if (!*s->words)
		return;
	linuxboot_cmdline(s->words, &c);
	memcpy(s->uuid, c.target_uuid, sizeof(s->uuid));
}

/* Where in GRUB's settings a line is. */
struct place {
	u32 depth;   /* of braces */
	u32 entries; /* of the menu itself, this line's included */
	bool inside; /* our entry */
};

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

static void take_line(const char *line, struct place *p, struct grub_state *s)
{
	size_t length = strlen(line);

	if (strcmp(line, "set timeout=0") == 0 || strcmp(line, "set timeout_style=hidden") == 0)
		s->hidden = true;
	if (p->depth == 0 && (begins(line, "menuentry ") || begins(line, "submenu ")))
		p->entries++;
	if (!s->listed && begins(line, "menuentry ") && strstr(line, ENTRY_ID)) {
		p->inside = true;
		s->listed = true;
		s->position = p->entries;
	}
	if (p->inside && begins(line, "$load ") && strstr(line, "dump="))
		take_words(strstr(line, "dump="), "\n", s->listed_words);
	if (length > 0 && line[length - 1] == '{')
		p->depth++;
	if (strcmp(line, "}") == 0) {
		p->depth -= p->depth > 0;
		p->inside = p->inside && p->depth > 0;
	}
}

static void look_config(const struct options *o, struct grub_state *s)
{
	FILE *f = open_lines(o, GRUB_CONFIG);
	struct place place = {0};
	char line[LINE_BYTES];

	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "\n")] = '\0';
		take_line(text, &place, s);
	}
	if (f)
		fclose(f);
}

void grub_look(const struct options *o, struct grub_state *s)
{
	*s = (struct grub_state) {0};
	look_script(o, s);
	look_config(o, s);
}
