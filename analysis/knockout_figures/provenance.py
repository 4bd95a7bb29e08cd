"""Where a cube comes from and what it lacks: attributes, models, runs, skipped prompts, failures."""
from datetime import datetime, timezone

import numpy as np

from .cube import DONE, FAILED, NOT_PLANNED, PENDING, VACUOUS, decoded

STATES = {DONE: "done", VACUOUS: "vacuous", PENDING: "pending", FAILED: "failed"}


def attributes(cube):
    """The root attributes as (name, text), the spec apart."""
    return [(name, decoded(value)) for name, value in cube.file.attrs.items() if name != "spec"]


def spec(cube):
    if "spec_text" in cube.file:
        return bytes(cube.file["spec_text"][:]).rstrip(b"\0").decode("utf-8", "replace")
    return decoded(cube.file.attrs.get("spec", ""))


def characters(row):
    """A row of a character array as text."""
    return b"".join(row.tolist()).rstrip(b"\0").decode("utf-8", "replace")


def models(cube):
    """Titles and rows: name, architecture, layers, paths and fingerprints of every model."""
    columns = ["architecture", "n_layers", "checkpoint_path", "fingerprint", "tokenizer_path", "tokenizer_fingerprint", "content_hash"]
    columns = [c for c in columns if c in cube.file]
    held = {c: cube.file[c][:] for c in columns}
    rows = []
    for m, name in enumerate(cube.models):
        rows.append([name] + [int(held[c][m]) if c == "n_layers" else characters(held[c][m]) if c == "content_hash" else
                              decoded(held[c][m]) for c in columns])
    return ["model"] + columns, rows


def runs(cube):
    """Titles and rows of the runs that worked on the file, the earliest first."""
    columns = ["start (UTC)", "wall, s", "device, s", "ranks", "cells", "share of work", "host", "job"]
    if "run_start" not in cube.file:
        return columns, []
    f, rows = cube.file, []
    for k in np.flatnonzero(np.isfinite(f["run_start"][:])):
        ranks = int(f["run_ranks"][k])
        rows.append([datetime.fromtimestamp(f["run_start"][k], timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
                     float(f["run_wall_seconds"][k]), float(f["run_device_seconds"][k]), ranks if ranks >= 0 else "not closed",
                     int(np.nan_to_num(f["run_cells"][k])), float(f["run_work_share"][k]), characters(f["run_host"][k]),
                     characters(f["run_job"][k])])
    return columns, sorted(rows, key=lambda row: row[0])


def log(cube):
    return bytes(cube.file["run_log"][:]).rstrip(b"\0").decode("utf-8", "replace") if "run_log" in cube.file else ""


def states(cube):
    """Titles and rows: units (prompt, route, class, size) of every model and route by their state."""
    rows = []
    for prefix, routes in (("", cube.routes), ("heat_", cube.heat_routes)):
        if prefix + "status" not in cube.file:
            continue
        for m, model in enumerate(cube.models):
            status = cube.file[prefix + "status"][m]
            for r, route in enumerate(routes):
                counts = np.bincount(status[:, r].ravel(), minlength=FAILED + 1)
                if counts[NOT_PLANNED] < status[:, r].size:
                    rows.append([model, route] + [int(counts[s]) for s in STATES])
    return ["model", "route"] + list(STATES.values()), rows


def reasons(cube):
    """Titles and rows: every prompt that a model could not run, or whose cells failed, with its reason."""
    columns = ["model", "prompt", "reason", "subject", "text"]
    if "reason_code" not in cube.file:
        return columns, []
    code = cube.file["reason_code"]
    names = dict(zip((int(v) for v in code.attrs.get("flag_values", [])), decoded(code.attrs.get("flag_meanings", "")).split()))
    ids, subjects, texts = (cube.text(n) for n in ("eval_prompt", "eval_prompt_subject", "eval_prompt_text"))
    found = code[:]
    return columns, [[cube.models[m], ids[p], names.get(int(found[m, p]), f"reason {found[m, p]}").replace("_", " "), subjects[p], texts[p]]
                     for m, p in np.argwhere(found > 0)]


def evaluation(cube):
    """Titles and rows: how well each model knows the answers of all prompts of the prompt files."""
    rank, logprob = cube.file["eval_target_rank"][:], cube.file["eval_logprob"]
    if "eval_answer_rank" in cube.file:  # a whole answer is first where all its tokens are
        rank = cube.file["eval_answer_rank"][:].max(axis=-1)
    if "eval_correct" in cube.file:  # of several right answers, or options
        correct = cube.file["eval_correct"][:]
        rank = np.where(correct < 0, -1, np.where(correct == 1, 1, 2))
    rows = []
    for m, model in enumerate(cube.models):
        run = rank[m] >= 1
        if run.any():
            rows.append([model, int(run.sum()), 100.0 * float((rank[m][run] == 1).mean()), float(np.mean(logprob[m][run], dtype=float))])
    return ["model", "prompts run", "ranked first, %", "mean log-probability, nats"], rows
