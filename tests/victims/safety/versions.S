/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two versions of a library in which other instructions are at the same place: AFTER is the second. Whoever
 * executes the first instruction of the one, and the rest of the other, crashes.
 */
.macro function name
	.globl \name
	.type \name, @function
\name:
#ifdef AFTER
	mov	$2, %eax
	ret
#else
	push	%rbx
	mov	$1, %eax
	pop	%rbx
	ret
#endif
	.size \name, . - \name
	.balign 64
.endm

	.text
	function SSL_read
	function SSL_write
	.section .note.GNU-stack, "", @progbits
