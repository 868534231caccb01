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

/* The action besides the loader's menu @own. */
static const char *other_action(const struct options *o, const char *own)
{
	struct options others = *o;

	if (strcmp(own, "grub") == 0)
		others.grub = LOADER_NONE;
	else
		others.systemd_boot = LOADER_NONE;
	return options_action(&others);
}

/* Likewise for @action, of the option --@name that puts an @image into a loader's menu. */
static bool check_loader(
	const struct options *o, const char *preparing, const char *name, u32 action)
{
	bool grub = strcmp(name, "grub") == 0;
	const char *other = other_action(o, name);

	if (!action)
		return true;
	if (other)
		tool_error_usage(
			"--%s and --%s are two things: do one after the other", name, other);
	else if (preparing)
		tool_error_usage("--%s is for preparing a disk, not for --%s", preparing, name);
	else if (o->json && (o->dry_run || action == LOADER_REMOVE))
		tool_error_usage("--%s%s has no report as JSON", name,
			o->dry_run ? " --dry-run" : "=remove");
	else if (grub ? o->efi_image : o->image)
		tool_error_usage("--%s is not for --%s; it takes --%s",
			grub ? "efi-image" : "image", name, grub ? "image" : "efi-image");
	else if (action != LOADER_INSTALL && (o->image || o->efi_image || o->given_console))
		tool_error_usage("--%s=%s takes no --%s: it writes no files", name,
			options_loader_name(action),
			o->given_console ? "console"
			: grub		 ? "image"
					 : "efi-image");
	else
		return true;
	return false;
}

/* True if what is asked for writes settings for a start of the image from firmware or GRUB. */
static bool writes_settings(const struct options *o)
{
	return (o->boot_entry && o->boot_entry != BOOT_ENTRY_REMOVE &&
		       o->boot_entry != BOOT_ENTRY_STATUS) ||
	       o->grub == LOADER_INSTALL || o->systemd_boot == LOADER_INSTALL;
}

/* What is chosen at the start of the image: by itself, or by a key on the console. */
static bool check_choosing(const struct options *o)
{
	const char *action = options_action(o);
	const char *option = o->given_auto ? "auto" : "menu";

	if (!action || o->settings || (!o->given_auto && !o->given_menu))
		return true;
	if (o->kexec || o->survey || o->check)
		tool_error_usage("--%s is for preparing a disk, --settings, --boot-entry%s and "
				 "--systemd-boot, not for --%s",
			option, o->given_auto ? "" : ", --grub", action);
	else if (o->grub && o->given_auto)
		tool_error_usage("--auto is not for --grub: a menu entry is chosen by hand");
	else if (!writes_settings(o))
		tool_error_usage("--%s=%s takes no --%s: it writes no files", action,
			o->boot_entry ? options_boot_entry_name(o->boot_entry)
				      : options_loader_name(o->grub ? o->grub : o->systemd_boot),
			option);
	else
		return true;
	return false;
}

/* Likewise for --settings. */
static bool check_settings(const struct options *o, const char *preparing)
{
	struct options others = *o;
	const char *other;

	if (!o->settings)
		return true;
	others.settings = false;
	other = options_action(&others);
	if (other)
		tool_error_usage(
			"--settings and --%s are two things: do one after the other", other);
	else if (preparing)
		tool_error_usage(
			"--%s is for preparing a disk; --settings changes --auto, --menu and "
			"--console",
			preparing);
	else if (o->image || o->efi_image)
		tool_error_usage("--settings takes no image");
	else
		return true;
	return false;
}

static bool check_root(const struct options *o)
{
	const char *action = options_action(o);

	if (!*o->root || (action && !o->survey && !o->settings))
		return true;
	tool_error_usage("--root is for --kexec, --boot-entry, --grub, --systemd-boot and --check");
	return false;
}

const char *options_action(const struct options *o)
{
	return o->kexec		 ? "kexec"
	       : o->boot_entry	 ? "boot-entry"
	       : o->survey	 ? "survey"
	       : o->check	 ? "check"
	       : o->grub	 ? "grub"
	       : o->systemd_boot ? "systemd-boot"
	       : o->settings	 ? "settings"
				 : NULL;
}

bool options_check(const struct options *o, const char *preparing)
{
	return check_root(o) && check_settings(o, preparing) &&
	       check_loader(o, preparing, "grub", o->grub) &&
	       check_loader(o, preparing, "systemd-boot", o->systemd_boot) && check_choosing(o) &&
	       check_check(o, preparing) && check_kexec(o, preparing) &&
	       check_survey(o, preparing) && check_boot_entry(o, preparing);
}
