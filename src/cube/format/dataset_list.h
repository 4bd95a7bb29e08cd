/* SPDX-License-Identifier: Apache-2.0 */
/* The axes, the fields and the datasets of the cube, as lists for datasets.h. */
#ifndef KO_CUBE_FORMAT_DATASET_LIST_H
#define KO_CUBE_FORMAT_DATASET_LIST_H

#include "src/plan/stored_metrics.h"

/* clang-format off */

/* X(ID, name) */
#define KO_CUBE_AXES(X) \
    X(MODEL, "model") \
    X(PROMPT, "prompt") \
    X(HEAT_PROMPT, "heat_prompt") \
    X(EVAL_PROMPT, "eval_prompt") \
    X(ROUTE, "route") \
    X(HEAT_ROUTE, "heat_route") \
    X(FEATURE_CLASS, "feature_class") \
    X(WINDOW_SIZE, "window_size") \
    X(WINDOW_START, "window_start") \
    X(POSITION, "position") \
    X(ANSWER_TOKEN, "answer_token") \
    X(OPTION, "option") \
    X(SOURCE_POSITION, "source_position") \
    X(LAYER, "layer") \
    X(SWEEP_BLOCK, "sweep_block") \
    X(LABEL_LENGTH, "label_length") \
    X(HASH_LENGTH, "hash_length") \
    X(MEAN_VALUE, "mean_value") \
    X(RUN, "run") \
    X(RUN_LOG_BYTE, "run_log_byte") \
    X(SPEC_BYTE, "spec_byte")

/* What a dataset holds. The fields up to STATUS come from records: of cells, or of clean runs where
   there is no route axis. */
#define KO_CUBE_FIELDS(X) \
    KO_STORED_METRICS(KO_CUBE_METRIC_FIELD, X) KO_ANSWER_METRICS(KO_CUBE_ANSWER_FIELD, X) KO_CHOICE_METRICS(KO_CUBE_CHOICE_FIELD, X) X(OPTION_LOGPROB) X(REUSED) X(STATUS) X(VACUOUS) \
    X(INDEX) X(LENGTH) X(LABEL) X(WINDOW) X(DEPTH) \
    X(N_LAYERS) X(MIXERS) X(COUNTED) X(WINDOW_LAYER) X(ARCHITECTURE) X(CHECKPOINT_PATH) X(TOKENIZER_PATH) X(FINGERPRINT) X(TOKENIZER_FINGERPRINT) X(CONTENT_HASH) X(COMPONENT_MEAN) \
    X(TEXT) X(SUBJECT) X(TARGET) X(TARGETS) X(OPTIONS) X(FOIL) X(RELATION) X(EVAL_INDEX) X(WHOLE_INDEX) X(REASON) X(SELECTED) \
    X(N_TOKENS) X(N_APPENDED) X(SUBJECT_BEGIN) X(SUBJECT_END) X(TARGET_ID) X(ANSWER_ID) X(FOIL_ID) X(TOKEN_ID) X(TOKEN_TEXT) \
    X(RUN_START) X(RUN_UPDATED) X(RUN_CELLS) X(RUN_SHARE) X(RUN_WALL) X(RUN_DEVICE) X(RUN_RANKS) X(RUN_HOST) X(RUN_JOB) X(RUN_LOG) X(SPEC)

#define KO_CUBE_METRIC_FIELD(FIELD, name, TYPE, WHERE, units, text, X) X(FIELD)
#define KO_CUBE_ANSWER_FIELD(FIELD, name, TYPE, units, text, X) X(FIELD)
#define KO_CUBE_CHOICE_FIELD(FIELD, name, TYPE, WHEN, units, text, X) X(FIELD)

/* Axes are a list in parentheses, so that it passes through macros as one argument. */
#define KO_CELL_AXES (KO_AXIS_MODEL, KO_AXIS_PROMPT, KO_AXIS_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START)
#define KO_CELL_STATUS_AXES (KO_AXIS_MODEL, KO_AXIS_PROMPT, KO_AXIS_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_WINDOW_SIZE)
#define KO_HEAT_AXES (KO_AXIS_MODEL, KO_AXIS_HEAT_PROMPT, KO_AXIS_HEAT_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_SOURCE_POSITION, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START)
#define KO_HEAT_STATUS_AXES (KO_AXIS_MODEL, KO_AXIS_HEAT_PROMPT, KO_AXIS_HEAT_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_SOURCE_POSITION, KO_AXIS_WINDOW_SIZE)
#define KO_CELL_ANSWER_AXES (KO_AXIS_MODEL, KO_AXIS_PROMPT, KO_AXIS_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START, KO_AXIS_ANSWER_TOKEN)
#define KO_HEAT_ANSWER_AXES (KO_AXIS_MODEL, KO_AXIS_HEAT_PROMPT, KO_AXIS_HEAT_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_SOURCE_POSITION, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START, KO_AXIS_ANSWER_TOKEN)
#define KO_CELL_OPTION_AXES (KO_AXIS_MODEL, KO_AXIS_PROMPT, KO_AXIS_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START, KO_AXIS_OPTION)
#define KO_HEAT_OPTION_AXES (KO_AXIS_MODEL, KO_AXIS_HEAT_PROMPT, KO_AXIS_HEAT_ROUTE, KO_AXIS_FEATURE_CLASS, KO_AXIS_SOURCE_POSITION, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START, KO_AXIS_OPTION)
#define KO_BY_OPTION(FACTS) (KO_AXIS_MODEL, KO_AXIS_##FACTS, KO_AXIS_OPTION)
#define KO_BY_ANSWER(FACTS) (KO_AXIS_MODEL, KO_AXIS_##FACTS, KO_AXIS_ANSWER_TOKEN)
#define KO_BY_MODEL (KO_AXIS_MODEL)
#define KO_BY(FACTS) (KO_AXIS_##FACTS)
#define KO_BY_MODEL_AND(AXIS) (KO_AXIS_MODEL, KO_AXIS_##AXIS)

/* X(name, TYPE, axes, FIELD, when, units, long_name). A scale has the name of its axis and must
   come before the datasets that it is attached to. To netCDF a scale with field LENGTH is a
   dimension without a variable. */
#define KO_CUBE_DATASETS(X) \
    KO_CUBE_SCALES(X) \
    KO_CUBE_LABELS(X) \
    KO_CUBE_CELLS(X, "", KO_CELL_AXES, KO_CELL_ANSWER_AXES, KO_CELL_OPTION_AXES, KO_CELL_STATUS_AXES, " of the knocked-out run") \
    KO_STORED_METRICS(KO_CUBE_METRIC, X, CLEAN, "clean_", KO_BY_MODEL_AND(PROMPT), " of the clean run") \
    KO_ANSWER_METRICS(KO_CUBE_ANSWER, X, KO_WHEN_SWEEP, "clean_", KO_BY_ANSWER(PROMPT), " of the clean run") \
    KO_CUBE_CHOICES(X, KO_WHEN_SWEEP, "clean_", KO_BY_MODEL_AND(PROMPT), KO_BY_OPTION(PROMPT), " of the clean run") \
    KO_CUBE_CELLS(X, "heat_", KO_HEAT_AXES, KO_HEAT_ANSWER_AXES, KO_HEAT_OPTION_AXES, KO_HEAT_STATUS_AXES, " of the knocked-out run, one source position at a time") \
    KO_STORED_METRICS(KO_CUBE_METRIC, X, CLEAN, "heat_clean_", KO_BY_MODEL_AND(HEAT_PROMPT), " of the clean run") \
    KO_ANSWER_METRICS(KO_CUBE_ANSWER, X, KO_WHEN_SWEEP, "heat_clean_", KO_BY_ANSWER(HEAT_PROMPT), " of the clean run") \
    KO_CUBE_CHOICES(X, KO_WHEN_SWEEP, "heat_clean_", KO_BY_MODEL_AND(HEAT_PROMPT), KO_BY_OPTION(HEAT_PROMPT), " of the clean run") \
    KO_STORED_METRICS(KO_CUBE_METRIC, X, EVAL, "eval_", KO_BY_MODEL_AND(EVAL_PROMPT), " of the clean run of the evaluation") \
    KO_ANSWER_METRICS(KO_CUBE_ANSWER, X, KO_WHEN_ALWAYS, "eval_", KO_BY_ANSWER(EVAL_PROMPT), " of the clean run of the evaluation") \
    KO_CUBE_CHOICES(X, KO_WHEN_ALWAYS, "eval_", KO_BY_MODEL_AND(EVAL_PROMPT), KO_BY_OPTION(EVAL_PROMPT), " of the clean run of the evaluation") \
    X("eval_status", UINT8, KO_BY_MODEL_AND(EVAL_PROMPT), STATUS, KO_WHEN_EVALUATION, NULL, "state of the clean run") \
    X("reason_code", UINT8, KO_BY_MODEL_AND(EVAL_PROMPT), REASON, KO_WHEN_ALWAYS, NULL, "why the prompt cannot be run") \
    X("selected", UINT8, (KO_AXIS_SWEEP_BLOCK, KO_AXIS_MODEL, KO_AXIS_EVAL_PROMPT), SELECTED, KO_WHEN_SWEEP, NULL, "whether a block of the spec selected the prompt for the model") \
    X("n_layers", INT, KO_BY_MODEL, N_LAYERS, KO_WHEN_ALWAYS, "layers", "layers of the model") \
    X("layer_mixers", UINT8, KO_BY_MODEL_AND(LAYER), MIXERS, KO_WHEN_ALWAYS, NULL, "kinds of mixers in the layer; 0: it has none, or the model has no such layer") \
    X("counted_layer", INT, KO_BY_MODEL_AND(LAYER), COUNTED, KO_WHEN_OVER, "layers", "the layers that windows count, in order; -1 past the last") \
    X("window_layer", UINT8, (KO_AXIS_MODEL, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START, KO_AXIS_LAYER), WINDOW_LAYER, KO_WHEN_STYLED, NULL, "whether the window has the layer; no layer: it does not fit the model") \
    X("architecture", STRING, KO_BY_MODEL, ARCHITECTURE, KO_WHEN_ALWAYS, NULL, "model family") \
    X("checkpoint_path", STRING, KO_BY_MODEL, CHECKPOINT_PATH, KO_WHEN_ALWAYS, NULL, "folder of the checkpoint") \
    X("tokenizer_path", STRING, KO_BY_MODEL, TOKENIZER_PATH, KO_WHEN_ALWAYS, NULL, "file of the tokenizer") \
    X("fingerprint", STRING, KO_BY_MODEL, FINGERPRINT, KO_WHEN_ALWAYS, NULL, "XXH3-128 of the checkpoint's headers and sizes") \
    X("tokenizer_fingerprint", STRING, KO_BY_MODEL, TOKENIZER_FINGERPRINT, KO_WHEN_ALWAYS, NULL, "XXH3-128 of the tokenizer's file") \
    X("content_hash", CHAR, KO_BY_MODEL_AND(HASH_LENGTH), CONTENT_HASH, KO_WHEN_ALWAYS, NULL, "XXH3-128 of the weights; empty until the model was loaded") \
    X("component_mean", FLOAT, KO_BY_MODEL_AND(MEAN_VALUE), COMPONENT_MEAN, KO_WHEN_SWEEP, "1", "means that ~mean puts in the place of components; NaN until the model was loaded") \
    KO_CUBE_FACTS(X, "prompt_", PROMPT) \
    KO_CUBE_FACTS(X, "heat_prompt_", HEAT_PROMPT) \
    KO_CUBE_FACTS(X, "eval_prompt_", EVAL_PROMPT) \
    X("prompt_eval_index", INT, KO_BY(PROMPT), EVAL_INDEX, KO_WHEN_ALWAYS, NULL, "index of the prompt on the eval_prompt axis") \
    X("heat_prompt_eval_index", INT, KO_BY(HEAT_PROMPT), EVAL_INDEX, KO_WHEN_ALWAYS, NULL, "index of the prompt on the eval_prompt axis") \
    X("model_whole_index", INT, KO_BY_MODEL, WHOLE_INDEX, KO_WHEN_SHARD, NULL, "index of the model on the axis of the whole cube") \
    X("prompt_whole_index", INT, KO_BY(PROMPT), WHOLE_INDEX, KO_WHEN_SHARD, NULL, "index of the prompt on the axis of the whole cube") \
    X("heat_prompt_whole_index", INT, KO_BY(HEAT_PROMPT), WHOLE_INDEX, KO_WHEN_SHARD, NULL, "index of the prompt on the axis of the whole cube") \
    KO_CUBE_TOKENS(X, "", PROMPT, KO_WHEN_SWEEP) \
    KO_CUBE_TOKENS(X, "heat_", HEAT_PROMPT, KO_WHEN_SWEEP) \
    KO_CUBE_TOKENS(X, "eval_", EVAL_PROMPT, KO_WHEN_EVALUATION) \
    X("depth", FLOAT, (KO_AXIS_MODEL, KO_AXIS_WINDOW_SIZE, KO_AXIS_WINDOW_START), DEPTH, KO_WHEN_ALWAYS, "percent", "where the window starts in the range of starts; NaN: it does not fit the model") \
    X("run_start", DOUBLE, KO_BY(RUN), RUN_START, KO_WHEN_ALWAYS, "seconds since 1970-01-01 00:00:00", "start of the run, UTC") \
    X("run_updated", DOUBLE, KO_BY(RUN), RUN_UPDATED, KO_WHEN_ALWAYS, "seconds since 1970-01-01 00:00:00", "last sign of life of the run, UTC") \
    X("run_cells", DOUBLE, KO_BY(RUN), RUN_CELLS, KO_WHEN_ALWAYS, "1", "cells that the run has computed, by its last sign of life") \
    X("run_work_share", DOUBLE, KO_BY(RUN), RUN_SHARE, KO_WHEN_ALWAYS, "1", "share of the run's floating-point operations that is done, by its last sign of life") \
    X("run_wall_seconds", DOUBLE, KO_BY(RUN), RUN_WALL, KO_WHEN_ALWAYS, "s", "wall time of the run") \
    X("run_device_seconds", DOUBLE, KO_BY(RUN), RUN_DEVICE, KO_WHEN_ALWAYS, "s", "time of all workers of the run, spent computing") \
    X("run_ranks", INT, KO_BY(RUN), RUN_RANKS, KO_WHEN_ALWAYS, NULL, "MPI ranks of the run") \
    X("run_host", CHAR, (KO_AXIS_RUN, KO_AXIS_LABEL_LENGTH), RUN_HOST, KO_WHEN_ALWAYS, NULL, "host of the first rank") \
    X("run_job", CHAR, (KO_AXIS_RUN, KO_AXIS_LABEL_LENGTH), RUN_JOB, KO_WHEN_ALWAYS, NULL, "batch job of the run") \
    X("run_log", UINT8, KO_BY(RUN_LOG_BYTE), RUN_LOG, KO_WHEN_ALWAYS, NULL, "log lines of all runs, UTF-8, then zeros") \
    X("spec_text", UINT8, KO_BY(SPEC_BYTE), SPEC, KO_WHEN_ALWAYS, NULL, "the resolved sweep spec, UTF-8")

#define KO_CUBE_SCALES(X) \
    X("model", STRING, KO_BY_MODEL, LABEL, KO_WHEN_ALWAYS, NULL, "model") \
    X("prompt", STRING, KO_BY(PROMPT), LABEL, KO_WHEN_ALWAYS, NULL, "id of the prompt in its data set") \
    X("heat_prompt", STRING, KO_BY(HEAT_PROMPT), LABEL, KO_WHEN_ALWAYS, NULL, "id of the prompt in its data set, prompts of the heatmaps") \
    X("eval_prompt", STRING, KO_BY(EVAL_PROMPT), LABEL, KO_WHEN_ALWAYS, NULL, "id of the prompt in its data set, all prompts") \
    X("route", STRING, KO_BY(ROUTE), LABEL, KO_WHEN_ALWAYS, NULL, "route, TARGET<-SOURCE, keep:TARGET<-SOURCE or COMPONENT@SET") \
    X("heat_route", STRING, KO_BY(HEAT_ROUTE), LABEL, KO_WHEN_ALWAYS, NULL, "TARGET<-each, one source position at a time") \
    X("feature_class", STRING, KO_BY(FEATURE_CLASS), LABEL, KO_WHEN_ALWAYS, NULL, "feature class") \
    X("window_size", INT, KO_BY(WINDOW_SIZE), WINDOW, KO_WHEN_ALWAYS, "layers", "layers of the window; of those that windows count") \
    X("window_start", INT, KO_BY(WINDOW_START), WINDOW, KO_WHEN_ALWAYS, "layers", "first layer of the window, from 0; of those that windows count") \
    X("position", INT, KO_BY(POSITION), INDEX, KO_WHEN_ALWAYS, NULL, "token position, from 0, special tokens included") \
    X("answer_token", INT, KO_BY(ANSWER_TOKEN), INDEX, KO_WHEN_ALWAYS, NULL, "token of the answer, from 0") \
    X("option", INT, KO_BY(OPTION), INDEX, KO_WHEN_ALWAYS, NULL, "option of a prompt, from 0") \
    X("source_position", INT, KO_BY(SOURCE_POSITION), INDEX, KO_WHEN_ALWAYS, NULL, "token position whose edges are removed, from 0") \
    X("layer", INT, KO_BY(LAYER), INDEX, KO_WHEN_ALWAYS, NULL, "layer, from 0, as the checkpoint counts") \
    X("sweep_block", INT, KO_BY(SWEEP_BLOCK), INDEX, KO_WHEN_ALWAYS, NULL, "block of the spec's sweeps, from 0") \
    X("label_length", INT, KO_BY(LABEL_LENGTH), LENGTH, KO_WHEN_ALWAYS, NULL, "byte of a label") \
    X("hash_length", INT, KO_BY(HASH_LENGTH), LENGTH, KO_WHEN_ALWAYS, NULL, "digit of a hash") \
    X("mean_value", INT, KO_BY(MEAN_VALUE), LENGTH, KO_WHEN_SWEEP, NULL, "number of a mean, in the order of docs/cube.md") \
    X("run", INT, KO_BY(RUN), LENGTH, KO_WHEN_ALWAYS, NULL, "row of the run table") \
    X("run_log_byte", INT, KO_BY(RUN_LOG_BYTE), LENGTH, KO_WHEN_ALWAYS, NULL, "byte of the log") \
    X("spec_byte", INT, KO_BY(SPEC_BYTE), LENGTH, KO_WHEN_ALWAYS, NULL, "byte of the spec")

#define KO_CUBE_LABELS(X) \
    KO_CUBE_LABEL(X, "model", MODEL) \
    KO_CUBE_LABEL(X, "prompt", PROMPT) \
    KO_CUBE_LABEL(X, "heat_prompt", HEAT_PROMPT) \
    KO_CUBE_LABEL(X, "eval_prompt", EVAL_PROMPT) \
    KO_CUBE_LABEL(X, "route", ROUTE) \
    KO_CUBE_LABEL(X, "heat_route", HEAT_ROUTE) \
    KO_CUBE_LABEL(X, "feature_class", FEATURE_CLASS)
#define KO_CUBE_LABEL(X, name, AXIS) \
    X(name "_label", CHAR, (KO_AXIS_##AXIS, KO_AXIS_LABEL_LENGTH), LABEL, KO_WHEN_ALWAYS, NULL, "the labels of " name " as characters")

/* `reused` before the values: a merge copies from cubes that are still written, and must read it before them. */
#define KO_CUBE_CELLS(X, prefix, cell, answer, option, state, of) \
    X(prefix "reused", UINT8, cell, REUSED, KO_WHEN_SWEEP | KO_WHEN_REUSED, NULL, "whether the cell was taken from an earlier cube") \
    KO_STORED_METRICS(KO_CUBE_METRIC, X, CELL, prefix, cell, of) \
    KO_ANSWER_METRICS(KO_CUBE_ANSWER, X, KO_WHEN_SWEEP, prefix, answer, of) \
    KO_CUBE_CHOICES(X, KO_WHEN_SWEEP, prefix, cell, option, of) \
    X(prefix "status", UINT8, state, STATUS, KO_WHEN_SWEEP, NULL, "state of the cells") \
    X(prefix "vacuous", UINT8, cell, VACUOUS, KO_WHEN_SWEEP | KO_WHEN_VACUOUS, NULL, "whether the cell is vacuous beside others of its size that are not")

/* A stored metric as a dataset of a GROUP: of cells (CELL), clean runs of a sweep (CLEAN) or an evaluation (EVAL). */
#define KO_CUBE_METRIC(FIELD, name, TYPE, WHERE, units, text, X, GROUP, prefix, axes, of) \
    KO_CUBE_##GROUP##_##WHERE(X, prefix #name, TYPE, axes, FIELD, units, text, of)
/* The same of each token of a whole answer. The axis is empty in cubes without. */
#define KO_CUBE_ANSWER(FIELD, name, TYPE, units, text, X, when, prefix, axes, of) \
    X(prefix "answer_" #name, TYPE, axes, FIELD, when, units, text of)
/* Of several right answers and options. The axis `option` is empty in cubes without options. */
#define KO_CUBE_CHOICES(X, when, prefix, axes, option, of) \
    KO_CHOICE_METRICS(KO_CUBE_CHOICE, X, when, prefix, axes, of) \
    X(prefix "option_logprob", FLOAT, option, OPTION_LOGPROB, when, "nats", "log-probability of an option among the options" of)
#define KO_CUBE_CHOICE(FIELD, name, TYPE, WHEN, units, text, X, when, prefix, axes, of) \
    X(prefix #name, TYPE, axes, FIELD, when | KO_WHEN_##WHEN, units, text of)
#define KO_CUBE_CELL_ALL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_SWEEP, units, text of)
#define KO_CUBE_CELL_CELL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_SWEEP, units, text)
#define KO_CUBE_CELL_FOIL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_SWEEP | KO_WHEN_FOILS, units, text of)
#define KO_CUBE_CLEAN_ALL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_SWEEP, units, text of)
#define KO_CUBE_CLEAN_CELL(...)
#define KO_CUBE_CLEAN_FOIL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_SWEEP | KO_WHEN_FOILS, units, text of)
#define KO_CUBE_EVAL_ALL(X, name, TYPE, axes, FIELD, units, text, of) X(name, TYPE, axes, FIELD, KO_WHEN_ALWAYS, units, text of)
#define KO_CUBE_EVAL_CELL(...)
#define KO_CUBE_EVAL_FOIL(...)

#define KO_CUBE_FACTS(X, prefix, FACTS) \
    X(prefix "text", STRING, KO_BY(FACTS), TEXT, KO_WHEN_ALWAYS, NULL, "the prompt") \
    X(prefix "subject", STRING, KO_BY(FACTS), SUBJECT, KO_WHEN_ALWAYS, NULL, "the prompt's subject") \
    X(prefix "target", STRING, KO_BY(FACTS), TARGET, KO_WHEN_ALWAYS, NULL, "the answer; attribute score says which of its tokens are scored") \
    X(prefix "targets", STRING, KO_BY(FACTS), TARGETS, KO_WHEN_SEVERAL, NULL, "all right answers, a JSON list; empty where there is one") \
    X(prefix "options", STRING, KO_BY(FACTS), OPTIONS, KO_WHEN_OPTIONS, NULL, "the options, a JSON list in the order of the axis option; empty where there are none") \
    X(prefix "foil", STRING, KO_BY(FACTS), FOIL, KO_WHEN_FOILS, NULL, "the wrong answer; empty where there is none") \
    X(prefix "relation", STRING, KO_BY(FACTS), RELATION, KO_WHEN_ALWAYS, NULL, "the relation; empty where there is none")

#define KO_CUBE_TOKENS(X, prefix, FACTS, when) \
    X(prefix "token_id", INT, (KO_AXIS_MODEL, KO_AXIS_##FACTS, KO_AXIS_POSITION), TOKEN_ID, when, NULL, "token ids, special tokens included, -1 past the end") \
    X(prefix "token_text", STRING, (KO_AXIS_MODEL, KO_AXIS_##FACTS, KO_AXIS_POSITION), TOKEN_TEXT, when, NULL, "printable pieces as the tokenizer's file writes them, empty past the end") \
    X(prefix "n_tokens", INT, KO_BY_MODEL_AND(FACTS), N_TOKENS, when, NULL, "tokens of the prompt; -1 where it cannot be run") \
    X(prefix "n_appended", INT, KO_BY_MODEL_AND(FACTS), N_APPENDED, when | KO_WHEN_APPENDED, NULL, "last tokens of the prompt that are the answer's, of white space alone; -1 where it cannot be run") \
    X(prefix "subject_begin", INT, KO_BY_MODEL_AND(FACTS), SUBJECT_BEGIN, when, NULL, "first position of the subject") \
    X(prefix "subject_end", INT, KO_BY_MODEL_AND(FACTS), SUBJECT_END, when, NULL, "position after the subject's last one") \
    X(prefix "target_id", INT, KO_BY_MODEL_AND(FACTS), TARGET_ID, when, NULL, "scored token of the answer; of a whole answer the first") \
    X(prefix "answer_id", INT, KO_BY_ANSWER(FACTS), ANSWER_ID, when, NULL, "tokens of the whole answer, -1 past the end") \
    X(prefix "foil_id", INT, KO_BY_MODEL_AND(FACTS), FOIL_ID, when | KO_WHEN_FOILS, NULL, "scored token of the wrong answer; -1 where it counts as none")

/* clang-format on */
#endif
