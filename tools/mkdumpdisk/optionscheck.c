/*
 * Which options go together: what is for preparing a disk is not for an action on one that was
 * prepared, and there is one action at a time.
 */
#include <string.h>
#include "options.h"
#include "tools/common/tool.h"

/* What is wrong with the options together if --kexec is, or is not, among them. */
static bool check_kexec(const struct options *o, const char *preparing)
{
	const char *action = o->kexec ? options_kexec_name(o->kexec) : "";
	bool only_install = o->given_console || o->image || o->target;

	if (o->kexec && preparing)
		tool_error_usage("--%s is for preparing a disk, not for --kexec", preparing);
	else if (o->kexec && o->efi_image)
		tool_error_usage("--efi-image is not for --kexec");
	else if (o->kexec && o->json && o->kexec != KEXEC_STATUS)
		tool_error_usage("--kexec=%s has no report as JSON", action);
	else if (o->kexec && o->kexec != KEXEC_INSTALL && only_install)
		tool_error_usage("--kexec=%s takes no %s: it goes by what was installed", action,
			o->target  ? "TARGET"
			: o->image ? "--image"
				   : "--console");
	else
		return true;
	return false;
}

/* Likewise for --survey; --force is its own, too. */
static bool check_survey(const struct options *o, const char *preparing)
{
	const char *other = o->kexec	       ? "kexec"
			    : o->given_console ? "console"
			    : o->image	       ? "image"
			    : o->efi_image     ? "efi-image"
			    : o->boot_entry    ? "boot-entry"
					       : NULL;

	if (!o->survey)
		return true;
	if (preparing && strcmp(preparing, "force") != 0)
		tool_error_usage("--%s is for preparing a disk, not for --survey", preparing);
	else if (other)
		tool_error_usage("--%s does not go with --survey", other);
	else if (o->survey == SURVEY_OFF && o->force)
		tool_error_usage("--force is for arming, not for --survey=off");
	else
		return true;
	return false;
}

/* Likewise for --boot-entry. */
static bool check_boot_entry(const struct options *o, const char *preparing)
{
	bool files = o->boot_entry != BOOT_ENTRY_REMOVE && o->boot_entry != BOOT_ENTRY_STATUS;

	if (!o->boot_entry)
		return true;
	if (o->kexec)
		tool_error_usage("--boot-entry and --kexec are two things: do one after the other");
	else if (preparing)
		tool_error_usage("--%s is for preparing a disk, not for --boot-entry", preparing);
	else if (o->json && o->dry_run)
		tool_error_usage("--boot-entry --dry-run has no report as JSON");
	else if (o->image)
		tool_error_usage("--image is not for --boot-entry; it takes --efi-image");
	else if (!files && (o->efi_image || o->given_console))
		tool_error_usage("--boot-entry=%s takes no --%s: it writes no files",
			options_boot_entry_name(o->boot_entry),
			o->efi_image ? "efi-image" : "console");
	else
		return true;
	return false;
}

/* Likewise for --check. */
static bool check_check(const struct options *o, const char *preparing)
{
	if (!o->check)
		return true;
	if (o->kexec || o->survey || o->boot_entry)
		tool_error_usage("--check and --%s are two things; give one of them",
			o->kexec    ? "kexec"
			: o->survey ? "survey"
				    : "boot-entry");
	else if (preparing)
		tool_error_usage("--%s is for preparing a disk, not for --check", preparing);
	else if (o->given_console || o->image || o->efi_image)
		tool_error_usage("--check takes no image and no console");
	else
		return true;
	return false;
}

static bool check_root(const struct options *o)
{
	if (!*o->root || o->kexec || o->boot_entry || o->check)
		return true;
	tool_error_usage("--root is for --kexec, --boot-entry and --check");
	return false;
}

bool options_check(const struct options *o, const char *preparing)
{
	return check_root(o) && check_check(o, preparing) && check_kexec(o, preparing) &&
	       check_survey(o, preparing) && check_boot_entry(o, preparing);
}
