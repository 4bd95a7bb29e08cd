/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers what `inspect` prints: opens the weights and the tokenizer of a folder and collects
   problems instead of stopping at the first one. Printing is in inspect.c. */
#include "src/cli/checkpoint_report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/user/hub_cache.h"
#include "src/formats/json.h"
#include "src/models/details.h"
#include "src/models/model_open.h"
#include "src/spec/model_name.h"
#include "src/tokenizer/side_files.h"

enum { CONFIG_MAX_BYTES = 1 << 24 };

/* Turns an input error into a problem. Other errors are returned. */
static enum ko_code note_problem(enum ko_code code, struct ko_checkpoint_report *report,
                                 struct ko_error *err)
{
    if (code != KO_E_INPUT) {
        return code;
    }
    if (ko_strings_find(&report->problems, err->text) >= 0) {
        return KO_OK;
    }
    return ko_strings_add(&report->problems, err->text, err);
}

/* Opens the model from config.json alone, if the weights cannot be opened. quiet: does not add its
   problems again. */
static enum ko_code model_from_config(struct ko_checkpoint_report *report, bool quiet,
                                      struct ko_error *err)
{
    json_object *config = NULL;
    struct ko_error ignored = {0};
    char *path = ko_path_join(report->folder, "config.json", err);
    if (!path) {
        return KO_E_MEMORY;
    }
    /* ko_checkpoint_open has reported a file that cannot be read. */
    enum ko_code code = KO_OK;
    if (ko_json_read(path, CONFIG_MAX_BYTES, &config, &ignored) == KO_OK) {
        code = ko_model_from_config(report->name, config, &report->model, quiet ? &ignored : err);
        code = quiet ? KO_OK : note_problem(code, report, err);
    }
    json_object_put(config);
    free(path);
    return code;
}

static void count_tensors(struct ko_checkpoint_report *report)
{
    size_t n = 0;
    const struct ko_tensor *tensors = ko_checkpoint_tensors(report->checkpoint, &n);
    for (size_t t = 0; t < n; t++) {
        report->n_tensors[tensors[t].dtype]++;
        report->tensor_bytes += (double)tensors[t].data_bytes;
    }
}

static enum ko_code open_weights(struct ko_checkpoint_report *report, struct ko_error *err)
{
    enum ko_code code = ko_checkpoint_open(report->folder, report->name, &report->checkpoint, err);
    if (code != KO_OK) {
        code = note_problem(code, report, err);
        return code == KO_OK ? model_from_config(report, false, err) : code;
    }
    count_tensors(report);
    code = ko_model_open(report->checkpoint, &report->model, err);
    if (code != KO_E_INPUT) {
        return code;
    }
    if (strstr(err->text, "merge_and_unload")) {
        return note_problem(code, report, err);
    }
    code = ko_model_problems(report->checkpoint, &report->problems, err);
    return code == KO_OK ? model_from_config(report, true, err) : code;
}

static enum ko_code find_tokenizer(const char *given, struct ko_checkpoint_report *report,
                                   struct ko_error *err)
{
    struct stat about;
    char *folder = NULL;
    if (given && stat(given, &about) == 0 && S_ISREG(about.st_mode)) {
        report->tokenizer_file = ko_copy(given, err);
        return report->tokenizer_file ? KO_OK : KO_E_MEMORY;
    }
    enum ko_code code = given ? ko_hub_find(given, given, &folder, err) : KO_OK;
    if (code != KO_OK) {
        return ko_fail_in(err, "--tokenizer");
    }
    report->tokenizer_file = ko_path_join(folder ? folder : report->folder, "tokenizer.json", err);
    free(folder);
    return report->tokenizer_file ? KO_OK : KO_E_MEMORY;
}

/* Adds a problem if the tokenizer puts a token in front of every prompt that the model lacks. */
static enum ko_code check_front(struct ko_checkpoint_report *report, struct ko_error *err)
{
    size_t n = 0;
    const int32_t *front = ko_tokenizer_in_front(report->tokenizer, &n);
    enum ko_code code = KO_OK;
    for (size_t k = 0; report->model && code == KO_OK && k < n; k++) {
        const char *piece = ko_tokenizer_piece(report->tokenizer, front[k]);
        if (front[k] < report->model->shape.vocabulary) {
            continue;
        }
        code = note_problem(
            ko_fail(err, KO_E_INPUT,
                    "%s: post_processor: puts token %d (%s) in front of every text, outside "
                    "the model's vocabulary, whose ids end at %d; use the checkpoint's own "
                    "tokenizer, or write bos: none",
                    report->tokenizer_file, front[k], piece ? piece : "unknown to the tokenizer",
                    report->model->shape.vocabulary - 1),
            report, err);
    }
    return code;
}

static enum ko_code compare_files(struct ko_checkpoint_report *report, struct ko_error *err)
{
    struct ko_side_files files = {0};
    const int32_t bos_id = report->model ? report->model->shape.bos_id : -1;
    enum ko_code code = ko_side_files_read(report->tokenizer_file, report->folder, &files, err);
    if (code == KO_OK) {
        code = ko_side_files_compare(&files, report->tokenizer, bos_id, false, &report->notes, err);
    }
    ko_side_files_free(&files);
    return code;
}

static enum ko_code open_tokenizer(struct ko_checkpoint_report *report, struct ko_error *err)
{
    size_t n = 0;
    report->added_id = -1;
    enum ko_code code = ko_tokenizer_open(report->tokenizer_file, &report->tokenizer, err);
    if (code != KO_OK) {
        return note_problem(code, report, err);
    }
    const int32_t *front = ko_tokenizer_in_front(report->tokenizer, &n);
    report->n_added_in_front = (int32_t)n;
    if (n > 0) {
        report->added_id = front[0];
    }
    code = compare_files(report, err);
    return code == KO_OK ? check_front(report, err) : code;
}

enum ko_code ko_checkpoint_report_make(const char *folder, const char *tokenizer,
                                       struct ko_checkpoint_report *out, struct ko_error *err)
{
    *out = (struct ko_checkpoint_report){.added_id = -1};
    enum ko_code code = ko_hub_find(folder, folder, &out->folder, err);
    if (code == KO_OK && ko_model_name_of_folder(out->folder, &out->name, NULL) != KO_OK) {
        out->name = ko_copy(out->folder, err);
        code = out->name ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = find_tokenizer(tokenizer, out, err);
    }
    if (code == KO_OK) {
        code = open_weights(out, err);
    }
    if (code == KO_OK && out->model) {
        code = ko_model_details(out->model, &out->details, err);
    }
    return code == KO_OK ? open_tokenizer(out, err) : code;
}

void ko_checkpoint_report_free(struct ko_checkpoint_report *report)
{
    free(report->name);
    free(report->folder);
    free(report->tokenizer_file);
    ko_model_free(report->model);
    ko_tokenizer_close(report->tokenizer);
    ko_checkpoint_close(report->checkpoint);
    ko_strings_free(&report->details);
    ko_strings_free(&report->notes);
    ko_strings_free(&report->problems);
    *report = (struct ko_checkpoint_report){0};
}
