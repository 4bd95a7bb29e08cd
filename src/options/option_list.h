/* SPDX-License-Identifier: Apache-2.0 */
/* Declares every command and every option of the program. */
#ifndef KO_OPTIONS_OPTION_LIST_H
#define KO_OPTIONS_OPTION_LIST_H

#include "src/options/shown_metrics.h"

/* X(NAME, "name", "ARGUMENTS", min, max, "what it does"), in the order of --help. min and max count
   the arguments; max -1: any number. */
#define KO_COMMANDS(X)                                                                             \
    X(PLAN, "plan", "SPEC", 1, 1,                                                                  \
      "print what a run would do, without doing it: axes, cells, skipped prompts, token sets, "    \
      "memory, time")                                                                              \
    X(RUN, "run", "SPEC", 1, 1, "run the sweep, in one process or under mpirun or srun")           \
    X(EVALUATE, "evaluate", "SPEC", 1, 1, "do the clean runs only: every model on every prompt")   \
    X(MERGE, "merge", "SHARD...", 1, -1, "merge the shards of a sweep into one cube")              \
    X(STATUS, "status", "CUBE", 1, 1,                                                              \
      "print the progress of a cube: cells done, vacuous, failed and pending; speed and time "     \
      "left of a run")                                                                             \
    X(SHOW, "show", "CUBE", 1, 1,                                                                  \
      "print curves: mean change and 95 % interval of each window; differences between curves")    \
    X(VERIFY, "verify", "CUBE", 1, 1,                                                              \
      "recompute a sample of cells, each in its own forward pass, and compare")                    \
    X(EXPORT, "export", "CUBE", 1, 1,                                                              \
      "write the cells as CSV, one per line, or a compressed copy of the cube")                    \
    X(INSPECT, "inspect", "CHECKPOINT", 1, 1,                                                      \
      "print what a checkpoint is: architecture, shape, types, tokenizer, and whether it can be "  \
      "run")                                                                                       \
    X(BENCH, "bench", "", 0, 0,                                                                    \
      "measure the speed of this machine: rate of matrix products, time per cell")

/* X("status", "what it means"), in the order of --help. */
#define KO_EXIT_STATUSES(X)                                                                        \
    X("0", "complete")                                                                             \
    X("1", "failed")                                                                               \
    X("2", "wrong usage, spec or file: nothing was computed")                                      \
    X("3", "complete, with recorded failures")                                                     \
    X("4", "status and merge: some cells are not computed yet")                                    \
    X("75", "stopped early: repeat the command with --resume to continue")

enum ko_option_type { KO_FLAG, KO_INT, KO_DOUBLE, KO_STRING, KO_STRINGS /* may be repeated */ };

/* X(ID, "name", TYPE, "default", "unit", "commands", "help"). default is "" if there is no default.
   unit is the placeholder in --help; "a|b" lists all allowed values. commands are separated by
   blanks. */
#define KO_OPTIONS(X)                                                                              \
    X(KO_OPT_OUTPUT, "output", KO_STRING, "", "CUBE", "run evaluate merge", "the cube to write")   \
    X(KO_OPT_OUTPUT_FILE, "output", KO_STRING, "", "FILE", "export",                               \
      "the file to write; --csv writes to standard output by default")                             \
    X(KO_OPT_RESUME, "resume", KO_FLAG, "", "", "run evaluate",                                    \
      "continue the file if it exists, otherwise start it")                                        \
    X(KO_OPT_OVERWRITE, "overwrite", KO_FLAG, "", "", "run evaluate merge export",                 \
      "replace the file if it exists (run: its evaluation too)")                                   \
    X(KO_OPT_EVALUATION, "evaluation", KO_STRING, "", "CUBE", "run plan",                          \
      "select prompts with this evaluation instead of evaluating first")                           \
    X(KO_OPT_REUSE, "reuse", KO_STRINGS, "", "CUBE", "run",                                        \
      "copy the cells that this cube already has (may be repeated)")                               \
    X(KO_OPT_SHARD, "shard", KO_STRING, "", "K/N", "run",                                          \
      "compute only shard K of N, into NAME.shard-KKKK-of-NNNN.h5; auto: K and N from the Slurm "  \
      "array; `merge` joins the shards")                                                           \
    X(KO_OPT_PARTIAL, "partial", KO_FLAG, "", "", "merge",                                         \
      "merge even if shards are missing or incomplete; their missing cells stay pending, for run " \
      "--resume")                                                                                  \
    X(KO_OPT_BACKEND, "backend", KO_STRING, "", "cpu|cuda", "run evaluate plan bench",             \
      "where to compute; default: cuda if a GPU is visible, otherwise cpu")                        \
    X(KO_OPT_PRECISION, "precision", KO_STRING, "float32", "float32|bf16x3|tf32|bfloat16",         \
      "run evaluate plan",                                                                         \
      "arithmetic of matrix products; the others than float32 are faster and for GPUs only: "      \
      "bf16x3 about as accurate, tf32 and bfloat16 less")                                          \
    X(KO_OPT_PRECISIONS, "precision", KO_STRING, "float32", "LIST", "bench",                       \
      "arithmetic of matrix products: float32, bf16x3, tf32 or bfloat16; several separated by "    \
      "commas")                                                                                    \
    X(KO_OPT_ROW_BUDGET, "row-budget", KO_INT, "0", "rows", "run evaluate plan bench",             \
      "rows (token positions) that go through the layers at once; fewer rows need less memory; "   \
      "0: chosen from the model's shape")                                                          \
    X(KO_OPT_WEIGHTS, "weights", KO_STRING, "auto", "auto|resident|stream",                        \
      "run evaluate plan verify bench",                                                            \
      "where weights are: all in memory (resident), or layer by layer from the checkpoint in "     \
      "each "                                                                                      \
      "pass (stream); auto: stream where they do not fit; results are the same")                   \
    X(KO_OPT_MEMORY_LIMIT, "memory-limit", KO_STRING, "", "SIZE",                                  \
      "run evaluate plan verify bench",                                                            \
      "memory that weights and rows may take, as 6GiB: of each GPU, or with --backend cpu of "     \
      "each "                                                                                      \
      "node; default: all of a GPU, nine tenths of a node")                                        \
    X(KO_OPT_THREADS, "threads", KO_INT, "0", "threads", "run evaluate plan verify bench",         \
      "threads per worker; 0: OMP_NUM_THREADS, otherwise its share of the available processors")   \
    X(KO_OPT_PROGRESS, "progress", KO_STRING, "auto", "auto|line|plain|json|none", "run evaluate", \
      "how to show progress on stderr; auto: one redrawn line on a terminal, otherwise one line "  \
      "per minute")                                                                                \
    X(KO_OPT_STOP_AT, "stop-at", KO_INT, "0", "epoch seconds", "run evaluate",                     \
      "stop at this time as after Ctrl-C, with exit status 75; --resume continues; 0: never")      \
    X(KO_OPT_COMMIT_SECONDS, "commit-seconds", KO_DOUBLE, "10", "seconds", "run evaluate",         \
      "how often results are written to the file; a killed run loses the results after the last "  \
      "write")                                                                                     \
    X(KO_OPT_SET, "set", KO_STRINGS, "", "KEY=VALUE", "run evaluate plan",                         \
      "set a key of the spec, also a nested one (windows.sizes=[1]); may be repeated")             \
    X(KO_OPT_ASSUME_PROMPTS, "assume-prompts", KO_INT, "0", "prompts", "plan",                     \
      "without an evaluation: plan as if `select` kept this many prompts; 0: all of them")         \
    X(KO_OPT_WORKERS, "workers", KO_INT, "1", "workers", "plan",                                   \
      "predict the time for this many workers (ranks other than rank 0)")                          \
    X(KO_OPT_DEVICE, "device", KO_STRING, "", "NAME", "plan",                                      \
      "predict for this GPU from stored rates instead of measuring this machine")                  \
    X(KO_OPT_READ_RATE, "read-rate", KO_DOUBLE, "2", "GB/s", "plan",                               \
      "how fast checkpoints are read, to predict the loading time")                                \
    X(KO_OPT_JSON, "json", KO_FLAG, "", "", "status plan bench inspect show", "print JSON")        \
    X(KO_OPT_CSV, "csv", KO_FLAG, "", "", "show export", "print comma-separated values")           \
    X(KO_OPT_COMPRESS, "compress", KO_FLAG, "", "", "export",                                      \
      "write a copy of the cube in compressed chunks")                                             \
    X(KO_OPT_METRIC, "metric", KO_STRING, "change", KO_SHOWN_METRIC_CHOICES, "show",               \
      "what to measure. The change of the answer's probability: in percent (change; median: its "  \
      "median), in points (delta), or of its logarithm in nats (logprob). Whether the answer "     \
      "ranks first (hit). The divergence (kl). The answer against the foil (margin, "              \
      "margin-change)")                                                                            \
    X(KO_OPT_STATISTIC, "statistic", KO_STRING, "mean", "mean|median", "show",                     \
      "how to summarize the prompts")                                                              \
    X(KO_OPT_INTERVAL, "interval", KO_STRING, "", "t|bootstrap|wilson|order", "show",              \
      "kind of 95 % interval (docs/statistics.md); default: t; wilson for hit; order for a "       \
      "median")                                                                                    \
    X(KO_OPT_RESAMPLES, "resamples", KO_INT, "10000", "resamples", "show",                         \
      "number of resamples of --interval bootstrap")                                               \
    X(KO_OPT_BY, "by", KO_STRING, "none", "none|relation", "show",                                 \
      "relation: one curve per relation of the prompts")                                           \
    X(KO_OPT_MODEL, "model", KO_STRINGS, "", "NAME", "show export verify",                         \
      "only this model (may be repeated)")                                                         \
    X(KO_OPT_ROUTE, "route", KO_STRINGS, "", "ROUTE", "show export",                               \
      "only this route, TARGET<-SOURCE or KIND@SET, in quotes (may be repeated)")                  \
    X(KO_OPT_TARGET, "target", KO_STRINGS, "", "SET", "show export",                               \
      "only routes into this token set (may be repeated)")                                         \
    X(KO_OPT_SOURCE, "source", KO_STRINGS, "", "SET", "show export",                               \
      "only routes from this token set (may be repeated)")                                         \
    X(KO_OPT_FEATURE, "feature", KO_STRINGS, "", "CLASS", "show export",                           \
      "only this feature class; head:each: every head (may be repeated)")                          \
    X(KO_OPT_WINDOW_SIZE, "window-size", KO_STRINGS, "", "LAYERS", "show export",                  \
      "only this window size (may be repeated)")                                                   \
    X(KO_OPT_MINUS_TARGET, "minus-target", KO_STRING, "", "SET", "show",                           \
      "subtract, prompt by prompt, the route into this token set")                                 \
    X(KO_OPT_MINUS_SOURCE, "minus-source", KO_STRING, "", "SET", "show",                           \
      "subtract the route from this token set")                                                    \
    X(KO_OPT_MINUS_FEATURE, "minus-feature", KO_STRING, "", "CLASS", "show",                       \
      "subtract this feature class")                                                               \
    X(KO_OPT_MINUS_MODEL, "minus-model", KO_STRING, "", "NAME", "show",                            \
      "subtract this model, at windows of the same layers")                                        \
    X(KO_OPT_MINUS_CONTROL, "minus-control", KO_FLAG, "", "", "show",                              \
      "subtract the matched random control: its mean over the seeds in the cube")                  \
    X(KO_OPT_INTERACTION, "interaction", KO_FLAG, "", "", "show",                                  \
      "subtract the classes attention and ssm from all: what both do beyond what each does")       \
    X(KO_OPT_STRONGEST, "strongest", KO_INT, "0", "cells", "show",                                 \
      "instead of curves, list this many windows with the largest effects of all curves, with p "  \
      "corrected over all of them; 0: print the curves")                                           \
    X(KO_OPT_SAMPLE, "sample", KO_INT, "32", "cells", "verify", "number of cells to recompute")    \
    X(KO_OPT_SEED, "seed", KO_INT, "0", "", "verify", "seed of the random sample of cells")        \
    X(KO_OPT_WEIGHTS_SEED, "seed", KO_INT, "0", "", "bench", "seed of the random weights")         \
    X(KO_OPT_STORED, "stored", KO_STRING, "float32", "float32|bfloat16", "bench",                  \
      "as if the checkpoint were stored so; of bfloat16, bf16x3 computes two products, of "        \
      "float32 three")                                                                             \
    X(KO_OPT_RESAMPLES_SEED, "seed", KO_INT, "0", "", "show", "seed of --interval bootstrap")      \
    X(KO_OPT_TOKENS, "tokens", KO_STRING, "", "TEXT", "inspect",                                   \
      "show the ids, pieces and character offsets of this text")                                   \
    X(KO_OPT_ANSWER, "answer", KO_STRING, "", "TEXT", "inspect",                                   \
      "with --tokens: show which token of this answer each value of prompts.score scores")         \
    X(KO_OPT_TOKENIZER, "tokenizer", KO_STRING, "", "FOLDER", "inspect",                           \
      "read tokenizer.json from this folder")                                                      \
    X(KO_OPT_SHAPES, "shape", KO_STRING, "mamba-130m", "LIST", "bench",                            \
      "model shapes to measure, with random weights: names separated by commas, or all")           \
    X(KO_OPT_PROMPTS, "prompts", KO_INT, "0", "prompts", "bench",                                  \
      "number of prompts; 0: enough for one batch")                                                \
    X(KO_OPT_PROMPT_TOKENS, "tokens", KO_INT, "10", "tokens", "bench", "tokens per prompt")        \
    X(KO_OPT_LOG_LEVEL, "log-level", KO_STRING, "info", "error|warn|info|debug",                   \
      "run evaluate verify bench",                                                                 \
      "level of the key=value log on stderr; without this option, a terminal shows short lines "   \
      "instead")                                                                                   \
    X(KO_OPT_COLOR, "color", KO_STRING, "auto", "auto|always|never", "plan inspect",               \
      "when to print colors")

enum ko_option {
#define X(id, name, type, fallback, unit, commands, help) id,
    KO_OPTIONS(X)
#undef X
        KO_N_OPTIONS
};

#endif
