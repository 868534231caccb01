/*
 * A boot sector that looks whether a BIOS started it, or somebody who left things as a BIOS does:
 * prints "mark D FAULTS!" on the first serial port, D being its disk's number less 0x80, FAULTS
 * a letter for each thing that is not as it should be. Then it stands still. Without interrupts
 * or a timer it never gets to the end.
 */
#define MSR_EFER	0xc0000080
#define FLAG_IF		0x200
#define FLAG_DF		0x400
#define BDA_TICKS	0x46c
#define COM1		0x3f8
#define BUFFER		0x9000

	.code16
	.globl	_start
_start:
	pushf
	popw	%bx
	pushw	%dx
	movw	%sp, %bp

	.macro	fault letter
	movb	$\letter, %al
	call	print
	.endm

	movw	$text - _start + 0x7c00, %si
1:	movb	%cs:(%si), %al
	incw	%si
	testb	%al, %al
	jz	2f
	call	print
	jmp	1b
2:	movb	(%bp), %al
	subb	$0x80 - '0', %al
	call	print
	movb	$' ', %al
	call	print

	testw	$FLAG_IF, %bx
	jnz	1f
	fault	'I'
1:	testw	$FLAG_DF, %bx
	jz	1f
	fault	'D'
1:	movw	%cs, %ax
	movw	%ds, %bx
	orw	%bx, %ax
	movw	%es, %bx
	orw	%bx, %ax
	movw	%ss, %bx
	orw	%bx, %ax
	jz	1f
	fault	'S'
1:	movl	%cr0, %eax
	testl	$0x80000001, %eax
	jz	1f
	fault	'0'
1:	movl	%cr4, %eax
	testl	%eax, %eax
	jz	1f
	fault	'4'
1:	movl	$MSR_EFER, %ecx
	rdmsr
	testl	%eax, %eax
	jz	1f
	fault	'E'
1:	movw	BDA_TICKS, %bx
2:	hlt
	cmpw	BDA_TICKS, %bx
	je	2b
	movw	$0x0201, %ax
	movw	$1, %cx
	movb	(%bp), %dl
	xorb	%dh, %dh
	movw	$BUFFER, %bx
	int	$0x13
	jc	2f
	cmpw	$0xaa55, BUFFER + 510
	je	1f
2:	fault	'R'
1:	fault	'!'
	cli
1:	hlt
	jmp	1b

print:
	pushw	%dx
	movw	$COM1, %dx
	outb	%al, %dx
	popw	%dx
	ret

text:	.asciz	"\r\nmark "

	.org	_start + 510
	.word	0xaa55
	.section .note.GNU-stack, "", @progbits
