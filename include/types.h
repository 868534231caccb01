/*
 * Exact-width integers, page units and the few macros every file uses. No
 * functions with state; safe to include anywhere, in the image and in the tools.
 */
#ifndef AFTERIMAGE_TYPES_H
#define AFTERIMAGE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096u

#define KIB 1024u
#define MIB (1024u * 1024u)
#define GIB (1024ull * 1024u * 1024u)

#define ARRAY_SIZE(a)	   (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK	   __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)  __attribute__((format(printf, f, a)))
#define ASSERT_SIZE(t, n)  _Static_assert(sizeof(t) == (n), #t " has the wrong size")
#define ASSERT_AT(t, f, n) _Static_assert(offsetof(t, f) == (n), #t "." #f " is misplaced")

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* True if [off, off+len) lies inside [0, max); never overflows. */
static inline bool range_fits(u64 off, u64 len, u64 max)
{
	return off <= max && len <= max - off;
}

/* @to must be a power of two; @v must be at least @to below 2^64. */
static inline u64 round_up_u64(u64 v, u64 to)
{
	return (v + to - 1) & ~(to - 1);
}

#endif
