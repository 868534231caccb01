#!/usr/bin/python3
"""Prints docs/codes.md as include/status.h has it; lint compares the two."""
import re
import sys

HEAD = """# Failure codes

`E<code>` on the console, in `getdump list` and `info`. Numbers are never reused. The console also prints the advice.

| code | what is wrong | what to do |
|---|---|---|
"""
ENTRY = re.compile(r'X\((E_\w+),\s*(\d+),\s*"([^"]*)",\s*"([^"]*)"\)')

source = open(sys.argv[1]).read()
source = source[source.index("#define STATUS_LIST"):source.index("enum status")].replace("\\\n", " ")
rows = [f"| E{m[2]} | {m[3]} | {m[4]} |\n" for m in ENTRY.finditer(source)]
sys.stdout.write(HEAD + "".join(rows))
