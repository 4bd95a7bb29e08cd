#!/usr/bin/env python3
"""run.py [--check] [--build FOLDER] [--no-baseline] [--named-only] [NAME...]: makes the mistakes of mutations.txt one at a time, in a copy of the sources, and runs the tests.

Each copy is built as far as its tests need it: first the tests that the entry names, then all unit, conformance and golden tests and
those of tests/mpi that any entry names, until one fails. Exit 1 where none does, or where an entry's text is not (exactly once) in
its file or does not compile. Without NAMEs the verdicts go to tests/mutation/verdicts.md.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
ENTRY = re.compile(r"^### (\S+)\nfile +(\S+)\nbreaks +([^\n]+)\ntests +([^\n]+)\n<<<\n(.*?)\n===\n(.*?)\n>>>$", re.M | re.S)
# The variables that leave one suite or checkpoint of a test.
PART = {"conformance": "KO_CONFORMANCE", "golden.golden": "KO_GOLDEN"}


class Mutation:
    def __init__(self, match):
        self.name, self.file, self.breaks, tests, self.old, self.new = match.groups()
        self.parts = {PART[test]: part for test, part in re.findall(r"([\w.]+)\(([\w-]+)\)", tests)}
        self.tests = re.sub(r"\([\w-]+\)", "", tests).split()


def read_mutations():
    text = (HERE / "mutations.txt").read_text()
    found = [Mutation(m) for m in ENTRY.finditer(text)]
    names = [m.name for m in found]
    if len(found) != len(re.findall(r"^### ", text, re.M)) or len(set(names)) != len(names):
        sys.exit("mutations.txt: an entry is malformed or its name comes twice")
    return found


def copy_sources(tree):
    """Files that changed, so that the build stays incremental; what is gone goes."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=SOURCE, check=True, capture_output=True, text=True)
    files = {name for name in listed.stdout.splitlines() if (SOURCE / name).is_file()}
    for name in files:
        at, to = SOURCE / name, tree / name
        if not to.exists() or to.read_bytes() != at.read_bytes():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(at, to)
    for to in tree.rglob("*"):
        if to.is_file() and str(to.relative_to(tree)) not in files:
            to.unlink()


class Build:
    def __init__(self, folder):
        self.tree, self.at = folder / "tree", folder / "build"

    def configure(self):
        command = ["cmake", "-S", self.tree, "-B", self.at, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1"]
        if shutil.which("ccache"):
            command.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        listed = subprocess.run(["ctest", "--test-dir", self.at, "-N"], check=True, capture_output=True, text=True)
        self.tests = re.findall(r"^ *Test +#\d+: (\S+)$", listed.stdout, re.M)

    def build(self, tests):
        # A script of tests/e2e needs the program and whatever its cubes are made with.
        targets = sorted({"all" if name.startswith("e2e.") else re.sub(r"\.n\d+$", "", name) for name in tests})
        done = subprocess.run(["cmake", "--build", self.at, "--target", *targets], capture_output=True, text=True)
        return None if done.returncode == 0 else done.stdout[-3000:] + done.stderr[-1000:]

    def run(self, tests, parts):
        """The first test that fails, and what it said; None where all pass. A skipped one proves nothing."""
        command = ["ctest", "--test-dir", self.at, "--output-on-failure", "--stop-on-failure", "-R",
                   "^(" + "|".join(map(re.escape, tests)) + ")$"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | parts)
        failed = re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.+\**(\w+)", done.stdout, re.M)
        failed = [(name, how) for name, how in failed if how not in ("Passed", "Skipped")]
        if done.returncode == 0 or not failed:
            if done.returncode != 0 or "No tests were found" in done.stdout:
                sys.exit(f"ctest failed without a test that did: {done.stdout[-2000:]}")
            return None
        name, how = failed[0]
        claims = re.findall(r"^(?:\d+: )?\[  FAILED  \] (?:\S+: )?(\w+)\s*$", done.stdout, re.M)
        return name, claims[0] if claims else {"Failed": ""}.get(how, how.lower())


def wanted(name, mutations):
    """Whether the test is one of those that a mistake is shown to."""
    return name.startswith(("unit.", "golden.")) or name == "conformance" or any(name in m.tests for m in mutations)


def try_one(build, mutation, everything, named_only):
    path = build.tree / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        return "error", f"its text comes {text.count(mutation.old)} times in {mutation.file}", ""
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        for tests, parts in ((mutation.tests, mutation.parts), (everything, {})):
            if named_only and tests is everything:
                break
            said = build.build(tests)
            if said:
                return "error", f"does not build:\n{said}", ""
            killer = build.run(tests, parts)
            if killer:
                return "killed", *killer
        return "SURVIVED", "", ""
    finally:
        path.write_text(text)


def write_verdicts(results):
    lines = ["# Mutations and what kills them", "",
             "Written by `tests/mutation/run.py`, which says how; the texts are in `mutations.txt`.", "",
             f"{sum(r[1] == 'killed' for r in results)} of {len(results)} killed.", "",
             "| mutation | in | breaks the rule that | verdict | by |", "|---|---|---|---|---|"]
    for mutation, verdict, test, claim in results:
        by = f"`{test}`" + (f": {claim}" if claim else "") if verdict == "killed" else ""
        lines.append(f"| {mutation.name} | `{mutation.file}` | {mutation.breaks} | {verdict} | {by} |")
    (HERE / "verdicts.md").write_text("\n".join(lines) + "\n")


def check_texts(mutations):
    wrong = [m for m in mutations if not (SOURCE / m.file).is_file() or (SOURCE / m.file).read_text().count(m.old) != 1]
    for mutation in wrong:
        print(f"{mutation.name}: its text does not stand exactly once in {mutation.file}: let the entry follow the code")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=SOURCE / "build/mutation", help="scratch folder (default: build/mutation)")
    parser.add_argument("--check", action="store_true", help="only look whether each text stands exactly once in its file")
    parser.add_argument("--no-baseline", action="store_true", help="the tests are known to pass without a mutation")
    parser.add_argument("--named-only", action="store_true", help="only the tests that the entries name: a survivor is none yet")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    mutations = read_mutations()
    if arguments.check:
        return check_texts(mutations)
    unknown = set(arguments.names) - {m.name for m in mutations}
    if unknown:
        sys.exit(f"no such mutation: {', '.join(sorted(unknown))}")
    build = Build(arguments.build.resolve())
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    copy_sources(build.tree)
    build.configure()
    everything = [name for name in build.tests if wanted(name, mutations)]
    missing = {t for m in mutations for t in m.tests} - set(build.tests)
    if missing:
        sys.exit(f"no such test: {', '.join(sorted(missing))}")
    said = build.build(everything)
    if said:
        sys.exit(f"the sources do not build:\n{said}")
    if not arguments.no_baseline:
        began = time.monotonic()
        killer = build.run(everything, {})
        if killer:
            sys.exit(f"{killer[0]} fails without any mutation")
        print(f"{len(everything)} tests pass without a mutation, in {time.monotonic() - began:.0f} s", flush=True)
    results = []
    for mutation in mutations:
        if arguments.names and mutation.name not in arguments.names:
            continue
        began = time.monotonic()
        verdict, test, claim = try_one(build, mutation, everything, arguments.named_only)
        results.append((mutation, verdict, test, claim))
        print(f"{verdict:8} {mutation.name:26} {time.monotonic() - began:4.0f} s  {test} {claim}", flush=True)
    if not arguments.names:
        write_verdicts(results)
    bad = [m.name for m, verdict, _, _ in results if verdict != "killed"]
    print(f"{len(results) - len(bad)} of {len(results)} killed" + (f"; not: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
