"""Run by the tests with a Python that has libkdumpfile's bindings: prints as JSON the
registers of every processor. Argument: dump file."""

import json
import sys

import kdumpfile


def main():
    context = kdumpfile.Context()
    with open(sys.argv[1], "rb") as f:
        context.attr["file.fd"] = f.fileno()
        cpus = context.attr["cpu"]
        report = {name: {"pid": cpus[name]["pid"]} | dict(cpus[name]["reg"])
                  for name in cpus if name.isdigit()}
        json.dump(report, sys.stdout)


main()
