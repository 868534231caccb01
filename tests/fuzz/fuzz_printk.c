/*
 * Reads a log out of RAM made of the input. Byte 0: bits 0-1 choose the kind of log, bit 2
 * leaves the last line of vmcoreinfo out, bit 3 makes one of the offsets a large one; byte 1
 * is the number of a page that is not mapped (0: none). The rest is RAM from page 1 on: first
 * the variables, then a page each of descriptors and infos, then text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "printk.h"
#include "tests/host/ports_mem.h"

#define PAGES	  24u
#define RAM_BYTES (PAGES * PAGE_BYTES)
#define TABLES	  16u /* their first page */
#define HEAD	  2u
#define VA	  0xffff888000000000ull
#define BITS_MASK 15u

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct vmcoreinfo vi;
static struct printk log;
static struct printk_record record;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static const char ring_keys[] =
	"SYMBOL(prb)=ffff888000001000\n"
	"OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=48\n"
	"OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\n"
	"OFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\n"
	"OFFSET(prb_desc_ring.tail_id)=32\nSIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\n"
	"OFFSET(prb_desc.text_blk_lpos)=8\nOFFSET(prb_data_blk_lpos.begin)=0\n"
	"OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=88\nOFFSET(printk_info.seq)=0\n"
	"OFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)=16\n"
	"OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n"
	"OFFSET(atomic_long_t.counter)=0\n";

static const char record_keys[] =
	"SYMBOL(log_buf)=ffff888000001000\nSYMBOL(log_buf_len)=ffff888000001008\n"
	"SYMBOL(log_first_idx)=ffff88800000100c\nSYMBOL(log_next_idx)=ffff888000001010\n"
	"SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n"
	"OFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n";

static const char plain_keys[] =
	"SYMBOL(log_buf)=ffff888000001000\nSYMBOL(log_buf_len)=ffff888000001008\n"
	"SYMBOL(log_end)=ffff88800000100c\nSYMBOL(logged_chars)=ffff888000001010\n";

static const char *const texts[] = {ring_keys, record_keys, plain_keys, ring_keys};

static void put_u64(u64 at, u64 v)
{
	memcpy(image + at, &v, sizeof(v));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (!image)
		abort();
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	return 0;
}

/* Page i of the address space is page i of RAM, but for the tables and the one left out. */
static void map_pages(u32 absent)
{
	u64 table = TABLES * PAGE_BYTES;

	for (u32 i = 0; i < 3; i++, table += PAGE_BYTES)
		put_u64(table + (i == 0 ? 273 * 8 : 0), (table + PAGE_BYTES) | 3);
	for (u32 i = 1; i < TABLES; i++)
		put_u64(table + i * 8ull, (u64)i << PAGE_SHIFT | (i != absent ? 3 : 0));
}

static void describe(u8 how)
{
	char *digit;

	memset(&vi, 0, sizeof(vi));
	vi.bytes = (u32)strlen(texts[how & 3]);
	memcpy(vi.text, texts[how & 3], vi.bytes);
	if (how & 4) {
		vi.text[--vi.bytes] = '\0';
		vi.bytes = (u32)(strrchr(vi.text, '\n') + 1 - vi.text);
	}
	digit = strstr(vi.text, "=16\n");
	if (how & 8 && digit)
		memcpy(digit + 1, how & 0x10 ? "99" : "-1", 2);
}

/* Walks that end soon: the ring is at +16, behind its pointer, the buffer's length at +8. */
static void keep_short(u8 how)
{
	u8 *vars = image + PAGE_BYTES;

	if ((how & 3) % 3 == 0) {
		put_u64(PAGE_BYTES, VA + PAGE_BYTES + 16);
		vars[16] &= BITS_MASK;
	} else {
		vars[10] &= BITS_MASK;
		vars[11] = 0;
	}
}

/* Records are of at least a byte of the buffer, or have a descriptor each. */
static void read_all(struct pagetable *pt)
{
	u64 most;
	u64 n = 0;

	if (printk_open(&log, &pm, pt, &vi) != OK)
		return;
	most = log.steps;
	while (printk_next(&log, &record)) {
		volatile char last;

		if (record.bytes > PRINTK_TEXT_MAX || record.level > PRINTK_LEVEL_UNKNOWN)
			abort();
		last = record.bytes ? record.text[record.bytes - 1] : '\0';
		(void)last;
		n++;
	}
	if (n + log.lost > most || log.steps != 0 || printk_next(&log, &record))
		abort();
	if (log.descs && most > log.descs)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct pagetable pt = {.root_pa = TABLES * PAGE_BYTES, .levels = 4};

	if (bytes < HEAD)
		return 0;
	memset(image, 0, RAM_BYTES);
	memcpy(image + PAGE_BYTES, data + HEAD,
		min_u64(bytes - HEAD, (TABLES - 1ull) * PAGE_BYTES));
	map_pages(data[1]);
	describe(data[0]);
	keep_short(data[0]);
	physmem_init(&pm, &map);
	read_all(&pt);
	return 0;
}
