/*
 * mkdumpdisk --check: what would stop a capture after a reset of this machine. First all facts
 * are read, from the system below the root and from the target; then a table of functions turns
 * them into findings, one each. Nothing is written.
 */
#ifndef MKDUMPDISK_CHECK_H
#define MKDUMPDISK_CHECK_H

#include "dumplog.h"
#include "kexec.h"
#include "options.h"
#include "tools/common/survey.h"
#include "tools/common/sysfacts.h"
#include "types.h"

#define CHECK_EFIVARS "/sys/firmware/efi/efivars/"
#define CHECK_MOUNT_EFIVARS                                                                        \
	"run mount -t efivarfs efivarfs /sys/firmware/efi/efivars, then this, as root"

/* The EFI variable's name in efivarfs (TCG Platform Reset Attack Mitigation 1.10 s4). */
#define CHECK_MOR "MemoryOverwriteRequestControl-e20939be-32d4-41be-a150-897f85d49829"

/* Registers of the processor: Intel SDM vol. 4 table 2-2; AMD APM vol. 2 s7.10, s15.34. */
#define MSR_TME_ACTIVATE 0x982u
#define MSR_SYSCFG	 0xc0010010u
#define MSR_SEV_STATUS	 0xc0010131u

enum check_state {
	CHECK_NONE, /* does not apply: not shown */
	CHECK_OK,
	CHECK_WARNING,
	CHECK_STOPS,
	CHECK_STATES,
};

struct finding {
	const char *name;
	enum check_state state;
	char what[512];
	char todo[1024]; /* empty: nothing */
};

/* A value that may be hidden from this user or not exist at all. */
struct reading {
	bool exists;
	bool known;
	u64 value;
};

/* What the kernel's log says; bits. */
#define LOG_TME_ON  1u /* Intel's total memory encryption was switched on by firmware */
#define LOG_TME_OFF 2u
#define LOG_SME	    4u
#define LOG_SEV	    8u
#define LOG_TDX	    16u

#define CHECK_RANGES_MAX 1024

/* The system below the root. */
struct check_system {
	struct reading mor; /* EFI variables: MemoryOverwriteRequestControl and its lock */
	struct reading mor_lock;
	struct reading secure_boot;
	struct reading setup_mode;
	struct reading tme; /* registers IA32_TME_ACTIVATE, AMD's SYSCFG and SEV_STATUS */
	struct reading syscfg;
	struct reading sev;
	struct reading dmar;	   /* flags of the ACPI table */
	struct reading mitigation; /* CONFIG_RESET_ATTACK_MITIGATION of this kernel */
	u64 ram_bytes;
	u64 free_bytes; /* now; 0: not known */
	u64 cache_bytes;
	u64 user_bytes;
	u32 ram_count; /* RAM that Linux uses; 0: not known */
	u32 iommus;
	u32 log;
	bool uefi;
	bool variables; /* of the firmware: it shows some */
	bool amd;
	bool sev_guest;	   /* it has the device that only such a guest has */
	bool kernel_known; /* there is a /sys/kernel, so that what is not in /sys is not */
	bool vmcoreinfo;
	char hypervisor[128]; /* its name or a guess; empty: none, or not known */
	char release[128];
	char cmdline[4096];
	char cpu_flags[8192];
	struct sys_range ram[CHECK_RANGES_MAX];
	struct sys_range kernel; /* its code to its data's end; bytes 0: not known */
};

/* Secure Boot, as far as efivarfs tells. */
struct reading check_secure_boot_read(const struct options *o);

void check_system_read(const struct options *o, struct check_system *s);

/* What a disk's EFI system partition offers firmware to start. */
enum check_loader {
	LOADER_UNKNOWN, /* no such partition, or it can not be read */
	LOADER_MISSING,
	LOADER_FOREIGN, /* no program for x86-64 */
	LOADER_UNSIGNED,
	LOADER_SIGNED,
};

/* The image in the disk's boot area, as BIOS starts it. */
enum check_area {
	AREA_NONE, /* nothing that can be read */
	AREA_GOOD,
	AREA_OTHER_VERSION,
	AREA_SETTINGS,	/* they are damaged */
	AREA_MISPLACED, /* they are of another dump partition, or it was moved */
	AREA_IMAGE,	/* it is damaged */
};

/* What the image does when it is started. */
struct check_start {
	bool known;
	bool automatic;
	u32 menu_seconds;
};

/* The target, if there is one. */
struct check_disk {
	bool given;
	bool device; /* else an image file */
	bool found;  /* a dump partition that the image would find */
	u32 others;  /* further ones on the same disk */
	struct reach reach;
	bool removable;
	bool boot_sector; /* ours */
	bool has_esp;
	u8 esp_uuid[16];
	enum check_loader loader;
	struct reading boot_entry; /* of the firmware, for the disk; value: its number */
	u32 boot_place;		   /* its place in the boot order, from 1; 0: it has none */
	enum check_area area;
	struct check_start by_bios; /* the settings in the boot area */
	struct check_start by_uefi; /* those beside the application */
	struct dl_super super;
	enum status survey_status; /* E_NO_DUMP: never made, or no room for it */
	struct survey_record survey;
	u32 dumps;	/* not cleared */
	bool slot_free; /* or can be made free */
	u64 room_bytes; /* the largest piece that a new dump can have */
	u64 data_bytes; /* of the whole area for dumps */
};

/* False: reported; then nothing can be said. */
bool check_disk_read(const struct options *o, struct check_disk *d) MUST_CHECK;

/*
 * Reads the boot area of the disk at @fd with blocks of @block_bytes, whose dump partition starts
 * at @dump_bytes; @d->super is known.
 */
void check_area_read(int fd, u32 block_bytes, u64 dump_bytes, struct check_disk *d);

/* Takes in the settings file of @bytes at @text, which is changed. */
void check_area_words(char *text, u64 bytes, struct check_disk *d);

struct check_facts {
	struct check_system system;
	struct check_disk disk;
};

/* Fills in state and text. */
void finding_set(struct finding *f, enum check_state state, const char *what, ...)
	PRINTF_LIKE(3, 4);
void finding_todo(struct finding *f, const char *todo, ...) PRINTF_LIKE(2, 3);

/* The findings: checkmemory.c, checkboot.c, checkstart.c, checkroom.c, checksurvey.c. */
void check_overwrite(const struct check_facts *c, struct finding *f);
void check_encryption(const struct check_facts *c, struct finding *f);
void check_machine(const struct check_facts *c, struct finding *f);
void check_boot(const struct check_facts *c, struct finding *f);
void check_start(const struct check_facts *c, struct finding *f);
void check_secure_boot(const struct check_facts *c, struct finding *f);
void check_iommu(const struct check_facts *c, struct finding *f);
void check_kernel(const struct check_facts *c, struct finding *f);
void check_target(const struct check_facts *c, struct finding *f);
void check_visible(const struct check_facts *c, struct finding *f);
void check_survey(const struct check_facts *c, struct finding *f);
void check_room(const struct check_facts *c, struct finding *f);

/* The whole of --check. An enum tool_exit. */
int check_run(const struct options *o) MUST_CHECK;

#endif
