"""Running programs in the tests of the tools."""
import subprocess


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **kw)


def check(*args):
    """What the program prints; it must end well."""
    done = run(*args, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
