/*
 * Text and keys of firmware's console.
 */
#include "tests/host/ports_mem.h"
#include "tests/unit/efi_rig.h"

static const EFI_INPUT_KEY odd[] = {
	{0x01, 0},		      /* up */
	{0, 0}, {0, 0xe4}, {0x0b, 0}, /* F1 */
};

static int start(void **state)
{
	host_reset_all();
	return setup(state);
}

static void say(const char *text)
{
	efi_say(&fw.st, text, (u32)strlen(text));
}

static void test_text(void **state)
{
	char longer[1000];

	(void)state;
	say("");
	assert_int_equal(fw.outputs, 0);
	say("afterimage: one\nand two\n");
	assert_string_equal(fw.said, "afterimage: one\r\nand two\r\n");
	assert_int_equal(fw.outputs, 1); /* screens are slow */
	efi_say(&fw.st, "not all", 3);
	assert_string_equal(fw.said, "afterimage: one\r\nand two\r\nnot");

	for (u32 bytes = 70; bytes < 90; bytes++) {
		for (u32 at = 70; at < 90; at++) {
			setup(NULL);
			memset(longer, 'x', sizeof(longer));
			longer[bytes] = '\0';
			if (at < bytes)
				longer[at] = '\n';
			say(longer);
			assert_int_equal(fw.said_bytes, bytes + (at < bytes));
		}
	}
	fw.st.ConOut = NULL;
	say("nobody");
}

static void keys_set(const EFI_INPUT_KEY *keys, u32 n)
{
	fw.keys = keys;
	fw.keys_left = n;
}

static void test_keys_that_were_pressed(void **state)
{
	const EFI_INPUT_KEY keys[] = {
		{0, L'd'}, {0, L'\r'}, {0, L'\b'}, {0x17, 0}, {0x08, 0}, {0x02, 0}};

	(void)state;
	keys_set(keys, 6);
	assert_int_equal(efi_key(&fw.st, 0), 'd');
	assert_int_equal(efi_key(&fw.st, 0), '\r');
	assert_int_equal(efi_key(&fw.st, 0), '\b');
	assert_int_equal(efi_key(&fw.st, 0), 0x1b);
	assert_int_equal(efi_key(&fw.st, 0), 0x7f);
	assert_int_equal(efi_key(&fw.st, 0), 0);
	assert_int_equal(fw.keys_left, 0);
	assert_int_equal(fw.stalled_us, 0);
}

static void test_keys_that_are_none(void **state)
{
	EFI_INPUT_KEY many[1000] = {{0}};

	(void)state;
	memcpy(many, odd, sizeof(odd));
	many[4] = (EFI_INPUT_KEY) {0, L'b'};
	keys_set(many, 5);
	assert_int_equal(efi_key(&fw.st, 0), 'b');
	/* A key that sticks does not hold us up. */
	keys_set(many + 5, 995);
	assert_int_equal(efi_key(&fw.st, 0), 0);
	assert_true(fw.keys_left > 900);
}

static void test_waiting(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'o'}};

	(void)state;
	/* As long as firmware says, if the processor's clock stands still. */
	assert_int_equal(efi_key(&fw.st, 3000000), 0);
	assert_int_equal(fw.stalled_us, 3000000);
	keys_set(keys, 1);
	fw.stalled_us = 0;
	fw.keys_after_us = 1000000;
	assert_int_equal(efi_key(&fw.st, 3000000), 'o');
	assert_int_equal(fw.stalled_us, 1000000);
	/* And no longer than the clock says. */
	host_clock_step(400000);
	fw.stalled_us = 0;
	assert_int_equal(efi_key(&fw.st, 3000000), 0);
	assert_true(fw.stalled_us <= 80000);
	fw.st.ConIn = NULL;
	assert_int_equal(efi_key(&fw.st, 3000000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_text, start),
		cmocka_unit_test_setup(test_keys_that_were_pressed, start),
		cmocka_unit_test_setup(test_keys_that_are_none, start),
		cmocka_unit_test_setup(test_waiting, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
