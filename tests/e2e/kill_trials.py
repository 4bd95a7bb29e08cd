"""Kills a run of four ranks at random moments and resumes it until it is done; called by kill_trials.sh.

    kill_trials.py SCRATCH N SEED

After every kill and every end: the cube and its evaluation open (or are not there yet), and every cell that is flagged done has the
value of an undisturbed run. No resume computes a batch whose cells were all flagged when it began: the runs log their batches, and they
are held against a copy of the files. At the end every dataset equals that of the undisturbed run, and no lock is left.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

PENDING, DONE, VACUOUS, FAILED = 1, 2, 3, 4
KINDS = ("one rank", "all ranks", "mpirun", "USR1")
RANKS, LIMIT, ALONE = 4, 120, 15
STATUSES = {"status": "clean_", "heat_status": "heat_clean_", "eval_status": "eval_"}
METRICS = ("prob", "logprob", "kl", "target_rank", "top1_id")


class Wrong(Exception):
    pass


def load(path):
    """Every numeric dataset but run*, and the labels."""
    with h5py.File(path) as file:
        found = {name: item[...] for name, item in file.items() if item.dtype != object and not name.startswith("run")}
        for axis in ("model", "prompt", "heat_prompt", "eval_prompt"):
            if axis in file:
                found["axis " + axis] = [s.decode() for s in file[axis][...]]
    return found


def check_flagged(path, whole):
    """No flagged cell is wrong."""
    if not path.exists():
        return
    cube = load(path)
    for status, clean in STATUSES.items():
        if status not in cube:
            continue
        flags, right = cube[status], whole[status]
        if ((flags != right) & (flags != PENDING)).any():
            raise Wrong(f"{path}: {status} has other flags than an undisturbed run")
        prefix = "" if status == "status" else status[:-len("status")]
        for metric in METRICS:
            name = prefix + metric
            if name not in cube or (status == "eval_status" and metric == "kl"):
                continue
            done = flags == DONE
            if cube[name].ndim > flags.ndim:
                done = np.broadcast_to(done[..., None], cube[name].shape)
            if cube[name][done].tobytes() != whole[name][done].tobytes():
                raise Wrong(f"{path}: {name} is wrong where {status} says done")


def finished_prompts(path, evaluation):
    """(model, prompt) pairs of which nothing is left to compute."""
    if not path.exists():
        return set()
    cube = load(path)
    left, seen = set(), set()
    for status, clean in STATUSES.items():
        if status not in cube or (status == "eval_status") != evaluation:
            continue
        axis = {"status": "prompt", "heat_status": "heat_prompt", "eval_status": "eval_prompt"}[status]
        flags = cube[status].reshape(*cube[status].shape[:2], -1)
        open_ = ((flags == PENDING) | (flags == FAILED)).any(axis=2)
        open_ |= (flags != 0).any(axis=2) & np.isnan(cube[clean + "logprob"])
        for m, model in enumerate(cube["axis model"]):
            for p, prompt in enumerate(cube["axis " + axis]):
                seen.add((model, prompt))
                if open_[m, p]:
                    left.add((model, prompt))
    return seen - left


class Trial:
    def __init__(self, scratch, name, rng, duration):
        self.cube, self.evaluation = scratch / f"{name}.h5", scratch / f"{name}.evaluation.h5"
        self.scratch, self.rng, self.duration = scratch, rng, duration
        self.kills, self.runs, self.batches = Counter(), 0, 0

    def start(self):
        log = open(self.scratch / "log", "wb")
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(RANKS), os.environ["KNOCKOUT"], "run",
                   str(self.scratch / "spec.yaml"), "-o", str(self.cube), "--resume", "--threads", "1", "--progress", "none",
                   "--commit-seconds", "0.02", "--log-level", "debug"]
        self.runs += 1
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def ranks(self, mpirun):
        try:
            children = Path(f"/proc/{mpirun.pid}/task/{mpirun.pid}/children").read_text().split()
        except OSError:
            return []
        return [int(pid) for pid in children]

    def kill(self, mpirun, kind):
        """Returns the ranks that there were."""
        ranks = self.ranks(mpirun)
        victims = {"one rank": self.rng.sample(ranks, min(1, len(ranks))), "all ranks": ranks,
                   "mpirun": [mpirun.pid], "USR1": [mpirun.pid]}[kind]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGUSR1 if kind == "USR1" else signal.SIGKILL)
            except ProcessLookupError:
                pass
        return ranks

    def wait(self, mpirun, kind):
        """The exit status, or None: mpirun may wait for ever for ranks that are gone. Open MPI 4.1's does if they were killed while
        they connected to it, 5.0's now and then if they ended with a status other than 0. A launcher that is left without any rank
        is ended, and counted; the ranks' status is not known then."""
        begin = last_rank = time.time()
        while mpirun.poll() is None:
            now = time.time()
            if any(alive(pid) for pid in self.ranks(mpirun)):
                last_rank = now
            if now - begin > LIMIT:
                for pid in self.ranks(mpirun):
                    os.kill(pid, signal.SIGKILL)
                mpirun.kill()
                raise Wrong(f"a run hangs after {kind or 'nothing'} was killed")
            if kind and kind != "mpirun" and now - last_rank > ALONE:
                self.kills["launchers that hung without ranks"] += 1
                mpirun.kill()
                mpirun.wait()
                return None
            time.sleep(0.02)
        return mpirun.returncode

    def check_batches(self, before):
        """No batch was computed whose cells were all flagged."""
        text = (self.scratch / "log").read_text(errors="replace")
        for kind, model, prompts in re.findall(r'compute kind=(\w+) batch=\d+ model="([^"]*)" prompts="([^"\n]*)"\n', text):
            self.batches += 1
            if all((model, prompt) in before[kind] for prompt in prompts.split()):
                raise Wrong(f"a batch of {model} that was complete is computed again: {prompts}")

    def attempt(self, kind):
        """One run, killed in some way (None: not at all). Whether it came to its end."""
        before = {"evaluation": finished_prompts(self.evaluation, True), "sweep": finished_prompts(self.cube, False)}
        mpirun = self.start()
        ranks, locked = [], False
        if kind:
            time.sleep(self.rng.uniform(0.1, 0.9) * self.duration)
            locked = self.cube.with_suffix(".lock").exists()
            if mpirun.poll() is None:
                ranks = self.kill(mpirun, kind)
                self.kills[kind] += 1
            else:
                kind = None
        code = self.wait(mpirun, kind)
        self.check_batches(before)
        if kind == "USR1" and locked and code not in (0, 75, None):
            raise Wrong(f"USR1 ends a run with {code}")
        if not kind and code != 0:
            raise Wrong(f"an undisturbed resume ends with {code}")
        # The next run may begin while ranks without their mpirun still live: the lock keeps it waiting. What it finds is only known
        # when they are gone.
        end = time.time() + 30
        while any(alive(pid) for pid in ranks) and time.time() < end:
            time.sleep(0.02)
        return code == 0

    def run(self, whole):
        """Whether anything was killed before it was done."""
        for n in range(6):
            kind = self.rng.choice(KINDS) if n < 1 + self.rng.randrange(3) else None
            done = self.attempt(kind)
            for path, right in ((self.cube, whole["cube"]), (self.evaluation, whole["evaluation"])):
                check_flagged(path, right)
            if done:
                break
        else:
            raise Wrong("it does not come to its end")
        for path, name in ((self.cube, "cube"), (self.evaluation, "evaluation")):
            same(load(path), whole[name], path)
        left = [p.name for p in self.scratch.glob(f"{self.cube.stem}.*lock*")]
        if left:
            raise Wrong(f"left behind: {left}")
        return bool(self.kills)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def same(cube, whole, path):
    if cube.keys() != whole.keys():
        raise Wrong(f"{path} holds other datasets")
    for name, right in whole.items():
        here = cube[name]
        if (here != right) if isinstance(right, list) else (here.tobytes() != right.tobytes()):
            raise Wrong(f"{path} differs in {name} from an undisturbed run")


def overlap(scratch, rng, duration, whole):
    """A resume that begins while the ranks of a killed mpirun still live."""
    trial = Trial(scratch, "overlap", rng, duration)
    mpirun = trial.start()
    time.sleep(rng.uniform(0.4, 0.9) * duration)
    ranks = trial.kill(mpirun, "mpirun") if mpirun.poll() is None else []
    mpirun.wait()
    lived = any(alive(pid) for pid in ranks)
    code = trial.start().wait(LIMIT)
    if code != 0:
        raise Wrong(f"a resume beside dying ranks ends with {code}")
    same(load(trial.cube), whole["cube"], trial.cube)
    return lived


def main():
    scratch, n, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    first = Trial(scratch, "whole", rng, 0)
    begin = time.time()
    if first.start().wait(LIMIT) != 0:
        sys.exit((scratch / "log").read_text())
    duration = time.time() - begin
    whole = {"cube": load(first.cube), "evaluation": load(first.evaluation)}
    if not np.isfinite(whole["cube"]["logprob"]).any():
        sys.exit("the undisturbed run holds no result")
    kills, runs, batches, lived = Counter(), 0, 0, 0
    trial_number = 0
    while trial_number < n:
        trial = Trial(scratch, "cube", rng, duration)
        for path in scratch.glob("cube.*"):
            path.unlink()
        try:
            killed = trial.run(whole)
            if killed and trial_number % 10 == 9:
                for path in scratch.glob("overlap.*"):
                    path.unlink()
                lived += overlap(scratch, rng, duration, whole)
        except Wrong as wrong:
            print((scratch / "log").read_text(errors="replace")[-6000:])
            sys.exit(f"FAILED: trial {trial_number} of seed {seed}: {wrong}")
        kills += trial.kills
        runs += trial.runs
        batches += trial.batches
        if not killed: # every kill came too late: that was no trial
            duration *= 0.9
            continue
        trial_number += 1
        if trial_number % 20 == 0:
            print(f"{trial_number} trials, {runs} runs, {sum(kills.values())} kills", flush=True)
    for folder in (scratch / "mpi").iterdir():
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{n} trials (seed {seed}), an undisturbed run takes {duration:.1f} s: {runs} runs, kills: " +
          ", ".join(f"{kind} {count}" for kind, count in sorted(kills.items())) +
          f"; {batches} batches computed; {lived} resumes began while killed ranks lived; nothing wrong")


if __name__ == "__main__":
    main()
