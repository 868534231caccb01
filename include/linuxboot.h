/*
 * What a loader of Linux tells the program it starts: the zero page (struct boot_params) and
 * the command line (Linux x86 boot protocol; Documentation/arch/x86/zero-page.rst). Bytes in,
 * facts out.
 */
#ifndef AFTERIMAGE_LINUXBOOT_H
#define AFTERIMAGE_LINUXBOOT_H

#include "framebuffer.h"
#include "memmap.h"
#include "status.h"

#define LINUXBOOT_ZERO_PAGE_BYTES 4096u
#define LINUXBOOT_CMDLINE_MAX	  2048u /* what the image's header asks for, NUL included */

struct linuxboot_zero_page {
	u64 cmdline_pa; /* 0: none */
	u64 initrd_pa;	/* 0: none */
	u64 initrd_bytes;
	u64 rsdp_pa;		   /* 0: not told */
	bool text_mode;		   /* the screen is in VGA text mode */
	struct framebuffer screen; /* as the loader tells; bytes 0: none, or it makes no sense */
	struct memmap map;
};

/*
 * Takes the zero page apart: e820 entries of type 1 become RAM, all others RESERVED. An entry
 * count beyond the table is cut.
 */
void linuxboot_zero_page(const u8 page[LINUXBOOT_ZERO_PAGE_BYTES], struct linuxboot_zero_page *out);

struct linuxboot_cmdline {
	bool has_elfcorehdr; /* named, if only by a damaged value */
	u64 elfcorehdr_pa;   /* 0: damaged */
	u64 rsdp_pa;	     /* acpi_rsdp=; 0: none */
	bool has_target;     /* dump= was there and is a UUID */
	bool bad_target;     /* dump= was there and is none */
	u8 target_uuid[16];
	bool automatic;	  /* the word auto */
	u32 menu_seconds; /* menu=, 0 without it or if it makes no sense */
	bool has_console; /* one of the console= was understood */
	u8 console;	  /* BOOT_CONSOLE_* of include/bootimage.h */
	u16 serial_port;
	u32 serial_baud;
};

/*
 * Words of @text, at most LINUXBOOT_CMDLINE_MAX bytes up to a NUL; quotes keep blanks
 * together; the last of several counts. Words:
 *	dump=UUID		 the dump partition's, 8-4-4-4-12 hex digits
 *	elfcorehdr=[SIZE@]ADDR	 numbers as Linux's memparse takes them: 0x, octal, K M G T P E
 *	acpi_rsdp=ADDR		 hexadecimal
 *	auto			 automatic mode (only the UEFI application)
 *	menu=SECONDS		 0-60: how long the console waits for a key
 *	console=serial[:PORT[:BAUD]][,screen] as mkdumpdisk --console, or Linux's
 *	console=ttySN[,BAUD...], console=tty0, several of which add up; ttySN alone is 9600
 *			 as for Linux, and a rate that the port has not is 115200
 * Others are another program's. Without console=: serial port 0x3f8 at 115200, and screen.
 */
void linuxboot_cmdline(const char *text, struct linuxboot_cmdline *out);

#endif
