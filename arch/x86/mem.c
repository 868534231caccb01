/*
 * The four memory functions the compilers expect, and the C library symbols that
 * the packaged zlib refers to. Its allocator is never called: compress.c brings
 * its own. An overrun stack becomes an exception, which trap.c puts into words.
 */
#include <string.h>
#include "types.h"

/* Keeps the compilers from turning a loop into a call of the function it is in. */
#define NO_IDIOM() __asm__ volatile("")

void *malloc(size_t bytes);
void free(void *p);
void __stack_chk_fail(void);

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes)
{
	u8 *d = dst;
	const u8 *s = src;
	u64 a, b, c, e;

	for (; bytes >= 32; bytes -= 32, d += 32, s += 32) {
		__builtin_memcpy(&a, s, 8);
		__builtin_memcpy(&b, s + 8, 8);
		__builtin_memcpy(&c, s + 16, 8);
		__builtin_memcpy(&e, s + 24, 8);
		__builtin_memcpy(d, &a, 8);
		__builtin_memcpy(d + 8, &b, 8);
		__builtin_memcpy(d + 16, &c, 8);
		__builtin_memcpy(d + 24, &e, 8);
		NO_IDIOM();
	}
	for (; bytes > 0; bytes--) {
		*d++ = *s++;
		NO_IDIOM();
	}
	return dst;
}

void *memmove(void *dst, const void *src, size_t bytes)
{
	u8 *d = dst;
	const u8 *s = src;

	if ((u64)dst - (u64)src >= bytes)
		return memcpy(dst, src, bytes);
	while (bytes-- > 0) {
		d[bytes] = s[bytes];
		NO_IDIOM();
	}
	return dst;
}

void *memset(void *dst, int value, size_t bytes)
{
	u8 *d = dst;
	u64 word = 0x0101010101010101ull * (u8)value;

	for (; bytes >= 8; bytes -= 8, d += 8) {
		__builtin_memcpy(d, &word, 8);
		NO_IDIOM();
	}
	for (; bytes > 0; bytes--) {
		*d++ = (u8)value;
		NO_IDIOM();
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const u8 *p = a, *q = b;

	for (size_t i = 0; i < bytes; i++) {
		if (p[i] != q[i])
			return p[i] < q[i] ? -1 : 1;
		NO_IDIOM();
	}
	return 0;
}

void *malloc(size_t bytes)
{
	(void)bytes;
	return NULL;
}

void free(void *p)
{
	if (p)
		__builtin_trap();
}

void __stack_chk_fail(void)
{
	__builtin_trap();
}
