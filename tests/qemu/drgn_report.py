"""Run by the tests with the system's Python: opens a dump with drgn as an administrator
would and prints as JSON what it finds through symbols, lists, per-CPU data and page
tables. Arguments: dump file, debug file."""

import json
import sys

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.mm import cmdline
from drgn.helpers.linux.percpu import per_cpu
from drgn.helpers.linux.pid import for_each_task


def log_lines(prog):
    try:
        from drgn.helpers.linux.printk import get_dmesg
    except ImportError:
        return None
    return get_dmesg(prog).decode("utf-8", "replace").splitlines()


def main():
    prog = drgn.Program()
    prog.set_core_dump(sys.argv[1])
    prog.load_debug_info([sys.argv[2]])
    tasks = list(for_each_task(prog))
    init = next(t for t in tasks if t.pid.value_() == 1)
    report = {
        "release": prog["init_uts_ns"].name.release.string_().decode(),
        "nodename": prog["init_uts_ns"].name.nodename.string_().decode(),
        "tasks": sorted([t.pid.value_(), t.comm.string_().decode()] for t in tasks),
        "current": [per_cpu(prog["runqueues"], cpu).curr.comm.string_().decode()
                    for cpu in for_each_online_cpu(prog)],
        "log": log_lines(prog),
        "banner_va": prog.symbol("linux_banner").address,
        "banner": prog["linux_banner"].string_().decode().strip(),
    }
    # Through the process's own page tables into its memory; gone if user pages are filtered.
    try:
        report["init_cmdline"] = [a.decode() for a in cmdline(init)]
    except drgn.FaultError as error:
        report["init_cmdline_error"] = str(error)
    json.dump(report, sys.stdout)


main()
