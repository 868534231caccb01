"""Run by the tests with a Python that has drgn: prints as JSON the crashed thread and, of
every online processor, the running task, its stack trace and registers. Arguments: dump
file, debug file."""

import json
import sys

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.percpu import per_cpu


def describe(prog, task):
    trace = prog.stack_trace(task)
    return {"pid": task.pid.value_(), "comm": task.comm.string_().decode(),
            "frames": [frame.name for frame in trace], "registers": trace[0].registers()}


def main():
    prog = drgn.Program()
    prog.set_core_dump(sys.argv[1])
    prog.load_debug_info([sys.argv[2]])
    crashed = prog.crashed_thread()
    report = {
        "crashed": {"pid": crashed.tid, "frames": [f.name for f in crashed.stack_trace()]},
        "cpus": {cpu: describe(prog, per_cpu(prog["runqueues"], cpu).curr)
                 for cpu in for_each_online_cpu(prog)},
    }
    json.dump(report, sys.stdout)


main()
