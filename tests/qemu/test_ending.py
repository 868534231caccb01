"""How a hung kernel ended and which run of it that was, by its memory: the same before the reset,
after firmware and after the image ran. Symbols are where the kernel was linked to be."""

import endings
import registers

NAMES = ("system_state", "panic_cpu", "jiffies_64", "_end")
HUNG = "crash: was still running: it hung or was reset"


def test_symbols_are_where_they_were_linked(first, kernel, tmp_path):
    memory = registers.Kernel(first.crash.ram, first.crash.ram_bytes, first.crash.release,
                              kernel.vmlinux)
    found = endings.look(first.crash.ram, first.crash, tmp_path, *NAMES)
    assert found.why == HUNG
    assert found.symbols == dict(zip(NAMES, memory.address(*NAMES)))


def test_a_run_is_known_again(first, tmp_path):
    runs = {endings.look(ram, first.crash, tmp_path).why_and_run
            for ram in (first.crash.ram, first.firmware_ram, first.ram_after)}
    assert len(runs) == 1 and runs.pop()[0] == HUNG
