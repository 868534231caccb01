"""The record of a survey made from the format's description with struct.pack, independent of
the C code: docs/dump-log.md."""
import struct

from logimage import crc32c, sealed

AREA = 65536
RANGES_AT = 4096
IDLE, ARMED, FILLING, FILLED, DONE, ENDED = range(6)
FIRMWARE, CHANGED, LOADER, OURS = 1, 2, 4, 8
HEAD = "<8sII16sIIIIQQQQQQQIIII388xI"
NAMES = ("magic version state uuid flags door wanted done seed armed ended ram end checked lost "
         "count joined ranges_crc reason crc").split()
# OVMF on 1 GiB, as it was measured: what it says it holds, what it used, what we use.
OVMF = [(0x1000, 0x9F000, OURS), (0x1000000, 0x704000, CHANGED),
        (0x3BB02000, 0x3000, FIRMWARE | CHANGED), (0x3DCA0000, 0x2360000, FIRMWARE)]


def record(ranges=(), **fields):
    """Header and ranges, sealed; any field may be set to what it should not be."""
    body = b"".join(struct.pack("<QQII", pa, size, why, 0) for pa, size, why in ranges)
    f = dict(magic=b"AFTRSRV1", version=1, state=DONE, uuid=bytes(16), flags=0, door=2, wanted=2,
             done=2, seed=7, armed=1700000000, ended=1700000600, ram=1 << 18, end=1 << 18,
             checked=(1 << 18) - 3000, lost=sum(r[1] for r in ranges) // 4096,
             count=len(ranges), joined=0, ranges_crc=crc32c(body), reason=0, crc=0)
    f.update(fields)
    head = struct.pack(HEAD, *(f[name] for name in NAMES))
    assert len(head) == 512
    return sealed(head, 508).ljust(RANGES_AT, b"\0") + body


def parse(data):
    """A record's header; its checksum must be good."""
    assert sealed(data[:512], 508) == data[:512]
    return dict(zip(NAMES, struct.unpack(HEAD, data[:512])))
