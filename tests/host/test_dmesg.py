"""getdump dmesg as users see it, on logs of made-up kernels in made-up dumps."""
import os
import pathlib
import re
import struct
import subprocess

import pytest

import logimage as li

ROOT = pathlib.Path(__file__).resolve().parents[2]
GETDUMP = (ROOT / os.environ.get("BUILD", "build") / "getdump").resolve()
TABLE = 0x1000
# Infos and texts are in pages a multiple of getdump's cache apart.
VARS, DESCS, INFOS, TEXT = 0x4000, 0x5000, 0x8000, 0x108000
DESC_BITS, TEXT_BITS = 7, 15
MASK = (1 << 62) - 1
RING_KEYS = """SYMBOL(prb)={prb:x}
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
OFFSET(prb_desc_ring.tail_id)=32
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
OFFSET(atomic_long_t.counter)=0
"""


def getdump(*args, code=0):
    done = subprocess.run([GETDUMP, *map(str, args)], capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == code, (args, done.returncode, done.stdout[-300:], done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def va(pa):
    return li.PAGE_OFFSET + pa


class Memory:
    """2 MiB of RAM with a kernel's page tables: a direct map of one 1 GiB page."""

    def __init__(self):
        self.data = bytearray(0x200000)
        self.put(TABLE + (li.PAGE_OFFSET >> 39 & 511) * 8, "<Q", (TABLE + 0x1000) | 3)
        self.put(TABLE + 0x1000, "<Q", 0x83)

    def put(self, at, form, *values):
        struct.pack_into(form, self.data, at, *values)

    def ring(self, messages):
        """The printk ring buffer of a kernel that wrote @messages: (nanoseconds, text)."""
        tail = -(1 << DESC_BITS) & MASK
        lpos = -(1 << TEXT_BITS)
        for i, (when, text) in enumerate(messages):
            index, at = (tail + i) % (1 << DESC_BITS), TEXT + lpos % (1 << TEXT_BITS)
            size = 8 + (len(text) + 7) // 8 * 8
            assert at + size <= len(self.data)
            self.put(DESCS + 24 * index, "<QQQ", 2 << 62 | tail + i & MASK,
                     lpos % (1 << 64), (lpos + size) % (1 << 64))
            self.put(INFOS + 88 * index, "<QQHBB", i, when, len(text), 0, 6 << 5)
            self.put(at, f"<Q{len(text)}s", tail + i & MASK, text)
            lpos += size
        self.put(VARS, "<Q", va(VARS + 8))
        self.put(VARS + 8, "<QQQQQQQQ", DESC_BITS, va(DESCS), va(INFOS),
                 tail + len(messages) - 1 & MASK, tail, 0, TEXT_BITS, va(TEXT))
        return RING_KEYS.format(prb=va(VARS))

    def dump(self, log, keys, without=(), number=1):
        """A dump of it all, but for the pages with contents @without."""
        d = log.dump(number)
        d.note(li.KERNEL, struct.pack("<QqQQIIII", TABLE, li.PHYS_BASE, li.PAGE_OFFSET, 0x2000,
                                      4, 1, 1, 0))
        d.note(li.VMCOREINFO, li.INFO + keys.encode())
        pages = range(len(self.data) // li.PAGE)
        zero = [p for p in pages if not any(self.page(p))]
        d.classes([(p, 1, li.ZERO if p in zero else li.KEPT) for p in pages])
        here = [p for p in pages if p not in zero and p not in without]
        for i in range(0, len(here), 16):
            d.pages(here[i:i + 16], li.ZLIB, self.page)
        return d.end()

    def page(self, pfn):
        return bytes(self.data[pfn * li.PAGE:(pfn + 1) * li.PAGE])


def ring_image(tmp_path, messages, **kw):
    memory, log = Memory(), li.Log()
    memory.dump(log, memory.ring(messages), **kw)
    return log.save(tmp_path / "disk.img")


def test_lines_look_as_dmesg_prints_them(tmp_path):
    image = ring_image(tmp_path, [(0, b"Linux version 6.1"), (1234567999, b"two\nlines\n of it"),
                                  (99999_000000_123, b""), (123456_000001_000, b"\ttab")])
    out, err = getdump("dmesg", image)
    assert out == ("[    0.000000] Linux version 6.1\n"
                   "[    1.234567] two\n"
                   "               lines\n"
                   "                of it\n"
                   "[99999.000000] \n"
                   "[123456.000001] \ttab\n")
    assert err == ""


def test_no_control_character_reaches_the_terminal(tmp_path):
    every = bytes(c for c in range(256) if c not in (9, 10))
    out, _ = getdump("dmesg", ring_image(tmp_path, [(0, every), (0, b"\x1b]0;title\x07\xc2\x9b2J"),
                                                    (0, b"\r[    9.000000] forged")]))
    assert re.fullmatch(r"[ -~\n]*", out)
    assert out.splitlines()[1:] == [
        "[    0.000000] \\x1b]0;title\\x07\\xc2\\x9b2J",
        "[    0.000000] \\x0d[    9.000000] forged"]
    first = out.splitlines()[0][len("[    0.000000] "):]
    assert first.startswith("\\x00\\x01") and first.endswith("\\xfe\\xff") and "ABC\\x" not in first
    assert re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m[1].decode()), first.encode()) == every


def test_a_dump_is_chosen_by_number(tmp_path):
    log = li.Log()
    for number in (1, 2):
        memory = Memory()
        memory.dump(log, memory.ring([(0, b"log of dump %d" % number)]), number=number)
    image = log.save(tmp_path / "disk.img")
    assert getdump("dmesg", image)[0].endswith("log of dump 2\n")
    assert getdump("dmesg", image, "-n1")[0].endswith("log of dump 1\n")
    assert "no dump 3" in getdump("dmesg", image, "-n", 3, code=1)[1]
    assert "does not take --force" in getdump("dmesg", image, "--force", code=2)[1]


MANY = [(i * 10**6, b"message %d " % i + b"x" * 100) for i in range(100)]


def test_what_the_dump_lacks_is_said(tmp_path):
    """The second page of the text is missing; the records before and after it are there."""
    whole = getdump("dmesg", ring_image(tmp_path, MANY))[0].splitlines()
    assert len(whole) == 100
    out, err = getdump("dmesg", ring_image(tmp_path, MANY, without=[(TEXT >> 12) + 1]), code=3)
    lines = out.splitlines()
    assert len(lines) == 100 and lines[:30] == whole[:30] and lines[99] == whole[99]
    cut = [(a, b) for a, b in zip(lines, whole) if a != b]
    assert 30 < len(cut) < 40 and all(b.startswith(a) for a, b in cut)
    assert f"the log is not whole: 0 records lost, {len(cut)} cut" in err
    assert re.search(rf"dump 1 is incomplete: .+ \(E\d+\); {len(cut)} records can not be read; ",
                     err), err


def test_records_that_the_dump_lacks_are_lost(tmp_path):
    out, err = getdump("dmesg", ring_image(tmp_path, MANY, without=[INFOS >> 12]), code=3)
    assert len(out.splitlines()) < 60 and "message 99 " in out and "message 1 " not in out
    lost = 100 - len(out.splitlines())
    assert f"{lost} records lost, 0 cut" in err and f"{lost} records can not be read" in err


def test_what_the_kernel_had_not_finished_is_no_fault_of_the_dump(tmp_path):
    memory, log = Memory(), li.Log()
    keys = memory.ring(MANY[:3])
    index = 2
    memory.put(DESCS + 24 * index + 7, "B", memory.data[DESCS + 24 * index + 7] & 0x3F)
    memory.dump(log, keys)
    out, err = getdump("dmesg", log.save(tmp_path / "disk.img"))
    assert len(out.splitlines()) == 2 and "1 records lost, 0 cut" in err


@pytest.mark.parametrize("what", ["no keys", "no ring", "no tables", "no notes", "wild"])
def test_no_log(tmp_path, what):
    memory, log = Memory(), li.Log()
    keys = memory.ring(MANY[:3])
    if what == "no notes":
        log.dump(1).end()
    elif what == "wild":
        memory.put(VARS, "<Q", 0xFFFF9A0012345678)
        memory.dump(log, keys)
    else:
        memory.dump(log, "" if what == "no keys" else keys,
                    without={"no ring": [VARS >> 12], "no tables": [1]}.get(what, []))
    out, err = getdump("dmesg", log.save(tmp_path / "disk.img"), code=1)
    assert out == ""
    assert re.fullmatch(r"getdump: .+: the old kernel's log can not be found in the dump \(E69\); "
                        r"extract the dump and read the log with crash or drgn\n", err), err


def old_image(tmp_path, keys, variables, text):
    memory, log = Memory(), li.Log()
    memory.put(VARS, "<QIII", va(TEXT), *variables)
    memory.put(TEXT, f"{len(text)}s", text)
    symbols = "".join(f"SYMBOL({key})={va(VARS) + at:x}\n"
                      for key, at in zip(["log_buf", "log_buf_len", *keys], (0, 8, 12, 16)))
    sizes = "".join(f"OFFSET(printk_log.{key})={at}\n" for key, at in
                    (("ts_nsec", 0), ("len", 8), ("text_len", 10), ("dict_len", 12)))
    memory.dump(log, symbols + "SIZE(printk_log)=16\n" + sizes)
    return log.save(tmp_path / "disk.img")


def test_records_of_older_kernels(tmp_path):
    records = b"".join(struct.pack("<QHHHBB", when, 16 + 20, len(text), 0, 0, 6 << 5)
                       + text.ljust(20, b"\0")
                       for when, text in ((0, b"Linux version 4.19"), (10**9, b"two\nlines")))
    image = old_image(tmp_path, ["log_first_idx", "log_next_idx"], [4096, 0, 72], records)
    assert getdump("dmesg", image)[0] == ("[    0.000000] Linux version 4.19\n"
                                          "[    1.000000] two\n               lines\n")


def test_plain_text_of_still_older_kernels(tmp_path):
    text = b"<6>[    0.000000] Linux version 2.6.32\n<4>no time\n"
    image = old_image(tmp_path, ["log_end", "logged_chars"], [4096, len(text), len(text)], text)
    assert getdump("dmesg", image)[0] == "[    0.000000] Linux version 2.6.32\nno time\n"
