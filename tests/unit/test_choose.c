/*
 * What automatic mode and the menu decide, over made-up kernels in memory. How they ended is
 * scripted here: ending_find() of this file takes the place of the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "choose.h"
#include "crc32c.h"
#include "ports.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (32u * MIB)

static u8 *ram;
static struct memmap map;
static struct physmem pm;
static struct oldkernel kernel, candidate;
static struct pagemap pagemap;
static struct panic_scratch scratch;
static struct choose_disk disk;
static struct choose c;

/* How the kernel whose image lies there ended. */
static struct script {
	u64 image_pa;
	struct ending ending;
} script[4];
static u32 scripted;

/* The keys that are pressed, one after the other; then nobody is there. */
static const char *keys;
static u64 waited_us;

void ending_find(struct physmem *memory, const struct oldkernel *k, struct panic_scratch *lent,
	struct ending *out)
{
	(void)memory;
	memset(lent, 0xee, sizeof(*lent));
	memset(out, 0, sizeof(*out));
	for (u32 i = 0; i < scripted; i++) {
		if (script[i].image_pa == k->pt.root_pa - FAKE_ROOT)
			*out = script[i].ending;
	}
}

static u32 key(void *ctx, u64 wait_us)
{
	assert_ptr_equal(ctx, &keys);
	if (*keys)
		return (u32)(u8)*keys++;
	host_clock_advance_us(wait_us);
	waited_us += wait_us;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	host_reset_all();
	crc32c_init();
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	memset(ram, 0, RAM_BYTES);
	host_ram_set(ram, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, MIB, RAM_BYTES - MIB, MEM_RAM);
	physmem_init(&pm, &map);
	memset(&disk, 0, sizeof(disk));
	disk.known = true;
	scripted = 0;
	keys = "";
	waited_us = 0;
	c = (struct choose) {
		.pm = &pm,
		.memory = {&kernel, &candidate, &pagemap, &scratch},
		.disk = &disk,
		.automatic = true,
		.boots_on = true,
		.seconds = 3,
		.key = key,
		.ctx = &keys,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	host_reset_all();
	return 0;
}

/* Page map aside, the @i-th of them, 8 MiB each. Returns where its description is. */
static u64 add_kernel(u32 i, u32 how, u64 crash_id)
{
	static const char *const why[] = {"?", "shut down in order", "panicked"};
	struct fake_kernel fk = fake_kernel_default();

	fk.image_pa = (4 + 8 * i) * MIB;
	fk.note_pa = fk.image_pa + 2 * MIB;
	fk.text_pa = fk.image_pa + 3 * MIB;
	fk.mem_section_pa = fk.image_pa + 4 * MIB;
	fake_kernel_build(&fk);
	script[scripted++] = (struct script) {fk.image_pa, {how, why[how], crash_id, false}};
	return fk.note_pa;
}

static void add_dump(u64 crash_id, u32 number)
{
	disk.dump[disk.count++] = (struct choose_dump) {crash_id, number, false};
}

static void expect(const char *words)
{
	if (!strstr(host_console(), words))
		fail_msg("\"%s\" is not in:\n%s", words, host_console());
}

static void expect_not(const char *words)
{
	if (strstr(host_console(), words))
		fail_msg("\"%s\" is in:\n%s", words, host_console());
}

/* --- automatic mode --- */

static void test_nothing_there(void **state)
{
	(void)state;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: no old kernel in memory; booting on\n");
	expect_not("keys:");
	assert_int_equal(waited_us, 0);
}

/* Memory of which nothing makes sense is what a power-on leaves, too. */
static void test_noise(void **state)
{
	u32 x = 1;

	(void)state;
	for (u32 i = MIB; i < RAM_BYTES; i++)
		ram[i] = (u8)((x = x * 1664525 + 1013904223) >> 24);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: no old kernel in memory; booting on\n");
}

static void test_only_a_name(void **state)
{
	static const char banner[] = "Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists) #1";

	(void)state;
	memset(ram + 12 * MIB, 0x11, MIB);
	memset(ram + 2 * MIB, 0x12, 9 * MIB);
	memset(ram + 14 * MIB, 0x13, 17 * MIB);
	memcpy(ram + 12 * MIB + 64, banner, sizeof(banner));
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E11 ");
}

static void test_orderly(void **state)
{
	(void)state;
	add_kernel(0, ENDING_ORDERLY, 5);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: kernel " FAKE_RELEASE
	       " of host host shut down in order; booting on\n");
	expect_not("keys:");
	assert_int_equal(waited_us, 0);
	assert_int_equal(c.crash_id, 0);
}

static void test_crash(void **state)
{
	u64 pa = add_kernel(0, ENDING_CRASH, 77);

	(void)state;
	add_dump(78, 3);
	disk.tried_id = 79;
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	expect("afterimage: automatic: kernel " FAKE_RELEASE
	       " of host host panicked; capturing it\n");
	expect("afterimage: capture in 3 s; keys: d now, l other level, b boot on, o switch off\n");
	assert_int_equal(waited_us / 100000, 29); /* each look at the clock takes a little */
	assert_int_equal(c.crash_id, 77);
	assert_int_equal(c.vmcoreinfo_pa, pa);
	assert_int_equal(c.level, CHOOSE_NO_LEVEL);
}

/* A crash that can be recognised is captured in doubt. */
static void test_doubt(void **state)
{
	(void)state;
	add_kernel(0, ENDING_UNKNOWN, 77);
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	assert_int_equal(c.crash_id, 77);
}

static void test_captured_before(void **state)
{
	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	add_dump(1, 8);
	add_dump(77, 9);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("panicked; dump 9 has it\n");
	expect("afterimage: automatic: nothing else to capture; booting on\n");
	assert_int_equal(c.crash_id, 0);
}

static void test_passed_on(void **state)
{
	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	disk.tried_id = 77;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E70 ");

	script[0].ending.crash_id = 0;
	disk.tried_id = 0;
	add_dump(0, 4);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E71 ");

	script[0].ending.crash_id = 77;
	disk.known = false;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E30 ");
	disk.why = E_READ;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E26 ");
}

/* A reset in the middle of a capture: it is begun once more, but not for ever. */
static void test_cut_by_a_reset(void **state)
{
	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	add_dump(77, 3);
	disk.dump[0].cut = true;
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	disk.tried_id = 77;
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	assert_int_equal(c.crash_id, 77);
	add_dump(77, 4);
	disk.dump[1].cut = true;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("afterimage: automatic: not captured, booting on: E70 ");
	disk.dump[1].cut = false;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("dump 4 has it\n");
}

/* An earlier kernel's remains may look better than the last one's: both are asked. */
static void test_behind_a_captured_one(void **state)
{
	u64 pa;

	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	pa = add_kernel(1, ENDING_CRASH, 99);
	script[1].ending.sure = true;
	add_dump(77, 1);
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	expect("dump 1 has it\n");
	assert_int_equal(c.crash_id, 99);
	assert_int_equal(c.vmcoreinfo_pa, pa);

	add_dump(99, 2);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("dump 2 has it\n");
	expect("nothing else to capture; booting on\n");

	disk.count = 1;
	script[1].ending = (struct ending) {ENDING_ORDERLY, "shut down in order", 99, false};
	host_console_clear();
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("shut down in order; booting on\n");
}

/* Remains of a kernel that ended in order look like a crash where the next one wrote over them. */
static void test_remains_of_an_earlier_one(void **state)
{
	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	add_kernel(1, ENDING_CRASH, 99);
	add_dump(77, 1);
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("dump 1 has it\n");
	expect("panicked; perhaps remains of an earlier run\n");
	expect("nothing else to capture; booting on\n");
	assert_int_equal(c.crash_id, 0);
}

static void test_survey_goes_on(void **state)
{
	(void)state;
	add_kernel(0, ENDING_ORDERLY, 5);
	disk.survey = true;
	disk.survey_id = 8;
	keys = "b";
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
	expect("afterimage: automatic: a survey is under way\n");
	assert_int_equal(c.crash_id, 8);
}

/* The image could not write its record: not the same again at every start. */
static void test_survey_gets_nowhere(void **state)
{
	(void)state;
	add_kernel(0, ENDING_CRASH, 77);
	disk.survey = true;
	disk.survey_id = disk.tried_id = 8;
	assert_int_equal(choose_way(&c), CHOOSE_BOOT_ON);
	expect("was not written at the last start; booting on");
	assert_int_equal(c.crash_id, 8);
	assert_int_equal(waited_us, 0);
	keys = "d";
	assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
}

/* --- the menu --- */

static enum choose_way press(const char *what)
{
	keys = what;
	waited_us = 0;
	host_console_clear();
	return choose_way(&c);
}

static void test_keys(void **state)
{
	(void)state;
	c.automatic = false;
	c.disk = NULL;
	assert_int_equal(press(""), CHOOSE_CAPTURE);
	assert_int_equal(waited_us / 100000, 29);
	assert_int_equal(press("d"), CHOOSE_CAPTURE);
	assert_int_equal(press("b"), CHOOSE_BOOT_ON);
	assert_int_equal(press("O"), CHOOSE_OFF);
	assert_int_equal(waited_us, 0);
	c.boots_on = false;
	assert_int_equal(press("\x80qxB"), CHOOSE_BOOT_ON);
	expect("b restart, o switch off\n");
	assert_int_equal(press("zzz"), CHOOSE_CAPTURE); /* nobody that knows the keys */
	assert_int_equal(waited_us / 100000, 29);
}

static void test_nobody_is_asked(void **state)
{
	(void)state;
	c.automatic = false;
	c.seconds = 0;
	assert_int_equal(press("b"), CHOOSE_CAPTURE);
	c.seconds = 3;
	c.key = NULL;
	assert_int_equal(press("b"), CHOOSE_CAPTURE);
	assert_string_equal(host_console(), "");
}

/* Who pressed a key while the machine started wants something, whatever the old kernel says. */
static void test_key_pressed_before(void **state)
{
	(void)state;
	add_kernel(0, ENDING_ORDERLY, 5);
	assert_int_equal(press("d"), CHOOSE_CAPTURE);
	assert_int_equal(press("xxd"), CHOOSE_CAPTURE);
	assert_int_equal(press("o"), CHOOSE_OFF);
	assert_int_equal(press("xyz"), CHOOSE_BOOT_ON);
	assert_int_equal(waited_us, 0);
}

static u32 level_of(const char *typed)
{
	assert_int_equal(press(typed), CHOOSE_CAPTURE);
	return c.level;
}

static void test_level(void **state)
{
	(void)state;
	c.automatic = false;
	assert_int_equal(level_of("l1\r"), 1);
	expect("afterimage: level 0-31, then Enter: 1\n");
	assert_int_equal(level_of("L0\n"), 0);
	assert_int_equal(level_of("l31\r"), 31);
	assert_int_equal(level_of("l3x\b16\r"), 16);
	assert_int_equal(level_of("l\b\b123\r"), 12);
	assert_int_equal(level_of("l5"), CHOOSE_NO_LEVEL); /* left alone: the disk's */
	expect("that is no level\n");
	assert_int_equal(level_of("l32\r"), CHOOSE_NO_LEVEL);
	assert_int_equal(level_of("l\r"), CHOOSE_NO_LEVEL);
	assert_int_equal(level_of("l7\x1b"), CHOOSE_NO_LEVEL);
	assert_int_equal(level_of("l99\rl8\r"), 8);
	assert_int_equal(press("l99\rb"), CHOOSE_BOOT_ON);
}

/* A key that is held down for ever ends, too. */
static u32 held(void *ctx, u64 wait_us)
{
	(void)wait_us;
	return *(const u32 *)ctx;
}

static void test_held_key(void **state)
{
	static const char all[] = "x0l\b9\x1b";

	(void)state;
	c.automatic = false;
	c.key = held;
	for (u32 i = 0; i < sizeof(all) - 1; i++) {
		u32 code = (u32)all[i];

		c.ctx = &code;
		assert_int_equal(choose_way(&c), CHOOSE_CAPTURE);
		assert_int_equal(c.level, CHOOSE_NO_LEVEL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_there),
		TEST(test_noise),
		TEST(test_only_a_name),
		TEST(test_orderly),
		TEST(test_crash),
		TEST(test_doubt),
		TEST(test_captured_before),
		TEST(test_passed_on),
		TEST(test_cut_by_a_reset),
		TEST(test_behind_a_captured_one),
		TEST(test_remains_of_an_earlier_one),
		TEST(test_survey_goes_on),
		TEST(test_survey_gets_nowhere),
		TEST(test_keys),
		TEST(test_nobody_is_asked),
		TEST(test_key_pressed_before),
		TEST(test_level),
		TEST(test_held_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
