/*
 * Machine checks (Intel SDM Vol. 3B ch. 15, AMD APM Vol. 2 ch. 9): an error in old memory
 * costs its page, any other one ends the capture. Reads and clears the processor's banks;
 * lib/mcebank.c judges what they say, paging.c hides the page.
 */
#include "main.h"
#include "mcebank.h"
#include "metal.h"
#include "str.h"
#include "x86.h"

#define CPUID_MCE	(1u << 7) /* leaf 1, EDX */
#define CPUID_MCA	(1u << 14)
#define CPUID_EXTENDED	0x80000000u
#define CPUID_RAS	0x80000007u
#define RAS_OVERFLOW	(1u << 0)   /* EBX */
#define VENDOR_INTEL	0x756e6547u /* leaf 0, EBX: the name's first four letters */
#define VENDOR_AMD	0x68747541u
#define VENDOR_HYGON	0x6f677948u
#define INTEL_BANK0_ALL 0x1au /* family 6: from this model on bank 0 is like the others */

#define CR4_MCE (1u << 6)

#define MSR_FEATURE_CONTROL 0x3a
#define MSR_MCG_CAP	    0x179
#define MSR_MCG_STATUS	    0x17a
#define MSR_MCG_CTL	    0x17b
#define MSR_MCG_EXT_CTL	    0x4d0
#define MSR_MC_CTL(bank)    (0x400 + 4 * (bank))
#define MSR_MC_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank)   (0x402 + 4 * (bank))
#define MSR_MC_MISC(bank)   (0x403 + 4 * (bank))

#define FEATURE_LOCKED	(1ull << 0)
#define FEATURE_LMCE	(1ull << 20)
#define MCG_CAP_BANKS	0xffu
#define MCG_CAP_CTL	(1ull << 8)
#define MCG_CAP_SER	(1ull << 24)
#define MCG_CAP_LMCE	(1ull << 27)
#define MCG_STATUS_RIPV (1ull << 0)
#define EXT_CTL_LMCE	(1ull << 0)

#define MAX_BANKS  32  /* what has registers from 0x400 on */
#define MAX_CHECKS 256 /* one that comes back for ever must not hold the machine */

bool mce_survive(u64 rip);
void mce_fatal(void);

static struct {
	u32 banks;
	u32 features; /* MCEBANK_ */
	u32 checks;   /* survived so far */
	char detail[112];
} mce;

static struct mcebank bank_read(u32 n)
{
	struct mcebank b = {.status = rdmsr(MSR_MC_STATUS(n))};

	if (b.status & MCEBANK_VALID && b.status & MCEBANK_ADDR_VALID)
		b.addr = rdmsr(MSR_MC_ADDR(n));
	if (b.status & MCEBANK_VALID && b.status & MCEBANK_MISC_VALID)
		b.misc = rdmsr(MSR_MC_MISC(n));
	return b;
}

/* Whatever brought the old kernel down may be in the banks: neither a warm reset nor kexec touches them. */
static void banks_clear(void)
{
	for (u32 n = 0; n < mce.banks; n++) {
		struct mcebank b = bank_read(n);

		if (b.status & MCEBANK_VALID && b.status & MCEBANK_UC)
			con_printf("afterimage: earlier hardware error: bank %u status "
				   "%lx address %lx\n",
				n, b.status, b.addr);
		wrmsr(MSR_MC_STATUS(n), 0);
	}
}

/* Intel's family and model, CPUID leaf 1 EAX; bank 0 of the older ones belongs to firmware. */
static u32 first_bank(u32 vendor, u32 signature)
{
	u32 model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);
	bool family6 = (signature >> 8 & 0xf) == 6;

	return vendor == VENDOR_INTEL && family6 && model < INTEL_BANK0_ALL ? 1 : 0;
}

static u32 features_find(u32 vendor, u64 cap)
{
	u32 leaf[4];

	if (vendor != VENDOR_AMD && vendor != VENDOR_HYGON)
		return cap & MCG_CAP_SER ? MCEBANK_RECOVERY : 0;
	cpuid(CPUID_EXTENDED, leaf);
	if (leaf[0] < CPUID_RAS)
		return MCEBANK_AMD;
	cpuid(CPUID_RAS, leaf);
	return leaf[1] & RAS_OVERFLOW ? MCEBANK_AMD | MCEBANK_OVERFLOW : MCEBANK_AMD;
}

/*
 * Intel tells every processor of a machine check unless it is made local to the one that met
 * it; processors that wait for their start-up answer by resetting the machine.
 */
static void make_local(u64 cap)
{
	const u64 allowed = FEATURE_LOCKED | FEATURE_LMCE;

	if (cap & MCG_CAP_LMCE && (rdmsr(MSR_FEATURE_CONTROL) & allowed) == allowed)
		wrmsr(MSR_MCG_EXT_CTL, rdmsr(MSR_MCG_EXT_CTL) | EXT_CTL_LMCE);
}

static void banks_init(u32 signature)
{
	u64 cap = rdmsr(MSR_MCG_CAP);
	u32 leaf[4];

	cpuid(0, leaf);
	mce.features = features_find(leaf[1], cap);
	mce.banks = (u32)min_u64(cap & MCG_CAP_BANKS, MAX_BANKS);
	make_local(cap);
	if (cap & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, UINT64_MAX);
	for (u32 n = first_bank(leaf[1], signature); n < mce.banks; n++)
		wrmsr(MSR_MC_CTL(n), UINT64_MAX);
	banks_clear();
	wrmsr(MSR_MCG_STATUS, 0);
}

void mce_init(void)
{
	u32 leaf[4];

	cpuid(1, leaf);
	if (!(leaf[3] & CPUID_MCE))
		return;
	if (leaf[3] & CPUID_MCA)
		banks_init(leaf[0]);
	write_cr4(read_cr4() | CR4_MCE);
}

static void describe(u64 rip, u32 n, const struct mcebank *b)
{
	str_format(mce.detail, sizeof(mce.detail),
		"exception 18 at %lx bank %u status %lx address %lx", rip, n, b->status, b->addr);
}

/* False if any bank says that going on is no use; what it says is the detail then. */
static bool banks_allow(u64 rip)
{
	for (u32 n = 0; n < mce.banks; n++) {
		struct mcebank b = bank_read(n);
		u64 pa;

		if (mcebank_judge(&b, mce.features, &pa) != MCEBANK_FATAL)
			continue;
		describe(rip, n, &b);
		return false;
	}
	return true;
}

static bool banks_handle(u64 rip)
{
	for (u32 n = 0; n < mce.banks; n++) {
		struct mcebank b = bank_read(n);
		u64 pa;

		if (mcebank_judge(&b, mce.features, &pa) == MCEBANK_PAGE && !paging_hide(pa)) {
			describe(rip, n, &b);
			return false;
		}
		wrmsr(MSR_MC_STATUS(n), 0);
	}
	return true;
}

/*
 * Called by the stub; false if nothing can go on. Banks with a fatal error stay as they are
 * for firmware and the next kernel, and a second machine check then resets the machine.
 */
bool mce_survive(u64 rip)
{
	u64 status = mce.banks ? rdmsr(MSR_MCG_STATUS) : 0;

	str_format(mce.detail, sizeof(mce.detail), "exception 18 at %lx machine check status %lx",
		rip, status);
	if (!banks_allow(rip) || !(status & MCG_STATUS_RIPV) || ++mce.checks > MAX_CHECKS)
		return false;
	if (!banks_handle(rip))
		return false;
	wrmsr(MSR_MCG_STATUS, 0);
	return true;
}

/* Called by the stub, on the stack of those that do not return. */
void mce_fatal(void)
{
	dump_panic(E_TRAP, mce.detail);
}
