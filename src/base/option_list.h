/* Every command and every option of the program: the one place where they are declared. */
#ifndef KO_BASE_OPTION_LIST_H
#define KO_BASE_OPTION_LIST_H

/* X(NAME, "name", "ARGUMENTS", min, max, "what it does") */
#define KO_COMMANDS(X)                                                                             \
    X(PLAN, "plan", "SPEC", 1, 1,                                                                  \
      "the dry run: axes, cells, skipped prompts, token sets, memory, FLOP and time")              \
    X(RUN, "run", "SPEC", 1, 1, "the sweep, alone or under mpirun or srun")                        \
    X(EVALUATE, "evaluate", "SPEC", 1, 1, "the clean runs alone: every model on every prompt")     \
    X(MERGE, "merge", "SHARD...", 1, -1, "one cube from the files of a sweep's shards")            \
    X(STATUS, "status", "CUBE", 1, 1,                                                              \
      "done, vacuous, failed and pending cells a model and route; a run's speed and time left")    \
    X(SHOW, "show", "CUBE", 1, 1,                                                                  \
      "the curves: mean change with its 95 % interval, a line a window; differences between them") \
    X(VERIFY, "verify", "CUBE", 1, 1,                                                              \
      "recomputes a sample of cells without the token tree and compares")                          \
    X(EXPORT, "export", "CUBE", 1, 1, "the long table as CSV, or a compressed copy of the cube")   \
    X(INSPECT, "inspect", "CHECKPOINT", 1, 1,                                                      \
      "architecture, shape, types, tokenizer of a checkpoint")                                     \
    X(BENCH, "bench", "", 0, 0, "GEMM rate, time a cell and fraction reached on this machine")

/* X(ID, "name", TYPE, "default", "unit", "commands", "help") */
#define KO_OPTIONS(X)                                                                              \
    X(KO_OPT_OUTPUT, "output", KO_STRING, "", "CUBE", "run evaluate merge export",                 \
      "the file to write (also -o); export --csv without it: standard output")                     \
    X(KO_OPT_RESUME, "resume", KO_FLAG, "", "", "run evaluate",                                    \
      "continue the cube if it exists, else start it")                                             \
    X(KO_OPT_OVERWRITE, "overwrite", KO_FLAG, "", "", "run evaluate merge export",                 \
      "replace the output (of run, its evaluation too) if it exists")                              \
    X(KO_OPT_EVALUATION, "evaluation", KO_STRING, "", "CUBE", "run plan",                          \
      "select prompts from this evaluation instead of evaluating")                                 \
    X(KO_OPT_REUSE, "reuse", KO_STRINGS, "", "CUBE", "run",                                        \
      "take the cells that this cube has already (may be repeated)")                               \
    X(KO_OPT_SHARD, "shard", KO_STRING, "", "K/N", "run",                                          \
      "compute part K of N alone, into CUBE.shard-KKKK-of-NNNN.h5; auto: from the Slurm array")    \
    X(KO_OPT_PARTIAL, "partial", KO_FLAG, "", "", "merge",                                         \
      "leave pending what shards lack, for run --resume")                                          \
    X(KO_OPT_BACKEND, "backend", KO_STRING, "", "cpu|cuda", "run evaluate plan bench",             \
      "where to compute; default: cuda where a GPU is visible, else cpu")                          \
    X(KO_OPT_PRECISION, "precision", KO_STRING, "float32", "float32|tf32|bfloat16|float32x3",      \
      "run evaluate plan",                                                                         \
      "arithmetic of the matrix products; cpu: float32 (float32x3: not in this build)")            \
    X(KO_OPT_PRECISIONS, "precision", KO_STRING, "float32", "LIST", "bench",                       \
      "arithmetic of the matrix products: float32, tf32, bfloat16 or several, with commas")        \
    X(KO_OPT_ROW_BUDGET, "row-budget", KO_INT, "0", "rows", "run evaluate plan bench",             \
      "rows a wave holds at most; 0: from the model's shape")                                      \
    X(KO_OPT_THREADS, "threads", KO_INT, "0", "threads", "run evaluate plan verify bench",         \
      "threads a worker; 0: OMP_NUM_THREADS, else its share of the processors it may use")         \
    X(KO_OPT_PROGRESS, "progress", KO_STRING, "auto", "auto|line|plain|json|none", "run evaluate", \
      "how progress is shown on stderr")                                                           \
    X(KO_OPT_STOP_AT, "stop-at", KO_INT, "0", "epoch seconds", "run evaluate",                     \
      "stop politely at this time; 0: never")                                                      \
    X(KO_OPT_COMMIT_SECONDS, "commit-seconds", KO_DOUBLE, "10", "seconds", "run evaluate",         \
      "time between commit rounds")                                                                \
    X(KO_OPT_SET, "set", KO_STRINGS, "", "KEY=VALUE", "run evaluate plan",                         \
      "overrides a top-level key of the spec")                                                     \
    X(KO_OPT_ASSUME_PROMPTS, "assume-prompts", KO_INT, "0", "prompts", "plan",                     \
      "plan as if a selection by ranks left this many prompts")                                    \
    X(KO_OPT_WORKERS, "workers", KO_INT, "1", "workers", "plan",                                   \
      "predict makespan and efficiency for this many workers")                                     \
    X(KO_OPT_DEVICE, "device", KO_STRING, "", "NAME", "plan",                                      \
      "predict for this GPU from rates measured earlier, instead of measuring here")               \
    X(KO_OPT_READ_RATE, "read-rate", KO_DOUBLE, "2", "GB/s", "plan",                               \
      "how fast checkpoints are read, for the predicted time of loading")                          \
    X(KO_OPT_JSON, "json", KO_FLAG, "", "", "status plan bench inspect show", "print JSON")        \
    X(KO_OPT_CSV, "csv", KO_FLAG, "", "", "show export", "print comma-separated values")           \
    X(KO_OPT_COMPRESS, "compress", KO_FLAG, "", "", "export",                                      \
      "write a copy of the cube in compressed chunks")                                             \
    X(KO_OPT_METRIC, "metric", KO_STRING, "change",                                                \
      "change|delta|logprob|median|hit|kl|margin|margin-change", "show",                           \
      "the figure of a prompt and window (median: that of change)")                                \
    X(KO_OPT_STATISTIC, "statistic", KO_STRING, "mean", "mean|median", "show",                     \
      "what is made of the prompts' figures")                                                      \
    X(KO_OPT_INTERVAL, "interval", KO_STRING, "", "t|bootstrap|wilson|order", "show",              \
      "its 95 % interval; default: t, for hit wilson, for a median order")                         \
    X(KO_OPT_RESAMPLES, "resamples", KO_INT, "10000", "resamples", "show",                         \
      "how often --interval bootstrap resamples the prompts")                                      \
    X(KO_OPT_BY, "by", KO_STRING, "none", "none|relation", "show",                                 \
      "relation: a curve for each relation of the prompts")                                        \
    X(KO_OPT_MODEL, "model", KO_STRINGS, "", "NAME", "show export verify",                         \
      "only this model (may be repeated)")                                                         \
    X(KO_OPT_TARGET, "target", KO_STRINGS, "", "SET", "show export",                               \
      "only routes into this token set (may be repeated)")                                         \
    X(KO_OPT_SOURCE, "source", KO_STRINGS, "", "SET", "show export",                               \
      "only routes from this token set (may be repeated)")                                         \
    X(KO_OPT_FEATURE, "feature", KO_STRINGS, "", "CLASS", "show export",                           \
      "only this feature class (may be repeated)")                                                 \
    X(KO_OPT_WINDOW_SIZE, "window-size", KO_STRINGS, "", "LAYERS", "show export",                  \
      "only this window size (may be repeated)")                                                   \
    X(KO_OPT_MINUS_TARGET, "minus-target", KO_STRING, "", "SET", "show",                           \
      "subtract, prompt by prompt, the route into this token set")                                 \
    X(KO_OPT_MINUS_SOURCE, "minus-source", KO_STRING, "", "SET", "show",                           \
      "subtract the route from this token set")                                                    \
    X(KO_OPT_MINUS_FEATURE, "minus-feature", KO_STRING, "", "CLASS", "show",                       \
      "subtract this feature class")                                                               \
    X(KO_OPT_MINUS_MODEL, "minus-model", KO_STRING, "", "NAME", "show",                            \
      "subtract this model, at the windows of the same layers")                                    \
    X(KO_OPT_MINUS_CONTROL, "minus-control", KO_FLAG, "", "", "show",                              \
      "subtract the matched random control: the mean over the seeds that the cube has")            \
    X(KO_OPT_SAMPLE, "sample", KO_INT, "32", "cells", "verify", "how many cells to recompute")     \
    X(KO_OPT_SEED, "seed", KO_INT, "0", "", "verify bench show",                                   \
      "seed of the sample, the random weights or the resamples")                                   \
    X(KO_OPT_TOKENS, "tokens", KO_STRING, "", "TEXT", "inspect",                                   \
      "show this text's ids, pieces and character offsets")                                        \
    X(KO_OPT_ANSWER, "answer", KO_STRING, "", "TEXT", "inspect",                                   \
      "with --tokens: show which token of this answer each prompts.score scores")                  \
    X(KO_OPT_TOKENIZER, "tokenizer", KO_STRING, "", "FOLDER", "inspect",                           \
      "take tokenizer.json from this folder")                                                      \
    X(KO_OPT_SHAPES, "shape", KO_STRING, "mamba-130m", "LIST", "bench",                            \
      "the model shape to measure, with random weights; several with commas, or all")              \
    X(KO_OPT_PROMPTS, "prompts", KO_INT, "0", "prompts", "bench",                                  \
      "how many prompts; 0: enough for one batch")                                                 \
    X(KO_OPT_PROMPT_TOKENS, "tokens", KO_INT, "10", "tokens", "bench", "length of the prompts")    \
    X(KO_OPT_LOG_LEVEL, "log-level", KO_STRING, "info", "error|warn|info|debug",                   \
      "run evaluate verify bench", "what is logged on stderr")                                     \
    X(KO_OPT_COLOR, "color", KO_STRING, "auto", "auto|always|never", "plan inspect",               \
      "colour on the terminal")

#endif
