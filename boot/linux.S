/*
 * Linux door, assembly part: the header of the Linux x86 boot protocol, by which kexec and
 * GRUB take the file for a kernel, and its two entries. Wherever the loader put the image,
 * page tables show it at the address it was linked for, so nothing in it is relocated.
 *
 *	file	0	zero page's template: the header at 0x1f1
 *		1024	image_start, loaded to any multiple of 1 MiB:
 *			+0	32-bit entry, no paging (GRUB)
 *			+0x200	64-bit entry, somebody's page tables (kexec)
 *		0x200	16-bit entry: only says that it is the wrong one
 *
 * Both have the address of the zero page in rsi. 4 and 5 levels of page tables.
 */

#define ZERO_PAGE_SCRATCH	0x1e4

	.section .setup, "a"
setup:
	.org	setup + 0x1f1
	.byte	1			/* setup_sects: the image follows after one more sector */
	.word	0			/* root_flags */
	.long	image_file_paragraphs	/* syssize, 16 bytes each */
	.word	0, 0xffff, 0		/* ram_size, vid_mode, root_dev */
	.word	0xaa55
	.byte	0xeb, header_end - (setup + 0x202)	/* a jump, of which the length counts */
	.ascii	"HdrS"
	.word	0x020f			/* protocol version */
	.long	0			/* realmode_swtch */
	.word	0			/* start_sys_seg */
	.word	kernel_version - (setup + 0x200)
	.byte	0			/* type_of_loader */
	.byte	1			/* loadflags: loaded high */
	.word	0			/* setup_move_size */
	.long	0x100000		/* code32_start */
	.long	0, 0			/* ramdisk_image, ramdisk_size */
	.long	0			/* bootsect_kludge */
	.word	0			/* heap_end_ptr */
	.byte	0, 0			/* ext_loader_ver, ext_loader_type */
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x100000		/* kernel_alignment */
	.byte	1			/* relocatable_kernel */
	.byte	20			/* min_alignment, a power of two */
	.word	0x23			/* xloadflags: 64-bit entry, above 4 GiB, with 5 levels */
	.long	2047			/* cmdline_size */
	.long	0			/* hardware_subarch */
	.quad	0			/* hardware_subarch_data */
	.long	0, 0			/* payload_offset, payload_length */
	.quad	0			/* setup_data */
	.quad	0x100000		/* pref_address */
	.long	image_memory_bytes	/* init_size */
	.long	0			/* handover_offset */
	.long	0			/* kernel_info_offset */
header_end:
	.code16					/* who jumps here started it by the 16-bit protocol */
	cld
	movw	$message - setup, %si		/* ds: where this was loaded */
1:	lodsb
	testb	%al, %al
	jz	2f
	pushw	%ax
	movb	$0x0e, %ah			/* screen */
	movw	$0x0007, %bx
	int	$0x10
	popw	%ax
	movb	$0x01, %ah			/* first serial port */
	xorw	%dx, %dx
	int	$0x14
	jmp	1b
2:	hlt
	jmp	2b
message:
	.asciz	"afterimage: no dump: load it by kexec -p or GRUB's linux, not linux16\r\n"
kernel_version:
	.asciz	"afterimage"
	.org	setup + 0x400

/*
 * Offsets from image_start that a 32-bit entry can use come from slot.ld.
 */
	.section .head, "ax"
	.code32
entry32:
	cli
	cld
	leal	ZERO_PAGE_SCRATCH + 4(%esi), %esp	/* the only memory known to be free */
	call	1f
1:	popl	%ebp
	subl	$1b - entry32, %ebp			/* where the image is */

#include "boot/slot32.inc"

	.org	entry32 + 0x200
	.code64
entry64:
	cli
	cld
	leaq	image_start(%rip), %rbp			/* as loaded: physical */
	movq	%rsi, %r12				/* zero page */
	xorl	%r15d, %r15d
#define DOOR	door_linux
#include "boot/slot.inc"

	.section .note.GNU-stack, "", @progbits
