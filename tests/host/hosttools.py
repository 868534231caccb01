"""Running programs in the tests of the tools, and what all of them hold to."""
import os
import re
import subprocess


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **kw)


def check(*args):
    """What the program prints; it must end well."""
    done = run(*args, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(r, target, words, todo, code=1):
    """One line `mkdumpdisk: TARGET: what; what to do` and nothing on stdout."""
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    assert r.stdout == ""
    lines = r.stderr.splitlines()
    assert len(lines) == 1, r.stderr
    assert lines[0].startswith(f"mkdumpdisk: {target}"), lines[0]
    what, _, advice = lines[0].rpartition("; ")
    assert re.search(words, what), lines[0]
    assert re.search(todo, advice), lines[0]


def done(r):
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stderr == ""
    return r.stdout


def number_of(dev):
    """MAJOR:MINOR of a block device."""
    st = os.stat(dev)
    return f"{os.major(st.st_rdev)}:{os.minor(st.st_rdev)}"
