# afterimage: one line of objects per artifact, one build directory per kind of build.
# `make help` names the targets.

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC      := gcc
endif
PYTHON  ?= /usr/bin/python3
FUZZ_CC ?= clang
HLOG    ?= 12

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
           -Wvla -Wundef -Wpointer-arith -Wcast-align -Werror
BASE    := -std=c11 -g $(WARN) -iquote . -iquote include -DAFTERIMAGE_VERSION='"$(VERSION)"' \
           -DLZF_HLOG=$(HLOG)u
METALF   = $(BASE) $(METAL_O) -iquote arch/x86/include -ffreestanding -fpie -fno-stack-protector \
           -fcf-protection=none -mno-red-zone -mgeneral-regs-only -ffunction-sections \
           -fdata-sections -fno-asynchronous-unwind-tables -fno-builtin-malloc
EFI_ABI := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI \
           -fshort-wchar
EFIF     = $(BASE) $(EFI_ABI) $(METAL_O) -DEFI_BLOB='"$(BUILD)/afterimage-efi.bin"' -ffreestanding -fpic \
           -fno-stack-protector -fcf-protection=none -mno-red-zone \
           -mgeneral-regs-only -fno-asynchronous-unwind-tables
HOSTF   := $(BASE) -O2 -iquote tests/host/include -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
ASANF   := $(HOSTF) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=all
FUZZF   := $(ASANF) -fsanitize=fuzzer-no-link
FONT    ?= /usr/share/consolefonts/Lat15-TerminusBold16.psf.gz
LIBZ_A  := /usr/lib/x86_64-linux-gnu/libz.a
LZFF    := -I/usr/include/liblzf -DHLOG=$(HLOG) -DLZF_STATE_ARG=1 -DINIT_HTAB=1 -fno-sanitize=alignment -w

# Pure code is compiled in every build; metal code only in the image.
PURE    := $(sort $(wildcard lib/*.c linux/*.c drivers/*.c drivers/*/*.c dumpfmt/*.c) \
           $(addprefix boot/,choose.c disk.c known.c main.c menu.c store.c survey.c words.c) $(BUILD)/font.c)
METAL   := $(sort $(wildcard arch/x86/*.c arch/x86/*.S))
BIOS    := $(METAL) boot/bios.S boot/bios_real.S boot/bios_choose.c boot/door_bios.c
LINUX   := $(METAL) boot/linux.S boot/door_linux.c boot/loader.c
MULTI   := $(METAL) boot/multiboot.S boot/door_multiboot.c boot/loader.c
EFI     := $(METAL) boot/efi.S boot/door_efi.c
# The UEFI application around it: firmware's world, and the pure files that it shares. What asks
# firmware is tested against one made of functions.
EFI_ASK := $(addprefix boot/efi_,choose.c console.c disk.c facts.c own.c paging.c survey.c)
EFI_APP := boot/efi_app.c boot/efi_ports.c $(EFI_ASK) boot/efi_blob.S arch/x86/mem.c
EFI_PURE := boot/choose.c boot/menu.c dumpfmt/format.c $(sort $(wildcard linux/*.c)) \
            $(addprefix lib/,con.c crc32c.c efiboot.c linuxboot_words.c memmap.c pattern.c \
            physmem.c status.c str.c surveymem.c)
GETDUMP := $(sort $(wildcard tools/getdump/*.c tools/common/*.c))
MKDISK  := $(sort $(wildcard tools/mkdumpdisk/*.c tools/common/*.c))
PORTS   := $(sort $(wildcard tests/host/*.c tests/model/*.c))
UNITS   := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
EFI_TESTS := $(filter test_efi_%,$(UNITS))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES := $(patsubst tests/bench/%.c,%,$(sort $(wildcard tests/bench/bench_*.c)))

efi_o    = $(patsubst %,$(BUILD)/efi/%.o,$(1))
metal_o  = $(patsubst %,$(BUILD)/metal/%.o,$(1))
host_o   = $(patsubst %,$(BUILD)/host/%.o,$(1))
asan_o   = $(patsubst %,$(BUILD)/asan/%.o,$(1))
fuzz_o   = $(patsubst %,$(BUILD)/fuzz/%.o,$(1))

# The image lies in memory that it also works in: small everywhere, fast where pages go through.
METAL_O := -Oz
HOT     := lib/crc32c.c lib/pattern.c lib/physmem.c linux/banner.c linux/find.c linux/pagescan.c linux/pagejudge.c \
           linux/pagefields.c dumpfmt/capture.c dumpfmt/group.c arch/x86/mem.c liblzf/lzf_c.c
$(call metal_o,$(HOT)) $(call efi_o,$(HOT)): METAL_O := -O2
$(call asan_o,$(EFI_ASK) $(EFI_TESTS:%=tests/unit/%.c)): ASANF += $(EFI_ABI)

PURE_METAL := $(call metal_o,$(PURE) liblzf/lzf_c.c)
TOOL_LIBS  := -lz -lzstd -llzo2 -ljson-c -luuid
DISK_LIBS  := -lfdisk -lblkid -luuid -ljson-c -lz

.DEFAULT_GOAL := all
.PHONY: all help setup demo check check-unit check-host check-host-1 check-host-2 check-fuzz check-qemu check-qemu-reset \
        check-qemu-kexec check-matrix lint bench bench-kdump bench-drivers install uninstall clean format

IMAGES := $(addprefix $(BUILD)/afterimage.,mbr efi elf bzimage)
all: $(IMAGES) $(BUILD)/mkdumpdisk $(BUILD)/getdump ## the image and the tools

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

# --- artifacts -----------------------------------------------------------------------------

# The image for one front door: its linker script, its metal objects, what both share. Its
# addresses may not fit the immediate words that ld would turn loads from the GOT into.
define image # name, linker script, sources
$(BUILD)/afterimage-$(1).elf: $(2) boot/slot.ld $(call metal_o,$(3)) $(BUILD)/metal/libpure.a
	@echo '  link   $$@'
	@$(LD) -nostdlib -static --gc-sections --build-id=none -z noexecstack \
	  --no-relax --no-warn-rwx-segments -z max-page-size=4096 -T $(2) -o $$@ $(call metal_o,$(3)) \
	  --start-group $(BUILD)/metal/libpure.a $(LIBZ_A) --end-group
endef
$(eval $(call image,mbr,boot/image.ld,$(BIOS)))
$(eval $(call image,bzimage,boot/linux.ld,$(LINUX)))

$(eval $(call image,elf,boot/multiboot.ld,$(MULTI)))
$(eval $(call image,efi,boot/efi.ld,$(EFI)))
# No part of the product: the drivers' speed. Its dump_main comes before the core's.
$(eval $(call image,rawspeed,boot/linux.ld,$(LINUX) tests/bench/rawspeed.c))

$(addprefix $(BUILD)/afterimage.,mbr bzimage rawspeed): $(BUILD)/afterimage.%: $(BUILD)/afterimage-%.elf
	@objcopy -O binary $< $@

# Loaders put every section into memory, those for debuggers too.
$(BUILD)/afterimage.elf: $(BUILD)/afterimage-elf.elf
	@objcopy --strip-all $< $@

$(BUILD)/afterimage-efi.bin: $(BUILD)/afterimage-efi.elf
	@objcopy -O binary $< $@

$(BUILD)/efi/boot/efi_blob.S.o: $(BUILD)/afterimage-efi.bin

$(BUILD)/efi/libpure.a: $(call efi_o,$(EFI_PURE))
$(BUILD)/afterimage.efi: $(call efi_o,$(EFI_APP)) $(BUILD)/efi/libpure.a
	@echo '  link   $@'
	@$(LD) -nostdlib -znocombreloc -shared -Bsymbolic --build-id=none -z noexecstack \
	  --no-warn-rwx-segments -T /usr/lib/elf_x86_64_efi.lds -o $(BUILD)/afterimage-app.so \
	  /usr/lib/crt0-efi-x86_64.o $^ -L/usr/lib -lgnuefi
	@objcopy -j .text -j .data -j .dynamic -j .dynsym -j .rela -j .reloc \
	  --target efi-app-x86_64 --subsystem 10 $(BUILD)/afterimage-app.so $@

$(BUILD)/getdump: $(call host_o,$(GETDUMP) liblzf/lzf_d.c) $(BUILD)/host/libpure.a
	@echo '  link   $@'; $(CC) -o $@ $^ $(TOOL_LIBS)

$(BUILD)/mkdumpdisk: $(call host_o,$(MKDISK)) $(BUILD)/host/libpure.a
	@echo '  link   $@'; $(CC) -o $@ $^ $(DISK_LIBS)

$(BUILD)/metal/libpure.a: $(PURE_METAL)
$(BUILD)/host/libpure.a: $(call host_o,$(PURE) liblzf/lzf_c.c)
$(BUILD)/asan/libtest.a: $(call asan_o,$(PURE) $(EFI_ASK) $(PORTS) $(filter-out %/main.c,$(GETDUMP)) \
                           liblzf/lzf_c.c liblzf/lzf_d.c)
$(BUILD)/fuzz/libtest.a: $(call fuzz_o,$(PURE) $(PORTS) $(filter-out %/main.c,$(GETDUMP)) \
                           liblzf/lzf_c.c liblzf/lzf_d.c)
$(BUILD)/%.a:
	@rm -f $@; ar rcs $@ $^

# The screen's font: taken from Debian's, nothing of it is in the sources.
$(BUILD)/font.c: lib/font.sh $(wildcard $(FONT))
	@mkdir -p $(@D)
	@echo '  font   $(FONT)'; sh lib/font.sh $(FONT) >$@.new && mv $@.new $@

# --- objects -------------------------------------------------------------------------------

define compile # directory, compiler, flags
$(BUILD)/$(1)/%.c.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo '  $(1)  $$<'; $(2) $(3) -MMD -MP -c -o $$@ $$<
$(BUILD)/$(1)/%.S.o: %.S Makefile
	@mkdir -p $$(@D)
	@echo '  $(1)  $$<'; $(2) $(3) -MMD -MP -c -o $$@ $$<
$(BUILD)/$(1)/liblzf/%.c.o: /usr/src/liblzf/%.c Makefile
	@mkdir -p $$(@D)
	@echo '  $(1)  $$<'; $(2) $(3) $(LZFF) -c -o $$@ $$<
endef
$(eval $(call compile,metal,$(CC),$$(METALF)))
$(eval $(call compile,efi,$(CC),$$(EFIF)))
$(eval $(call compile,host,$(CC),$(HOSTF)))
$(eval $(call compile,asan,$(CC),$$(ASANF)))
$(eval $(call compile,fuzz,$(FUZZ_CC),$(FUZZF)))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# --- tests ---------------------------------------------------------------------------------

$(BUILD)/asan/%: $(BUILD)/asan/tests/unit/%.c.o $(BUILD)/asan/libtest.a
	@echo '  link   $@'; $(CC) -fsanitize=address,undefined -o $@ $^ -lcmocka $(TOOL_LIBS)

$(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.c.o $(BUILD)/fuzz/libtest.a
	@echo '  link   $@'; $(FUZZ_CC) -fsanitize=address,undefined,fuzzer -o $@ $^ $(TOOL_LIBS)

$(BUILD)/host/%: $(BUILD)/host/tests/bench/%.c.o $(call host_o,$(PORTS) liblzf/lzf_d.c) \
                 $(BUILD)/host/libpure.a
	@echo '  link   $@'; $(CC) -o $@ $^ $(TOOL_LIBS)

check-unit: $(addprefix $(BUILD)/asan/,$(UNITS)) ## unit tests under ASan and UBSan, two at a time
	@printf '%s\n' $^ | xargs -P 2 -n 1 sh tests/unit/run.sh

FUZZ_SECONDS ?= 5
check-fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZERS)) ## every fuzz target, FUZZ_SECONDS each, two at a time
	@printf '%s\n' $^ | xargs -P 2 -I '{}' sh tests/fuzz/run.sh '{}' $(FUZZ_SECONDS)

# In two halves that take about the same time.
HOST_TESTS_2 := $(addprefix tests/host/test_,boot_entry.py getdump.py mkdumpdisk.py settings.py)
check-host: check-host-1 check-host-2 ## the tools against files and loop devices
check-host-1: all
	@BUILD=$(BUILD) $(PYTHON) -m pytest -q -p no:cacheprovider $(addprefix --ignore=,$(HOST_TESTS_2)) tests/host
check-host-2: all
	@BUILD=$(BUILD) $(PYTHON) -m pytest -q -p no:cacheprovider $(HOST_TESTS_2)

RAM_TOOLS := $(addprefix $(BUILD)/host/,classes corrupt ending)
KEXEC_TESTS := $(wildcard tests/qemu/test_kexec*.py) tests/qemu/test_registers.py
# Surveys, the tools in running systems and failing disks go with them, so that both halves take
# about the same time.
LIVE_TESTS  := $(addprefix tests/qemu/test_,auto_systemd.py auto_uefi.py boot_entry.py \
                 host_check.py reserve_words.py survey_bios.py survey_next.py)
DISK_TESTS  := $(addprefix tests/qemu/test_,ahci.py disk_faults.py next_disk.py power_cuts.py \
                 sectors.py virtio.py)
MATRIX_TESTS := $(addprefix tests/qemu/test_,auto_matrix.py auto_uefi_matrix.py grub_install.py \
                  grub_modes.py remapping.py systemd_boot.py uefi_matrix.py)
check-qemu: check-qemu-reset check-qemu-kexec ## the whole product in virtual machines

check-qemu-reset: all $(RAM_TOOLS) ## of these, dumps after a reset
	@BUILD=$(BUILD) sh tests/qemu/run.sh reset $(PYTHON) -m pytest -q -p no:cacheprovider \
	  $(addprefix --ignore=,$(KEXEC_TESTS) $(LIVE_TESTS) $(DISK_TESTS) $(MATRIX_TESTS)) tests/qemu

check-qemu-kexec: all ## of these, dumps after a panic, surveys, failing disks, tools in running systems
	@BUILD=$(BUILD) sh tests/qemu/run.sh kexec $(PYTHON) -m pytest -q -p no:cacheprovider \
	  $(KEXEC_TESTS) $(LIVE_TESTS) $(DISK_TESTS)

check-matrix: all $(RAM_TOOLS) ## classes, kexec, UEFI on every kernel and layout; automatic mode, boot menus; every fault of a disk
	@BUILD=$(BUILD) AFTERIMAGE_MATRIX=all $(PYTHON) -m pytest -q -p no:cacheprovider \
	  tests/qemu/test_classes.py tests/qemu/test_kexec_matrix.py \
	  tests/qemu/test_kexec_memory.py tests/qemu/test_in_flight.py tests/qemu/test_pci.py \
	  tests/qemu/test_memory_errors.py tests/qemu/test_screen.py tests/qemu/test_auto_bios.py \
	  $(DISK_TESTS) $(MATRIX_TESTS)

lint: $(BUILD)/metal/libpure.a ## format, clang-tidy, headers, purity gate
	@sh tests/lint.sh $(BUILD)

setup: ## install the Debian packages that building and testing need
	@sh tests/setup.sh

check: setup ## all tests
	@sh tests/check.sh $(BUILD)

demo: setup ## hang a real kernel, capture it, look at the dump
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) $(PYTHON) tests/demo.py

DRIVER_BENCH := $(BUILD)/afterimage.rawspeed
bench: all $(addprefix $(BUILD)/host/,$(BENCHES)) $(DRIVER_BENCH) ## speed and size
	@BUILD=$(BUILD) sh tests/bench/run.sh

bench-drivers: all $(DRIVER_BENCH) ## code and speed of the disk drivers, next to Linux's
	@$(PYTHON) tests/bench/codesize.py $(BUILD)
	@BUILD=$(BUILD) $(PYTHON) tests/qemu/bench_drivers.py $(ROUNDS:%=--rounds %)

bench-kdump: all ## a dump after a panic and after a reset, against kdump's
	@BUILD=$(BUILD) $(PYTHON) tests/qemu/bench_kdump.py

format: ## clang-format on all sources
	clang-format -i $$(git ls-files '*.c' '*.h')

# --- installation --------------------------------------------------------------------------

install: all ## into DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
	  $(DESTDIR)$(PREFIX)/lib/afterimage
	install -m 755 $(BUILD)/mkdumpdisk $(DESTDIR)$(PREFIX)/sbin/mkdumpdisk
	install -m 755 $(BUILD)/getdump $(DESTDIR)$(PREFIX)/bin/getdump
	install -m 644 $(IMAGES) $(DESTDIR)$(PREFIX)/lib/afterimage

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/mkdumpdisk $(DESTDIR)$(PREFIX)/bin/getdump \
	  $(addprefix $(DESTDIR)$(PREFIX)/lib/afterimage/,$(notdir $(IMAGES)))
	-rmdir $(DESTDIR)$(PREFIX)/lib/afterimage

clean: ## remove what was built
	rm -rf $(BUILD)

.SECONDARY:
