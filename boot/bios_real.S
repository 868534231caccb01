/*
 * BIOS door, the way back: runs a routine in real mode, with the processor, the interrupt
 * controllers and the interrupts as the BIOS had them, and returns to 64-bit mode. The routines
 * are here: a key, the next disk, and the BIOS's own way on.
 */
#include "boot/bios.inc"

#define BDA_TICKS	0x46c		/* 18.2 a second */
#define BDA_DISKS	0x475
#define FIRST_DISK	0x80
#define BOTTOM_LINE	0x1800		/* row and column for INT 10h */

	.section .text16, "ax"

/*
 * u32 bios_real(const char *routine): calls the 16-bit code there and gives what that leaves
 * in %edi. The tables of exception handlers have to be loaded again (trap_init).
 */
	.code64
	.globl	bios_real
bios_real:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%cr4, %rax			/* machine checks may be on */
	pushq	%rax
	movl	%esp, LONG_ESP
	movl	%edi, %ebx
	lgdt	gdt_pointer
	pushq	$SELECTOR_CODE32
	pushq	$1f
	lretq

	.code32
1:	movl	%cr0, %eax			/* paging off: long mode is left */
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	BIOS_CR4, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	movl	BIOS_EFER, %eax
	xorl	%edx, %edx
	wrmsr
	movw	$SELECTOR_DATA16, %ax		/* 64 KiB limits */
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	ljmp	$SELECTOR_CODE16, $1f

	.code16
1:	movl	BIOS_CR0, %eax
	movl	%eax, %cr0
	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movw	$REAL_STACK, %sp
	lidt	bios_idt
	movb	BIOS_PIC, %al
	outb	%al, $0x21
	movb	BIOS_PIC + 1, %al
	outb	%al, $0xa1
	sti
	call	*%bx
	movl	$long_on, %ebp
	movl	$1f, %esi
	jmp	protect

	.code64
1:	movl	LONG_ESP, %esp
	movw	$SELECTOR_DATA, %ax
	movw	%ax, %ss
	popq	%rax
	movq	%rax, %cr4
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	movl	%edi, %eax
	ret

bios_idt:
	.word	0x3ff
	.long	0

/*
 * The key that was pressed first, as ASCII, or 0 if none is until the BIOS's next tick. The
 * timer may be dead: no more than 65536 looks.
 */
	.code16
	.globl	bios_key16
bios_key16:
	xorl	%edi, %edi
	movw	BDA_TICKS, %bx
	xorw	%cx, %cx
1:	movb	$0x01, %ah
	int	$0x16
	jnz	2f
	cmpw	BDA_TICKS, %bx
	loope	1b
	ret
2:	xorb	%ah, %ah
	int	$0x16
	movzbl	%al, %edi
	ret

/*
 * Boots the first disk after ours, in the firmware's order and around its end, that can be
 * booted; returns if there is none. The BIOS writes where our last line was: at the bottom.
 */
	.globl	bios_next16
bios_next16:
	movb	$0x02, %ah
	xorb	%bh, %bh
	movw	$BOTTOM_LINE, %dx
	int	$0x10
	movl	$image_end, %eax		/* free: nothing is captured any more */
	shrl	$4, %eax
	movw	%ax, %es
	movb	boot_drive, %dl
	cmpb	$FIRST_DISK, %dl
	jae	1f
	movb	$FIRST_DISK - 1, %dl
1:	movzbw	BDA_DISKS, %cx
	jcxz	4f
2:	incb	%dl
	movb	%dl, %al
	subb	$FIRST_DISK, %al
	cmpb	BDA_DISKS, %al
	jb	3f
	movb	$FIRST_DISK, %dl
3:	cmpb	boot_drive, %dl
	je	5f
	pushw	%cx
	pushw	%dx
	call	sector_read
	popw	%dx
	popw	%cx
	jnc	sector_start
5:	loop	2b
4:	ret

/*
 * The first block of disk %dl to the segment %es; CF set if it can not be read or is not to be
 * booted: without signature or code, or a dump disk, which would capture the same again.
 */
sector_read:
	movw	$READ_TRIES, %bp
1:	movl	$1 << 16 | 16, DAP
	movw	$0, DAP + 4
	movw	%es, DAP + 6
	movl	$0, DAP + 8
	movl	$0, DAP + 12
	movw	$DAP, %si
	movb	$0x42, %ah
	pushw	%dx
	int	$0x13
	popw	%dx
	jnc	2f
	movw	$0x0201, %ax			/* without extensions: cylinder 0, head 0, sector 1 */
	movw	$1, %cx
	xorb	%dh, %dh
	xorw	%bx, %bx
	pushw	%dx
	int	$0x13
	popw	%dx
	jnc	2f
	decw	%bp				/* CF stays */
	jnz	1b
	ret
2:	cmpw	$0xaa55, %es:510
	jne	3f
	cmpl	$LOCATE_MAGIC, %es:LOCATE_AT + 12
	je	3f
	cmpb	$1, %es:0
	ret
3:	stc
	ret

/* With the registers that a BIOS gives a boot sector; it has no use for those of Plug and Play. */
sector_start:
	pushw	%es
	popw	%ds
	xorl	%eax, %eax
	movw	%ax, %es
	xorl	%esi, %esi
	movl	$BOOT_SECTOR, %edi
	movl	$512 / 2, %ecx
	cld
	rep movsw
	movw	%ax, %ds
	movzbl	%dl, %edx
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	xorl	%esi, %esi
	movw	$0xaa55, %ax
	movw	$REAL_STACK, %sp
	ljmp	$0, $BOOT_SECTOR

/* CD, network: what the firmware does when a boot sector gives up. */
	.globl	bios_give_up16
bios_give_up16:
	int	$0x18
	ret

	.section .note.GNU-stack, "", @progbits
