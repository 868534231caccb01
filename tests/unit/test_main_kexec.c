/*
 * The core after a panic: registers by way of elfcorehdr, the panic message, and what becomes
 * of a machine that crashes again and again.
 */
#include <elf.h>
#include "tests/unit/main_rig.h"

#define CORE_PA	   (24u * MIB)
#define NOTES_PA   (25u * MIB)
#define NOTE_BYTES 356u
#define DESC_BYTES 336u
#define CPUS	   3u
#define LOOP_S	   3600u

struct core {
	Elf64_Ehdr h;
	Elf64_Phdr p[CPUS + 2];
};

static struct core *core(void)
{
	return (struct core *)(void *)(ram + CORE_PA);
}

static u8 *note(u32 cpu)
{
	return ram + NOTES_PA + cpu * PAGE_BYTES;
}

/* As kexec has it: a note for each processor, one for vmcoreinfo, all of RAM. */
static void core_build(void)
{
	struct core *c = core();

	*c = (struct core) {
		.h = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			      EV_CURRENT},
			.e_type = ET_CORE,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(c->h),
			.e_ehsize = sizeof(c->h),
			.e_phentsize = sizeof(c->p[0]),
			.e_phnum = CPUS + 2},
	};
	for (u32 i = 0; i < CPUS; i++) {
		const Elf64_Nhdr head = {5, DESC_BYTES, NT_PRSTATUS};

		c->p[i] = (Elf64_Phdr) {.p_type = PT_NOTE,
			.p_offset = NOTES_PA + i * PAGE_BYTES,
			.p_filesz = NOTE_BYTES + 20,
			.p_memsz = NOTE_BYTES + 20};
		memset(note(i), 0, PAGE_BYTES);
		memcpy(note(i), &head, sizeof(head));
		memcpy(note(i) + 12, "CORE", 5);
		memset(note(i) + 20, (int)(0x11 * (i + 1)), DESC_BYTES);
	}
	c->p[CPUS] = (Elf64_Phdr) {
		.p_type = PT_NOTE, .p_offset = fk.note_pa, .p_filesz = 4096, .p_memsz = 4096};
	c->p[CPUS + 1] = (Elf64_Phdr) {.p_type = PT_LOAD,
		.p_paddr = MIB,
		.p_filesz = RAM_BYTES - MIB,
		.p_memsz = RAM_BYTES - MIB};
	handoff.door = DOOR_LINUX;
	handoff.elfcorehdr_pa = CORE_PA;
}

static u32 notes_on_disk(u32 cpu)
{
	const struct dl_note head = {DL_NOTE_PRSTATUS, NOTE_BYTES};
	u8 want[sizeof(head) + NOTE_BYTES];
	u8 *at = disk.bytes;
	u32 n = 0;

	memcpy(want, &head, sizeof(head));
	memcpy(want + sizeof(head), note(cpu), NOTE_BYTES);
	while ((at = memmem(at, (size_t)(disk.bytes + disk.blocks * 512 - at), want,
			sizeof(want))) != NULL) {
		at++;
		n++;
	}
	return n;
}

static void test_registers(void **state)
{
	(void)state;
	core_build();
	run();
	host_console_clear();
	dump_hello(DOOR_LINUX);
	expect("afterimage " AFTERIMAGE_VERSION " via linux\n");
	expect("afterimage: registers of 3 processors\n");
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(notes_on_disk(i), 1);
	assert_int_equal(header(0).degraded, NO_MAP);
	assert_int_equal(header(0).door, DOOR_LINUX);
}

static void test_broken_registers(void **state)
{
	(void)state;
	core_build();
	core()->p[1].p_offset = RAM_BYTES;
	run();
	expect("afterimage: registers of 2 processors\nafterimage: those of 1 more can not be "
	       "read\n");
	assert_int_equal(header(0).degraded, NO_MAP | DL_DEGRADED_REGISTERS);
	assert_int_equal(notes_on_disk(0) + notes_on_disk(2), 2);
}

/* The door found the header; if the core does not, the dump has no registers and says so. */
static void test_header_out_of_reach(void **state)
{
	(void)state;
	core_build();
	handoff.elfcorehdr_pa = RAM_BYTES;
	run();
	expect("afterimage: E16 ");
	expect(" complete: ");
	assert_null(strstr(host_console(), "afterimage: registers of"));
	assert_int_equal(header(0).degraded, NO_MAP | DL_DEGRADED_REGISTERS);
}

/* What kexec says is taken without a search, so that an earlier kernel's remains do not count. */
static void test_vmcoreinfo_by_kexec(void **state)
{
	struct fake_kernel second = fake_kernel_default();

	(void)state;
	second.image_pa = 8 * MIB;
	second.note_pa = 20 * MIB;
	second.text_pa = 21 * MIB;
	second.mem_section_pa = 22 * MIB;
	memset(ram + second.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&second);
	core_build();
	run();
	assert_null(strstr(host_console(), "kernels in memory"));
	assert_int_equal(header(0).degraded, NO_MAP);
}

static void capture_at(u64 time_s, const char *words, int action)
{
	handoff.time_s = time_s;
	run();
	expect(words);
	assert_int_equal(host_reset_action(), action);
}

static void test_third_within_an_hour(void **state)
{
	const u64 t = 1795248375;

	(void)state;
	super_level(31);
	capture_at(t, "afterimage: rebooting\n", ACTION_REBOOT);
	capture_at(t + LOOP_S / 2, "afterimage: rebooting\n", ACTION_REBOOT);
	capture_at(t + LOOP_S, "afterimage: E51 ", ACTION_HALT);
	expect("afterimage: halted\n");
	expect("dump 3 complete: ");
	assert_null(strstr(host_console(), "rebooting"));
}

static void test_three_in_more_than_an_hour(void **state)
{
	const u64 t = 1795248375;

	(void)state;
	capture_at(t, "afterimage: rebooting\n", ACTION_REBOOT);
	capture_at(t + LOOP_S / 2, "afterimage: rebooting\n", ACTION_REBOOT);
	capture_at(t + LOOP_S + 1, "afterimage: rebooting\n", ACTION_REBOOT);
}

/* Dumps are counted, so what could not be written is not known the next time. */
static void test_full_disk_is_no_loop(void **state)
{
	const u64 t = 1795248375;

	(void)state;
	free(disk.bytes);
	pci_model_reset();
	make_disk(FIRST + 9 + 16 * 2048);
	super_edit(ACTION_REBOOT, DL_COMP_NONE);
	capture_at(t, "afterimage: dump 1 incomplete: E34 ", ACTION_REBOOT);
	capture_at(t + 1, "afterimage: no dump: E34 ", ACTION_REBOOT);
}

static void test_power_off_is_no_loop(void **state)
{
	const u64 t = 1795248375;

	(void)state;
	super_edit(ACTION_POWEROFF, DL_COMP_LZF);
	for (u32 i = 0; i < 3; i++)
		capture_at(t + i, "afterimage: powering off\n", ACTION_POWEROFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_out_of_reach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vmcoreinfo_by_kexec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_third_within_an_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_three_in_more_than_an_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk_is_no_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_off_is_no_loop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
