"""Runs a command on a terminal of 24 lines and looks at what it wrote: screen.py OUT COLUMNS COMMAND...

OUT gets what stands on the screen at the end of each line. The width of every state of a redrawn line, and that percent never falls and
is 100 at the end alone, are checked here; a sweep's percent has to move within its batches.
screen.py --read FILE COLUMNS: the same checks of what was written to a file.
screen.py --fits COLUMNS FILE...: no line of these files is wider.
"""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata


def run(columns, command):
    """What the command wrote to its terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "KNOCKOUT_LOG_LEVEL")}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    written = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # the terminal is gone: the command has ended
            break
        if not block:
            break
        written += block
    if process.wait() != 0:
        sys.exit(f"exit {process.returncode}: {written.decode(errors='replace')}")
    return written.decode()


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def check(written, columns):
    """The lines as they stand at the end; exits where something is wrong."""
    lines, steps = [], 0
    for line in written.replace("\r\n", "\n").split("\n"):
        states = [state.replace("\033[K", "") for state in line.split("\r")]
        last = -1.0
        for state in states:
            redrawn = re.match(r"(evaluate|sweep) +([0-9.]+) %", state)
            if not redrawn:
                continue
            if width(state) >= columns:
                sys.exit(f"{width(state)} columns of {columns}: {state!r}")
            percent = float(redrawn[2])
            if percent < last:
                sys.exit(f"percent falls from {last}: {state!r}")
            if (percent == 100) != ("took" in state):
                sys.exit(f"100 % and not done: {state!r}")
            steps += percent != last and redrawn[1] == "sweep"
            last = percent
        lines.append(states[-1])
    if steps and last_of_sweep(lines) != 100:
        sys.exit("the sweep does not end at 100 %")
    return lines, steps


def last_of_sweep(lines):
    ends = [float(found[1]) for found in (re.match(r"sweep +([0-9.]+) %", line) for line in lines) if found]
    return ends[-1] if ends else None


if sys.argv[1] == "--fits":
    for name in sys.argv[3:]:
        with open(name, encoding="utf-8") as f:
            for line in f.read().split("\n"):
                if width(line) > int(sys.argv[2]):
                    sys.exit(f"{name}: {width(line)} columns of {sys.argv[2]}: {line!r}")
    sys.exit()
if sys.argv[1] == "--read":
    with open(sys.argv[2], newline="") as f:
        _, steps = check(f.read(), int(sys.argv[3]))
else:
    lines, steps = check(run(int(sys.argv[2]), sys.argv[3:]), int(sys.argv[2]))
    with open(sys.argv[1], "w") as f:
        f.write("\n".join(lines))
print(steps)
