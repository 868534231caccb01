/*
 * Speed and ratio of the image's compressors on memory: bench_compress [RAMFILE [MIB]].
 * Without a file the memory is made up. Only pages that are not zero count. To try
 * another hash size: make HLOG=14 BUILD=build/hlog14 build/hlog14/host/bench_compress
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include "capture.h"
#include "compress.h"
#include "crc32c.h"

#define BENCH_MIB     256u
#define BENCH_MAX_MIB 4096u

/* Called directly, as compress.c's table has room for one hash size only. */
unsigned int lzf_compress(const void *in, unsigned int in_bytes, void *out, unsigned int out_bytes,
	unsigned int *table);

static unsigned int lzf_table[1u << 16];
static z_stream zlib;
static u8 out[DL_GROUP_PAGES * PAGE_BYTES];

struct memory {
	u8 *data;
	u64 pages; /* not zero, one behind the other */
};

/* CPU time: the machine may be busy with other things. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Pointers, counters, text and noise, roughly as they mix in kernel memory. */
static void make_up(u8 *page, u64 n)
{
	static const char text[] = "systemd-journald kworker/0:1 /usr/lib/x86_64-linux-gnu/libc ";
	u64 x = n * 0x9e3779b97f4a7c15ull + 1;

	for (u32 i = 0; i < PAGE_BYTES / 8; i++) {
		u64 word = 0;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (n % 4 == 0)
			word = x % 3 ? 0 : 0xffff888000000000ull + (x >> 40) * 64;
		else if (n % 4 == 1)
			memcpy(&word, text + x % (sizeof(text) - 8), 8);
		else if (n % 4 == 2)
			word = x % 5 ? i / 8 : x;
		else
			word = n % 8 == 3 ? x : x & 0x0f0f0f0f;
		memcpy(page + (size_t)i * 8, &word, 8);
	}
}

static struct memory load(const char *path, u64 mib)
{
	struct memory m = {.pages = 0};
	FILE *f = path ? fopen(path, "rb") : NULL;
	u64 most = mib * (MIB / PAGE_BYTES);

	m.data = malloc(most * PAGE_BYTES);
	if (!m.data || (path && !f)) {
		perror(path ? path : "memory");
		exit(1);
	}
	for (u64 i = 0; m.pages < most; i++) {
		u8 *page = m.data + m.pages * PAGE_BYTES;

		if (!f)
			make_up(page, i);
		else if (fread(page, PAGE_BYTES, 1, f) != 1)
			break;
		m.pages += !capture_is_zero(page, PAGE_BYTES);
	}
	if (f)
		fclose(f);
	return m;
}

static u32 pack_lzf(const u8 *in, u32 bytes)
{
	return lzf_compress(in, bytes, out, bytes / 8 * 7, lzf_table);
}

static u32 pack_zlib(const u8 *in, u32 bytes)
{
	if (deflateReset(&zlib) != Z_OK)
		exit(1);
	zlib.next_in = (z_const Bytef *)(uintptr_t)in;
	zlib.avail_in = bytes;
	zlib.next_out = out;
	zlib.avail_out = bytes / 8 * 7;
	return deflate(&zlib, Z_FINISH) == Z_STREAM_END ? bytes / 8 * 7 - zlib.avail_out : 0;
}

/* What a chunk takes on a disk of 512-byte blocks: packed if it pays, else raw. */
static u64 chunk_bytes(u32 packed, u32 bytes)
{
	u64 head = sizeof(struct dl_chunk) + bytes / PAGE_BYTES * sizeof(u64);

	return packed ? round_up_u64(head + packed, 512) : 512 + (u64)bytes;
}

static void measure(const char *name, u32 (*pack)(const u8 *, u32), const struct memory *m)
{
	static const u32 groups[] = {1, 4, 8, 16};

	for (u32 g = 0; g < ARRAY_SIZE(groups); g++) {
		u32 bytes = groups[g] * PAGE_BYTES;
		u64 in = 0;
		u64 stored = 0;
		double start = seconds();

		for (u64 page = 0; page + groups[g] <= m->pages; page += groups[g]) {
			stored += chunk_bytes(pack(m->data + page * PAGE_BYTES, bytes), bytes);
			in += bytes;
		}
		start = seconds() - start;
		printf("%-22s %2u pages  %7.0f MB/s  ratio %.3f\n", name, (unsigned)groups[g],
			(double)in / start / 1e6, (double)stored / (double)in);
	}
}

static void measure_zlib(const char *name, int window_bits, int mem_level, const struct memory *m)
{
	memset(&zlib, 0, sizeof(zlib));
	if (deflateInit2(&zlib, COMPRESS_ZLIB_LEVEL, Z_DEFLATED, window_bits, mem_level,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		exit(1);
	measure(name, pack_zlib, m);
	deflateEnd(&zlib);
}

static void measure_scans(const struct memory *m)
{
	u64 bytes = m->pages * PAGE_BYTES;
	double start = seconds();
	u32 crc = crc32c(0, m->data, bytes);

	start = seconds() - start;
	printf("crc32c %08x          %7.0f MB/s\n", (unsigned)crc, (double)bytes / start / 1e6);
	start = seconds();
	for (u64 page = 0; page < m->pages; page++)
		crc += capture_is_zero(m->data + page * PAGE_BYTES, PAGE_BYTES);
	start = seconds() - start;
	printf("zero test, not zero      %7.0f MB/s\n", (double)bytes / start / 1e6);
	memset(m->data, 0, bytes);
	start = seconds();
	for (u64 page = 0; page < m->pages; page++)
		crc += capture_is_zero(m->data + page * PAGE_BYTES, PAGE_BYTES);
	start = seconds() - start;
	printf("zero test, zero          %7.0f MB/s\n", (double)bytes / start / 1e6);
}

int main(int argc, char **argv)
{
	u64 mib = argc > 2 ? strtoull(argv[2], NULL, 0) : BENCH_MIB;
	struct memory m;

	crc32c_init();
	m = load(argc > 1 ? argv[1] : NULL, min_u64(max_u64(mib, 1), BENCH_MAX_MIB));
	printf("%llu pages that are not zero, %s\n", (unsigned long long)m.pages,
		argc > 1 ? argv[1] : "made up");
	measure("lzf", pack_lzf, &m);
	measure_zlib("zlib -1, 13/6, 70 KiB", 13, 6, &m);
	measure_zlib("zlib -1, 15/8, 262 KiB", 15, 8, &m);
	measure_scans(&m);
	free(m.data);
	return 0;
}
