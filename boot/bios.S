/*
 * BIOS door, assembly part: the boot sector, which loads the image from the boot
 * area with INT 13h extensions, and the image's real-mode start, which asks the
 * firmware for the memory map, reads what the disk knows of earlier dumps and switches
 * to 64-bit mode. door_bios.c goes on from it; the ways back are in bios_real.S.
 */
#include "boot/bios.inc"

#define LOAD_SEGMENT	0x0800		/* BOOT_LOAD_PA / 16 */
#define READ_BYTES	0x8000		/* per INT 13h call */

	.code16
	.section .mbr, "ax"
	.globl	boot_sector
boot_sector:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	ljmp	$0, $1f
1:	sti
	cld
	movb	%dl, boot_drive

	movb	$0x41, %ah			/* INT 13h extensions there? */
	movw	$0x55aa, %bx
	int	$0x13
	movw	$msg_edd, %si
	jc	boot_fail
	cmpw	$0xaa55, %bx
	jne	boot_fail

	movw	$msg_locate, %si
	cmpl	$LOCATE_MAGIC, locate_magic	/* mkdumpdisk filled it in? */
	jne	boot_fail
	cmpw	$0, locate_bytes
	je	boot_fail
	movl	locate_lba, %eax
	movl	%eax, DAP + 8
	movl	locate_lba + 4, %eax
	movl	%eax, DAP + 12
	movw	$16, DAP			/* its size */
	movl	$LOAD_SEGMENT << 16, DAP + 4
	movw	locate_blocks, %di
	call	read_blocks
	movw	$msg_read, %si
	jc	boot_fail
	movw	$msg_locate, %si
	cmpl	$0x52544641, LOAD_SEGMENT * 16 + 4	/* "AFTR": an image lies there */
	jne	boot_fail
	ljmp	$0, $image_entry16

/* %di blocks of the disk we were booted from, to where DAP says; CF set if one can not be read. */
read_blocks:
	movw	$READ_BYTES, %ax
	xorw	%dx, %dx
	divw	locate_bytes			/* blocks per call */
	movw	%ax, %bp
read_next:
	movw	%di, %ax
	cmpw	%bp, %ax
	jbe	1f
	movw	%bp, %ax
1:	movw	%ax, DAP + 2
	movw	%ax, read_count
	movw	$READ_TRIES, read_left
read_try:
	movb	$0x42, %ah
	movb	boot_drive, %dl
	movw	$DAP, %si
	int	$0x13
	jnc	read_ok
	movw	read_count, %ax			/* the BIOS may have changed it */
	movw	%ax, DAP + 2
	decw	read_left			/* CF stays */
	jnz	read_try
	ret
read_ok:
	movzwl	read_count, %eax
	addl	%eax, DAP + 8
	adcl	$0, DAP + 12
	addw	$READ_BYTES / 16, DAP + 6
	subw	%ax, %di
	ja	read_next
	ret

/* Says why on screen and first serial port, then lets the firmware try the next disk. */
boot_fail:
	pushw	%si
	movw	$msg_head, %si
	call	print
	popw	%si
	call	print
	int	$0x18
1:	hlt
	jmp	1b

/* The text at %si, on the screen and the first serial port. */
print:
	lodsb
	testb	%al, %al
	jz	1f
	pushw	%ax
	movb	$0x0e, %ah
	movw	$0x0007, %bx
	int	$0x10
	popw	%ax
	movb	$0x01, %ah
	xorw	%dx, %dx
	int	$0x14
	jmp	print
1:	ret

msg_head:	.asciz	"afterimage: no dump: "
msg_edd:	.asciz	"E26 the BIOS can not read this disk (no INT 13h extensions)\r\n"
msg_locate:	.asciz	"E44 not prepared by mkdumpdisk\r\n"
msg_read:	.asciz	"E26 reading the dump disk failed\r\n"
	.globl	boot_drive
boot_drive:	.byte	0
read_count:	.word	0
read_left:	.word	0

	.org	boot_sector + LOCATE_AT		/* struct boot_locate */
	.globl	boot_locate
boot_locate:
locate_lba:	.quad	0
locate_blocks:	.word	0
locate_bytes:	.word	0
locate_magic:	.long	LOCATE_MAGIC
	.org	boot_sector + 440
	.org	boot_sector + 510
	.word	0xaa55

/* --- the image ------------------------------------------------------------------------- */

	.section .head, "ax"
	.globl	image_header
image_header:					/* struct boot_header */
	jmp	image_entry16
	.org	image_header + 4
	.ascii	"AFTRBOOT"
	.long	2
	.long	image_file_bytes
	.long	0				/* crc32c, by mkdumpdisk */
	.skip	16				/* target_uuid */
	.byte	3				/* console */
	.byte	0
	.word	0x3f8
	.long	115200
	.long	0				/* image_crc32c, by mkdumpdisk */
header_flags:
	.byte	0, 0				/* flags, menu_seconds */
dump_blocks:
	.word	0
	.long	0, 0
dump_lba:
	.quad	0
survey_lba:
	.quad	0
	.org	image_header + 96

	.section .text16, "ax"
image_entry16:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	cld

	movw	$0x0003, %ax			/* 80x25 text, screen cleared */
	int	$0x10

	movl	$0x80000000, %eax		/* long mode? */
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode

/*
 * ACPI 6.5 s15.1: INT 15h E820h, at most E820_MAX entries. Without the attributes of ACPI 3:
 * firmware exists that fills in zeros, "ignore this entry", for all RAM, and Linux, whose
 * memory it is, does not ask for them either.
 */
	xorl	%ebx, %ebx
	movw	$E820_TABLE, %di
	movl	%ebx, E820_COUNT
	movl	%ebx, E820_CUT
e820_next:
	movl	$0xe820, %eax
	movl	$20, %ecx
	movl	$0x534d4150, %edx		/* "SMAP" */
	int	$0x15
	jc	e820_done
	cmpl	$0x534d4150, %eax
	jne	e820_done
	addw	$20, %di
	incl	E820_COUNT
	cmpl	$E820_MAX, E820_COUNT
	jae	e820_full
	testl	%ebx, %ebx
	jnz	e820_next
	jmp	e820_done
e820_full:
	testl	%ebx, %ebx
	jz	e820_done
	movl	$1, E820_CUT
e820_done:
	int	$0x12				/* KiB up to the extended BIOS data area */
	movw	%ax, BASE_KIB

/*
 * Automatic mode: what the disk knows of earlier dumps goes behind the image, where the arena
 * will be: after one page to spare and one for the survey's record. What can not be read is not
 * known.
 */
	movw	$0, DISK_READ
	testb	$HEADER_AUTOMATIC, header_flags
	jz	disk_done
	movzwl	BASE_KIB, %ecx
	shll	$10, %ecx
	subl	$image_end + 2 * 4096, %ecx
	jb	disk_done
	movzwl	dump_blocks, %edi
	movzwl	locate_bytes, %eax
	mull	%edi
	cmpl	%ecx, %eax
	ja	disk_done
	testl	%eax, %eax
	jz	disk_done
	movl	$image_end + 2 * 4096, %ebx
	shrl	$4, %ebx
	pushw	%bx
	movw	$dump_lba, %si
	call	disk_read
	popw	%bx
	jc	disk_done
	incw	DISK_READ
	subw	$4096 / 16, %bx
	movw	$1, %di
	movw	$survey_lba, %si		/* 0 if there is none: no record lies there */
	call	disk_read
	jc	disk_done
	incw	DISK_READ
disk_done:

	call	a20_check
	jz	a20_on
	movw	$0x2401, %ax
	int	$0x15
	call	a20_check
	jz	a20_on
	inb	$0x92, %al			/* fast gate; bit 0 would reset the machine */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	call	a20_check
	jz	a20_on
	call	kbc_wait			/* keyboard controller: write output port */
	movb	$0xd1, %al
	outb	%al, $0x64
	call	kbc_wait
	movb	$0xdf, %al
	outb	%al, $0x60
	call	kbc_wait
	call	a20_check
	movw	$msg_a20, %si
	jnz	fail16
a20_on:
	inb	$0x21, %al			/* as the BIOS wants to find it again */
	movb	%al, BIOS_PIC
	inb	$0xa1, %al
	movb	%al, BIOS_PIC + 1
	movl	%cr0, %eax
	movl	%eax, BIOS_CR0
	movl	%cr4, %eax
	movl	%eax, BIOS_CR4
	movl	$MSR_EFER, %ecx
	rdmsr
	movl	%eax, BIOS_EFER
	movl	$enter32, %ebp

/* From real mode to 32-bit code at %ebp, without interrupts; %esi and %edi stay. */
	.globl	protect
protect:
	cli
	movb	$0xff, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	lgdt	gdt_pointer
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmp	$SELECTOR_CODE32, $1f
	.code32
1:	movw	$SELECTOR_DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	cld
	jmp	*%ebp
	.code16

/*
 * %di blocks from the LBA that is at %si to the segment %bx; CF set if they can not be read. One
 * by one: there are BIOSes that can not read across a multiple of 64 KiB.
 */
disk_read:
	movl	(%si), %eax
	movl	%eax, DAP + 8
	movl	4(%si), %eax
	movl	%eax, DAP + 12
1:	movw	%bx, DAP + 6
	pushw	%bx
	pushw	%di
	movw	$1, %di
	call	read_blocks
	popw	%di
	popw	%bx
	jc	2f
	movw	locate_bytes, %ax
	shrw	$4, %ax
	addw	%ax, %bx			/* never above 0xa000: clears CF */
	decw	%di
	jnz	1b
2:	ret

/*
 * ZF set if address line 20 works: 0xffff:0x510 and 0:0x500 are different bytes. Nothing
 * above 1 MiB is written: the low byte is changed and the high one watched.
 */
a20_check:
	pushw	%fs
	movw	$0xffff, %ax
	movw	%ax, %fs
	movw	$2, %cx				/* two values: equality by chance is possible once */
1:	notb	0x500
	movb	0x500, %al
	cmpb	%fs:0x510, %al
	jne	2f
	loop	1b
	popw	%fs
	orb	$1, %al				/* both times equal: wrapped, ZF clear */
	ret
2:	popw	%fs
	xorb	%al, %al
	ret

kbc_wait:					/* input buffer empty, bounded */
	movw	$0xffff, %cx
1:	inb	$0x64, %al
	testb	$2, %al
	loopnz	1b
	ret

no_long_mode:
	movw	$msg_cpu, %si
fail16:
	call	print				/* the boot sector is still there */
1:	hlt
	jmp	1b

msg_cpu:	.asciz	"afterimage: no dump: E45 this processor has no 64-bit mode\r\nafterimage: halted\r\n"
msg_a20:	.asciz	"afterimage: no dump: E46 address line 20 can not be switched on\r\nafterimage: halted\r\n"

	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* SELECTOR_CODE64 */
	.quad	0x00cf93000000ffff		/* SELECTOR_DATA */
	.quad	0x00cf9b000000ffff		/* SELECTOR_CODE32 */
	.quad	0x00009b000000ffff		/* SELECTOR_CODE16 */
	.quad	0x000093000000ffff		/* SELECTOR_DATA16 */
	.globl	gdt_pointer
gdt_pointer:
	.word	. - gdt - 1
	.quad	gdt

/*
 * Page tables, see docs/memory.md. Here only the part that is needed to run: the first
 * MiB, page by page. What is old memory is not mapped at all.
 */
	.code32
enter32:
	movl	$__bss_start, %edi		/* the tables are in .bss */
	movl	$image_end, %ecx
	subl	%edi, %ecx
	shrl	$2, %ecx
	xorl	%eax, %eax
	rep stosl

	movl	$page_pml4, %edi
	movl	$page_pdpt + 3, (%edi)
	movl	$page_pd + 3, page_pdpt
	movl	$page_low + 3, page_pd
	movl	$page_low, %edi			/* present, writable, identity: 0 - 0x9ffff */
	movl	$0x3, %eax
	movl	$0xa0, %ecx
1:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	1b
	movl	$0xa0000 + 0x1b, %eax		/* VGA memory: uncached */
	movl	$0x20, %ecx
1:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	1b
	movl	$0xc0000 + 0x1, %eax		/* ROMs: read-only */
	movl	$0x40, %ecx
1:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	1b

	movl	$enter64, %esi

/* From 32-bit code to 64-bit code at %esi; %edi stays. */
	.globl	long_on
long_on:
	movl	%cr4, %eax
	orl	$(1 << 5 | 1 << 9 | 1 << 10), %eax	/* PAE; OSFXSR, OSXMMEXCPT: zlib uses SSE2 */
	movl	%eax, %cr4
	movl	$page_pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~(1 << 2 | 1 << 3 | 1 << 29 | 1 << 30), %eax	/* EM, TS off, caches on */
	orl	$(1 << 31 | 1 << 16 | 1 << 1), %eax	/* PG, WP, MP */
	movl	%eax, %cr0
	ljmp	$SELECTOR_CODE64, $1f
	.code64
1:	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$0xc0000100, %ecx		/* FS base: zlib's stack protector reads %fs:0x28 */
	movl	$stack_guard, %eax
	xorl	%edx, %edx
	wrmsr
	movl	%esi, %esi
	jmp	*%rsi

enter64:
	movl	$stack_end, %esp
	movl	$FOUND, %edi
	xorl	%ebp, %ebp
	call	door_bios
1:	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
