// SPDX-License-Identifier: Apache-2.0
/* A harmless function to hang a program on: it does nothing, and is not optimised away. */
void emit(unsigned number, unsigned size, unsigned how)
{
	__asm__ volatile("" : : "r"(number), "r"(size), "r"(how));
}
