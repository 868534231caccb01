"""An AMD IOMMU switched on by hand, in a table of which no device may reach any memory: Debian's
cloud kernels have no driver for it. QEMU's test port writes its registers (AMD I/O
Virtualization Technology Specification s3.4) and the table."""

from qtest import Qtest

BASE = 0xfed80000  # of the registers, in QEMU
TABLE_BASE, CONTROL = 0x00, 0x18
ENABLE = 1
ENTRY = 3  # valid, translation valid, no page table, neither readable nor writable
ENTRY_BYTES = 32
TABLE_BYTES = 64 << 10  # for buses 0 to 7
SIZE_UNIT = 4 << 10


class Amdvi(Qtest):
    """A context manager, made before its machine."""

    def options(self):
        return ("-device", "amd-iommu", *super().options())

    def switch_on(self, table_pa):
        """Of a stopped machine, whose memory from @table_pa on nobody uses."""
        self.run(f"memset {table_pa:#x} {TABLE_BYTES:#x} 0x0",
                 *(f"writeq {pa:#x} {ENTRY:#x}"
                   for pa in range(table_pa, table_pa + TABLE_BYTES, ENTRY_BYTES)),
                 f"writeq {BASE + TABLE_BASE:#x} {table_pa | TABLE_BYTES // SIZE_UNIT - 1:#x}",
                 f"writeq {BASE + CONTROL:#x} {ENABLE:#x}")
