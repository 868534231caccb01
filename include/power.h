/*
 * Restarting and switching off the machine: firmware's documented ways first, then those of
 * the port machine_reset().
 */
#ifndef AFTERIMAGE_POWER_H
#define AFTERIMAGE_POWER_H

#include "acpi.h"
#include "ports.h"

/*
 * Switches off through S5 (ACPI 6.5 s16.1.7), switching to ACPI mode before if the machine is
 * not in it. Returns, with E_POWEROFF, only if that is not possible or did not happen within
 * its deadline.
 */
enum status power_off(const struct acpi_power *p) MUST_CHECK;

/*
 * Does @action: reboot by the FADT's reset register, then machine_reset(); halt by
 * machine_reset(). Power off is tried by the caller with power_off() before; here it halts.
 * Returns only in the hosted build.
 */
void power_leave(const struct acpi_power *p, enum machine_action action);

#endif
