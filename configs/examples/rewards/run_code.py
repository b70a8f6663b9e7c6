"""Runs the Python program of a completion on the tests of its prompt; the score is the share of passed tests.

    data:
      rewards:
      - command: [python3, configs/examples/rewards/run_code.py, --seconds, "5"]
        label: code
        workers: 2
        timeout: 120

The prompt's line has `tests`, a list: {"input": text, "output": text} gives standard input and compares standard output
(white space at line ends ignored); a text is code that follows the program and fails by an exception, such as an assert.
The program is the last block between ``` marks, otherwise the whole completion. A prompt without tests: the reward does not
apply.

Each test has a process of its own with limits of CPU time and clock (--seconds), memory (--megabytes), files (64 MB, 64
open ones) and output, in an empty folder, without environment; where the system lets `unshare` make namespaces, it has no
network, and its descendants end with it. This keeps accidents away from a run. It is not a security boundary: a program can
read every file that you can read. Run untrusted models in a container or a virtual machine.
"""

import argparse
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import tempfile

from reward_lines import serve

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--seconds", type=float, default=5.0, help="CPU time, and half of the clock time, of a test")
options.add_argument("--megabytes", type=int, default=512, help="address space of a test")
arguments = options.parse_args()
if arguments.seconds <= 0 or arguments.megabytes < 16:
    options.error("--seconds must be above 0 and --megabytes at least 16")

LARGEST_FILE = 64 << 20
LARGEST_OUTPUT = 1 << 20
NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]


def can_unshare():
    try:
        return subprocess.run(NAMESPACES + ["true"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


PREFIX = NAMESPACES if can_unshare() else []
if not PREFIX:
    print("run_code.py: no namespaces here: programs can use the network", file=sys.stderr, flush=True)


def limit():
    seconds = max(1, int(arguments.seconds + 0.999))
    memory = arguments.megabytes << 20
    for kind, value in [
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
    ]:
        resource.setrlimit(kind, (value, value))


def run(program, text):
    """Runs a program with a standard input; its output, or None if it failed or exceeded a limit."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        os.chmod(folder, 0o700)
        path = os.path.join(folder, "program.py")
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(program)
        process = subprocess.Popen(
            PREFIX + [sys.executable, "-I", path], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL,
            cwd=folder, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, preexec_fn=limit, start_new_session=True)
        try:
            process.communicate(text.encode("utf-8", "replace"), timeout=2 * arguments.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # Also what the program left behind.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        if process.returncode != 0:
            return None
        output.seek(0)
        return output.read(LARGEST_OUTPUT).decode("utf-8", "replace")


def passes(program, test):
    if isinstance(test, str):
        # The mark shows that the program did not end before the test.
        mark = secrets.token_hex(16)
        output = run(f"{program}\n\n{test}\n\nprint({mark!r})\n", "")
        return output is not None and output.rstrip("\n").endswith(mark)
    output = run(program, test.get("input", ""))
    return output is not None and stripped(output) == stripped(test["output"])


def stripped(text):
    return [line.rstrip() for line in text.rstrip().splitlines()]


def score(item):
    tests = item.get("tests")
    if not tests:
        return None
    blocks = re.findall(r"```[^\n]*\n(.*?)```", item["completion"], re.S)
    program = blocks[-1] if blocks else item["completion"]
    passed = sum(passes(program, test) for test in tests)
    return passed / len(tests), {"all": float(passed == len(tests))}


serve(score)
