/*
 * One stub per processor exception (Intel SDM Vol. 3A s6.15), all on a stack of
 * their own (IST 1). Only the NMI returns: somebody may press the button during a dump.
 */
	.section .text.trap, "ax"

	.macro	stub vector
	.balign	16
	.if	\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
	.else
	pushq	$0			/* no error code: keep the frame alike */
	.endif
	pushq	$\vector
	jmp	trap_common
	.endm

	.globl	trap_stubs
	.balign	16
trap_stubs:
	.altmacro
	.set	vector, 0
	.rept	32
	stub	%vector
	.set	vector, vector + 1
	.endr
	.noaltmacro

	.globl	trap_ignore
trap_ignore:
	iretq

/* On the stack: vector, error code, rip, cs, rflags, rsp, ss. */
trap_common:
	popq	%rdi
	popq	%rsi
	movq	(%rsp), %rdx
	andq	$-16, %rsp
	call	trap_fatal
1:	cli
	hlt
	jmp	1b

	.section .bss.trapstack, "aw", @nobits
	.balign	16
	.skip	4096
	.globl	trap_stack_end
trap_stack_end:
	.section .note.GNU-stack, "", @progbits
