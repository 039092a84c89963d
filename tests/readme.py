"""Checks that the README is true.

  readme.py ROOT BIN WORK

Its first program is examples/counter/main.cc, and runs; the files it links to
are there; and each command in a block marked `console` prints what the block says.
`...` in a line stands for anything, `...` alone for any number of lines, and
lines that begin with `> ` go on with a command.
"""

import os
import re
import shutil
import subprocess
import sys

root, binaries, work = sys.argv[1:4]
failures = []


def fail(text):
    failures.append(text)
    print("FAILED:", text)


def run(command):
    """The output of a shell command, with errors, as a list of lines."""
    path = binaries + os.pathsep + os.environ["PATH"]
    result = subprocess.run(
        ["/bin/sh", "-c", command], cwd=work, timeout=120, text=True,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout.splitlines()


def as_pattern(lines):
    """A regular expression for the whole output."""
    pattern = ""
    for line in lines:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = [re.escape(part) for part in line.split("...")]
            pattern += ".*".join(parts) + "\n"
    return pattern


def commands(block):
    """Pairs of a command and the lines that it should print."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        else:
            found[-1][1].append(line)
    return found


def check_command(command, expected):
    code, printed = run(command)
    if code != 0:
        fail(f"exit code {code}: {command}")
    text = "".join(line + "\n" for line in printed)
    if not re.fullmatch(as_pattern(expected), text):
        fail(f"`{command}` prints something else:\n{text}--- than\n"
             + "\n".join(expected))


def check_links(readme):
    without_blocks = re.sub(r"^```.*?^```", "", readme, flags=re.S | re.M)
    names = re.findall(r"\]\(([^)#]+)", without_blocks)
    for name in names:
        if not os.path.exists(os.path.join(root, name)):
            fail(f"there is no {name}")
    return len(names)


def main():
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    with open(os.path.join(root, "examples/counter/main.cc"),
              encoding="utf-8") as file:
        example = file.read()
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)

    program = re.search(r"^```cpp\n(.*?)^```", readme, re.S | re.M)
    if program is None or program.group(1) != example:
        fail("the first program is not examples/counter/main.cc")
    check_command("counter_example", ["clicks: 3"])
    check_command("counter_example", ["clicks: 6"])

    ran = 0
    for block in re.findall(r"^```console\n(.*?)^```", readme, re.S | re.M):
        for command, expected in commands(block):
            check_command(command, expected)
            ran += 1
    if ran == 0:
        fail("no commands were found")
    linked = check_links(readme)
    shutil.rmtree(work)
    print(f"{ran} commands run, {linked} links looked for, "
          f"{len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
