/*
 * The GRUB of this machine: is it what starts it, has it the modules, can it read /boot; and its
 * settings made again. What GRUB can read is asked of its own tools.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "grub.h"
#include "kexec.h"
#include "tools/common/tool.h"

#define TEXT_BYTES     256
#define OUTPUT_BYTES   32768
#define UPDATE_SECONDS 900u /* it may look for systems on every disk */

/* Where GRUB's modules are, and the package that has them. */
static const struct platform {
	const char *name;
	const char *package;
	const char *module; /* what the entry needs */
} platforms[] = {
	{"i386-pc", "grub-pc-bin", "multiboot.mod"},
	{"x86_64-efi", "grub-efi-amd64-bin", "multiboot2.mod"},
};

#define PC  0u
#define EFI 1u

static bool exists(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return access(kexec_path(o, path, full), F_OK) == 0;
}

static bool has_folder(const struct options *o, u32 platform)
{
	char path[TEXT_BYTES];

	snprintf(path, sizeof(path), "/boot/grub/%s", platforms[platform].name);
	return exists(o, path);
}

static bool has_module(const struct options *o, u32 platform)
{
	char path[TEXT_BYTES];

	snprintf(path, sizeof(path), "/boot/grub/%s/%s", platforms[platform].name,
		platforms[platform].module);
	return exists(o, path);
}

static const char *module_fault(
	const struct options *o, u32 platform, char text[TEXT_BYTES], const char **todo)
{
	static char how[TEXT_BYTES];
	const struct platform *p = &platforms[platform];

	if (has_module(o, platform))
		return NULL;
	snprintf(text, TEXT_BYTES, "GRUB without multiboot modules: /boot/grub/%s/%s is not there",
		p->name, p->module);
	snprintf(how, sizeof(how),
		"install the package %s and run grub-install as for this machine, or use "
		"--boot-entry or --systemd-boot",
		p->package);
	*todo = how;
	return text;
}

/* A machine that runs says what started it; of files alone all that is there must do. */
static const char *modules_fault(const struct options *o, char text[TEXT_BYTES], const char **todo)
{
	const char *fault;

	if (exists(o, "/sys/firmware"))
		return module_fault(o, exists(o, "/sys/firmware/efi") ? EFI : PC, text, todo);
	fault = has_folder(o, PC) || !has_folder(o, EFI) ? module_fault(o, PC, text, todo) : NULL;
	if (!fault && has_folder(o, EFI))
		fault = module_fault(o, EFI, text, todo);
	return fault;
}

const char *grub_fault(const struct options *o, char text[TEXT_BYTES], const char **todo)
{
	struct reading secure = check_secure_boot_read(o);

	*todo = "use --boot-entry or --systemd-boot";
	if (!exists(o, GRUB_CONFIG))
		return "is not started by GRUB: there is no " GRUB_CONFIG;
	if (secure.known && secure.value) {
		*todo = "use --boot-entry or --systemd-boot with an --efi-image that you signed, "
			"or "
			"switch Secure Boot off in the firmware setup";
		return "has Secure Boot on: GRUB then loads no multiboot image";
	}
	return modules_fault(o, text, todo);
}

/* --- what GRUB can read --- */

/* The exit code of grub-probe; what it says about /boot is in @out. */
static int probe(const struct options *o, const char *target, char *out, u32 size)
{
	char program[KEXEC_PATH_BYTES], option[64];
	char *argv[] = {program, option, "/boot", NULL};

	snprintf(option, sizeof(option), "--target=%s", target);
	if (kexec_find_program(o, "grub-probe", program))
		return kexec_run(argv, out, size);
	snprintf(out, size, "the program grub-probe is missing: install grub-common");
	return -1;
}

/* GRUB's defaults are a shell script, and files beside it that come later. */
static bool crypto_enabled(void)
{
	static const char script[] = "for f in " GRUB_DEFAULTS " " GRUB_DEFAULTS
				     ".d/*.cfg; do [ -r \"$f\" ] && . \"$f\"; done; "
				     "echo \"crypto=$GRUB_ENABLE_CRYPTODISK\"";
	char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
	char out[1024];

	return kexec_run(argv, out, sizeof(out)) == 0 && strstr(out, "crypto=y");
}

bool grub_probe(const struct options *o, char note[TEXT_BYTES])
{
	char out[1024];

	note[0] = '\0';
	if (probe(o, "fs", out, sizeof(out)) != 0 ||
		probe(o, "abstraction", out, sizeof(out)) != 0) {
		tool_error("/boot",
			"put /boot on a disk and a file system that it reads, or use --boot-entry "
			"or --systemd-boot",
			"cannot be read by GRUB, says grub-probe: %s", out);
		return false;
	}
	if (!strstr(out, "cryptodisk"))
		return true;
	if (!crypto_enabled()) {
		tool_error("/boot",
			"add GRUB_ENABLE_CRYPTODISK=y to " GRUB_DEFAULTS
			", run grub-install as for this machine, and repeat this",
			"is on an encrypted disk, and GRUB has not been told to open it");
		return false;
	}
	snprintf(note, TEXT_BYTES, "/boot is encrypted: GRUB asks for the passphrase first%s",
		strstr(out, "luks2")
			? "; it opens LUKS2 only with a key of the kind PBKDF2, not Argon2"
			: "");
	return true;
}

/* --- its settings --- */

/* What a program that failed said last. */
static const char *last_line(const char *out)
{
	const char *bar = strrchr(out, '|');

	return bar ? bar + 1 : out;
}

bool grub_update(const struct options *o)
{
	static char out[OUTPUT_BYTES];
	char program[KEXEC_PATH_BYTES];
	char *plain[] = {program, NULL};
	char *full[] = {program, "-o", GRUB_CONFIG, NULL};
	bool debian = kexec_find_program(o, "update-grub", program);
	const char *name = debian ? "update-grub" : "grub-mkconfig";
	int code;

	if (!debian && !kexec_find_program(o, name, program)) {
		tool_error(GRUB_CONFIG, "install grub2-common, then run update-grub",
			"is as it was: neither update-grub nor grub-mkconfig is there");
		return false;
	}
	/* It starts others by name, and a root's shell may look for none in /usr/sbin. */
	if (setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) != 0)
		return false;
	code = kexec_run_for(UPDATE_SECONDS, debian ? plain : full, out, sizeof(out));
	if (code == 0)
		return true;
	tool_error(GRUB_CONFIG, "see to that, then run this again", "is as it was: %s %s %d: %s",
		name, code < 0 ? "failed with" : "ended with exit code", code, last_line(out));
	return false;
}
