/*
 * A boot sector that enters the image as a purgatory does: 64-bit mode, a page table that maps
 * the first GiB one to one, the zero page's address in rsi. The image is in memory already: the
 * machine was started with a RAM file that holds it. The test fills in the two addresses.
 */
#define TABLES	0x10000	/* page tables: three pages */

	.section .text
	.code16
	.globl	_start
_start:	jmp	1f
	.org	_start + 8
entry:	.quad	0		/* offset 8 */
zero_page:
	.quad	0		/* offset 16 */

1:	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	inb	$0x92, %al	/* address line 20 */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	lgdtl	gdt_pointer
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x08, $start32

	.code32
start32:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$TABLES, %edi
	xorl	%eax, %eax
	movl	$3 * 1024, %ecx
	rep stosl
	movl	$TABLES + 0x1000 + 3, TABLES
	movl	$TABLES + 0x2000 + 3, TABLES + 0x1000
	movl	$TABLES + 0x2000, %edi
	movl	$0x83, %eax	/* large pages */
	movl	$512, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x20, %eax	/* PAE */
	movl	%eax, %cr4
	movl	$TABLES, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax	/* long mode */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmp	$0x18, $start64

	.code64
start64:
	movq	zero_page, %rsi
	movq	entry, %rax
	jmp	*%rax

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08 32-bit code */
	.quad	0x00cf93000000ffff	/* 0x10 data */
	.quad	0x00af9b000000ffff	/* 0x18 64-bit code */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.section .note.GNU-stack, "", @progbits
