/*
 * The core as a whole when nothing is in the way: what the operator reads, what is stored.
 */
#include "tests/unit/main_rig.h"

static void test_complete(void **state)
{
	struct dl_header h;

	(void)state;
	run();
	expect("afterimage: kernel " FAKE_RELEASE " of host host\n");
	expect("afterimage: dump 1 complete: ");
	expect("afterimage: rebooting\n");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
	h = header(0);
	assert_int_equal(h.state, DL_STATE_COMPLETE);
	assert_int_equal(h.number, 1);
	assert_int_equal(h.time_s, 1795248375);
	assert_int_equal(h.level_asked, 31);
	assert_int_equal(h.level_applied, 1);
	assert_int_equal(h.degraded, NO_MAP);
	assert_string_equal(h.release, FAKE_RELEASE);
	assert_int_equal(h.ram_pages, 0x9f + RAM_BYTES / PAGE_BYTES - 256);
	assert_true(m.shut_down);
	assert_true(m.flushes >= 3);
}

static bool note_on_disk(u32 type, const void *data, size_t bytes)
{
	static u8 note[sizeof(struct dl_note) + PAGE_BYTES];
	struct dl_note head = {type, (u32)bytes};

	memcpy(note, &head, sizeof(head));
	memcpy(note + sizeof(head), data, bytes);
	return memmem(disk.bytes, disk.blocks * 512, note, sizeof(head) + bytes) != NULL;
}

static void test_notes(void **state)
{
	static const char names[UTS_FIELDS][UTS_FIELD] = {
		"Linux", "host", FAKE_RELEASE, "#1 SMP Debian", "x86_64", "(none)"};
	const char *text = (const char *)ram + fk.text_pa;

	(void)state;
	run();
	assert_true(note_on_disk(DL_NOTE_VMCOREINFO, text, strlen(text)));
	assert_true(note_on_disk(DL_NOTE_UTSNAME, names, sizeof(names)));
	assert_true(note_on_disk(DL_NOTE_MEMMAP, handoff.map.range,
		handoff.map.count * sizeof(handoff.map.range[0])));
}

static void test_two_kernels(void **state)
{
	struct fake_kernel second = fake_kernel_default();

	(void)state;
	second.image_pa = 16 * MIB;
	second.note_pa = 20 * MIB;
	second.text_pa = 21 * MIB;
	second.mem_section_pa = 22 * MIB;
	memset(ram + second.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&second);
	run();
	expect("afterimage: 2 kernels in memory");
	assert_int_equal(header(0).degraded, NO_MAP | DL_DEGRADED_SEVERAL);
}

static void test_devices_are_stopped(void **state)
{
	struct pci_model_fn *sata = pci_model_add(0xf8, 0x010601);
	struct pci_model_fn *bridge = pci_model_add(0x08, 0x060400);

	(void)state;
	sata->config[1] = PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	bridge->config[1] = PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	run();
	assert_false(pci_model_masters(sata));
	assert_true(pci_model_masters(bridge));
}

static void test_second_dump(void **state)
{
	(void)state;
	run();
	run();
	expect("afterimage: dump 2 complete: ");
	assert_int_equal(header(0).number, 1);
	assert_int_equal(header(1).number, 2);
}

static void test_actions(void **state)
{
	(void)state;
	super_edit(ACTION_HALT, DL_COMP_ZLIB);
	run();
	expect("afterimage: halted\n");
	assert_int_equal(host_reset_action(), ACTION_HALT);
	super_edit(ACTION_POWEROFF, DL_COMP_LZF);
	run();
	expect("afterimage: powering off\nafterimage: E52 ");
	assert_int_equal(host_reset_action(), ACTION_POWEROFF);
	super_edit(99, DL_COMP_LZF);
	handoff.time_s += 2 * WRITER_RECENT_S;
	run();
	expect("afterimage: rebooting\n");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_are_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_actions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
