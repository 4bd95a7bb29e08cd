/* SPDX-License-Identifier: Apache-2.0 */
/* The command `inspect`: prints the report on a checkpoint folder, and the tokens of a text, as
   text or as JSON. The report itself is made in checkpoint_report.c. */
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/answer_report.h"
#include "src/cli/checkpoint_report.h"
#include "src/cli/cli.h"
#include "src/formats/json_out.h"
#include "src/formats/table.h"

/* One number of a shape, and its name in text and JSON. Zeros are left out. */
struct size {
    const char *name;
    int64_t value;
};

enum { MAX_SIZES = 20 };

static size_t list_sizes(const struct ko_model *model, struct size out[MAX_SIZES])
{
    const struct ko_shape *shape = &model->shape;
    const struct ko_sizes sizes = ko_model_sizes(model);
    const struct size all[] = {{"layers", shape->n_layers},
                               {"width", shape->d_model},
                               {"vocabulary", shape->vocabulary},
                               {"positions", shape->max_tokens},
                               {"inner", sizes.d_inner},
                               {"state", sizes.d_state},
                               {"taps", sizes.d_conv},
                               {"dt_rank", sizes.dt_rank},
                               {"ssm_heads", sizes.n_ssm_heads},
                               {"ssm_head_width", sizes.d_ssm_head},
                               {"groups", sizes.n_groups},
                               {"heads", sizes.n_heads},
                               {"kv_heads", sizes.n_kv_heads},
                               {"head_width", sizes.d_head},
                               {"ffn", sizes.d_ff},
                               {"features", sizes.n_features},
                               {"window", sizes.reach == INT32_MAX ? 0 : sizes.reach}};
    size_t n = 0;
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        if (all[k].value > 0) {
            out[n++] = all[k];
        }
    }
    return n;
}

/* The text of --tokens and the answer of --answer, and their tokens. */
struct asked {
    const char *text, *answer; /* NULL: not given */
    struct ko_encoding encoding;
    struct ko_answer found;
};

static const char *piece_of(const struct ko_checkpoint_report *report, int32_t id)
{
    const char *piece = report->tokenizer ? ko_tokenizer_piece(report->tokenizer, id) : NULL;
    return piece ? piece : "unknown to the tokenizer";
}

/* The weights on a GPU in bf16x3. */
static double split_bytes(const struct ko_model *model)
{
    const size_t matrices = ko_model_matrix_bytes(model, KO_ELEMENT_BF16X2, model->matrix_elements);
    return (double)matrices + (double)model->value_floats * sizeof(float);
}

/* The sizes, `8 layers, 96 width`, folded between them. */
static void print_sizes(const struct size *sizes, size_t n, struct ko_text *out)
{
    size_t used = KO_LABEL_WIDTH;
    char word[64];
    ko_pad(out, "shape", KO_LABEL_WIDTH, false);
    for (size_t k = 0; k < n; k++) {
        const int width = snprintf(word, sizeof word, "%lld %s%s", (long long)sizes[k].value,
                                   sizes[k].name, k + 1 < n ? "," : "");
        if (k > 0 && used + 1 + (size_t)width > KO_SCREEN_WIDTH) {
            ko_text_add(out, "\n%*s", KO_LABEL_WIDTH, "");
            used = KO_LABEL_WIDTH;
        }
        ko_text_add(out, "%s%s", used > KO_LABEL_WIDTH ? " " : "", word);
        used += (size_t)width + (used > KO_LABEL_WIDTH);
    }
    ko_text_add(out, "\n");
}

static void print_model(const struct ko_checkpoint_report *report, struct ko_text *out)
{
    struct size sizes[MAX_SIZES];
    char text[32];
    if (!report->model) {
        return;
    }
    const size_t n = list_sizes(report->model, sizes);
    ko_label_line(out, "family", "%s (%s)", report->model->family->name,
                  report->model->family->title);
    print_sizes(sizes, n, out);
    for (size_t k = 0; k < report->details.n; k++) {
        ko_label_line(out, k == 0 ? "details" : "", "%s", report->details.item[k]);
    }
    ko_label_line(out, "in memory", "%s of float32",
                  ko_bytes_human((double)ko_model_floats(report->model) * sizeof(float), text));
    ko_label_line(out, "in bf16x3",
                  "%s on a GPU; %.4g %% of matrices exactly bfloat16 (two products)",
                  ko_bytes_human(split_bytes(report->model), text),
                  100 * ko_model_exact_share(report->model));
}

static void print_weights(const struct ko_checkpoint_report *report, struct ko_text *out)
{
    struct ko_text line = {0};
    size_t n = 0;
    char text[32];
    if (!report->checkpoint) {
        return;
    }
    (void)ko_checkpoint_tensors(report->checkpoint, &n);
    ko_text_add(&line, "%zu, %s on disk:", n, ko_bytes_human(report->tensor_bytes, text));
    for (int d = 0; d < KO_N_DTYPES; d++) {
        if (report->n_tensors[d] > 0) {
            ko_text_add(&line, " %zu %s", report->n_tensors[d], ko_dtype_name((enum ko_dtype)d));
        }
    }
    ko_label_text(out, "tensors", &line);
    const char *prefix = ko_checkpoint_stripped(report->checkpoint, &n);
    if (n > 0) {
        ko_label_line(out, "names", "all begin with '%.*s', which is left out", (int)n, prefix);
    }
    ko_label_line(out, "fingerprint", "%s", ko_checkpoint_fingerprint(report->checkpoint));
}

static void print_tokenizer(const struct ko_checkpoint_report *report, struct ko_text *out)
{
    struct ko_text line = {0};
    if (report->tokenizer) {
        ko_label_line(out, "tokenizer", "%s, %d ids, %s", ko_tokenizer_kind(report->tokenizer),
                      ko_tokenizer_n_ids(report->tokenizer),
                      ko_tokenizer_fingerprint(report->tokenizer));
    }
    if (report->model && report->model->shape.bos_id >= 0) {
        ko_text_add(&line, "config.json names %d (%s)", report->model->shape.bos_id,
                    piece_of(report, report->model->shape.bos_id));
    } else {
        ko_text_add(&line, "config.json names none");
    }
    if (report->tokenizer && report->n_added_in_front > 0) {
        ko_text_add(&line, "; the tokenizer puts %d (%s) in front", report->added_id,
                    piece_of(report, report->added_id));
    } else if (report->tokenizer) {
        ko_text_add(&line, "; the tokenizer puts nothing in front");
    }
    ko_label_text(out, "BOS", &line);
}

/* The characters [begin, end) of text. */
static void add_slice(struct ko_text *out, const char *text, int32_t begin, int32_t end)
{
    const size_t n = strlen(text);
    const size_t from = ko_utf8_offset(text, n, (size_t)begin);
    const size_t to = ko_utf8_offset(text, n, (size_t)end);
    ko_text_add_bytes(out, text + from, to - from);
}

static void print_tokens(const struct ko_checkpoint_report *report, const char *text,
                         const struct ko_encoding *encoding, struct ko_text *out)
{
    static const char *const header[] = {"position", "id", "piece", "characters", "text"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x3};
    for (size_t c = 0; c < table.n_columns; c++) {
        ko_table_add(&table, "%s", header[c]);
    }
    for (size_t k = 0; k < encoding->n; k++) {
        struct ko_text slice = {0};
        add_slice(&slice, text, encoding->char_begin[k], encoding->char_end[k]);
        ko_table_add(&table, "%zu", k);
        ko_table_add(&table, "%d", encoding->id[k]);
        ko_table_add(&table, "%s", piece_of(report, encoding->id[k]));
        if (encoding->special[k]) {
            ko_table_add(&table, "special");
        } else {
            ko_table_add(&table, "%d-%d", encoding->char_begin[k], encoding->char_end[k]);
        }
        ko_table_add(&table, encoding->special[k] ? "%s" : "'%s'", ko_text_str(&slice));
        ko_text_free(&slice);
    }
    ko_text_add(out, "\n");
    ko_table_print(&table, 0, out);
}

static void print_problems(const struct ko_checkpoint_report *report, bool color,
                           struct ko_text *out)
{
    ko_text_add(out, "\n");
    if (report->problems.n == 0) {
        ko_text_add(out, "%snothing stops it from running%s\n", color ? "\x1b[32m" : "",
                    color ? "\x1b[0m" : "");
        return;
    }
    ko_text_add(out, "%swould stop it from running:%s\n", color ? "\x1b[31m" : "",
                color ? "\x1b[0m" : "");
    for (size_t k = 0; k < report->problems.n; k++) {
        ko_text_add(out, "  %s\n", report->problems.item[k]);
    }
}

static void print_notes(const struct ko_checkpoint_report *report, struct ko_text *out)
{
    for (size_t k = 0; k < report->notes.n; k++) {
        ko_label_line(out, "note", "%s", report->notes.item[k]);
    }
}

static enum ko_code print_text(const struct ko_checkpoint_report *report, struct ko_cli *cli,
                               const struct asked *asked, struct ko_error *err)
{
    const bool color = ko_color_wanted(ko_option_string(cli->options, KO_OPT_COLOR), cli->out);
    struct ko_text text = {0};
    ko_text_add(&text, "%s\n\n", report->folder);
    print_model(report, &text);
    print_weights(report, &text);
    print_tokenizer(report, &text);
    print_notes(report, &text);
    if (asked->text && report->tokenizer) {
        print_tokens(report, asked->text, &asked->encoding, &text);
    }
    if (asked->answer && report->tokenizer) {
        ko_answer_report_print(report->tokenizer, &asked->found, &text);
    }
    print_problems(report, color, &text);
    const enum ko_code code = ko_text_check(&text, err);
    if (code == KO_OK) {
        fputs(ko_text_str(&text), cli->out);
    }
    ko_text_free(&text);
    return code;
}

static void put_model(json_object *root, const struct ko_checkpoint_report *report)
{
    struct size sizes[MAX_SIZES];
    if (!report->model) {
        return;
    }
    ko_json_put_text(root, "family", report->model->family->name);
    json_object *shape = ko_json_put_object(root, "shape");
    const size_t n = list_sizes(report->model, sizes);
    for (size_t k = 0; k < n; k++) {
        ko_json_put_int(shape, sizes[k].name, sizes[k].value);
    }
    ko_json_put_texts(root, "details", &report->details);
    ko_json_put_number(root, "memory_bytes",
                       (double)ko_model_floats(report->model) * sizeof(float));
    ko_json_put_number(root, "bf16x3_memory_bytes", split_bytes(report->model));
    ko_json_put_number(root, "exact_bfloat16_share", ko_model_exact_share(report->model));
    ko_json_put_int(root, "bos_id", report->model->shape.bos_id);
}

static void put_weights(json_object *root, const struct ko_checkpoint_report *report)
{
    size_t n = 0;
    if (!report->checkpoint) {
        return;
    }
    (void)ko_checkpoint_tensors(report->checkpoint, &n);
    ko_json_put_int(root, "tensors", (int64_t)n);
    json_object *dtypes = ko_json_put_object(root, "dtypes");
    for (int d = 0; d < KO_N_DTYPES; d++) {
        if (report->n_tensors[d] > 0) {
            ko_json_put_int(dtypes, ko_dtype_name((enum ko_dtype)d), (int64_t)report->n_tensors[d]);
        }
    }
    ko_json_put_number(root, "tensor_bytes", report->tensor_bytes);
    const char *prefix = ko_checkpoint_stripped(report->checkpoint, &n);
    json_object_object_add(root, "names_prefix", json_object_new_string_len(prefix, (int)n));
    ko_json_put_text(root, "fingerprint", ko_checkpoint_fingerprint(report->checkpoint));
}

static void put_tokenizer(json_object *root, const struct ko_checkpoint_report *report)
{
    if (!report->tokenizer) {
        return;
    }
    json_object *tokenizer = ko_json_put_object(root, "tokenizer");
    ko_json_put_text(tokenizer, "file", report->tokenizer_file);
    ko_json_put_text(tokenizer, "kind", ko_tokenizer_kind(report->tokenizer));
    ko_json_put_int(tokenizer, "ids", ko_tokenizer_n_ids(report->tokenizer));
    ko_json_put_text(tokenizer, "fingerprint", ko_tokenizer_fingerprint(report->tokenizer));
    ko_json_put_int(tokenizer, "added_in_front", report->n_added_in_front);
    ko_json_put_int(tokenizer, "added_id", report->added_id);
}

static void put_tokens(json_object *root, const struct ko_checkpoint_report *report,
                       const struct ko_encoding *encoding)
{
    json_object *list = ko_json_put_list(root, "tokens");
    for (size_t k = 0; k < encoding->n; k++) {
        json_object *token = ko_json_add_object(list);
        ko_json_put_int(token, "id", encoding->id[k]);
        ko_json_put_text(token, "piece", piece_of(report, encoding->id[k]));
        ko_json_put_int(token, "begin", encoding->char_begin[k]);
        ko_json_put_int(token, "end", encoding->char_end[k]);
        ko_json_put_bool(token, "special", encoding->special[k]);
    }
}

static enum ko_code print_json(const struct ko_checkpoint_report *report, FILE *out,
                               const struct asked *asked, struct ko_error *err)
{
    json_object *root = json_object_new_object();
    if (!root) {
        return ko_fail(err, KO_E_MEMORY, "JSON: out of memory");
    }
    ko_json_put_text(root, "folder", report->folder);
    put_model(root, report);
    put_weights(root, report);
    put_tokenizer(root, report);
    if (asked->text && report->tokenizer) {
        put_tokens(root, report, &asked->encoding);
    }
    if (asked->answer && report->tokenizer) {
        ko_answer_report_json(report->tokenizer, &asked->found, root);
    }
    ko_json_put_texts(root, "notes", &report->notes);
    ko_json_put_texts(root, "problems", &report->problems);
    const enum ko_code code = ko_json_print(root, out, err);
    json_object_put(root);
    return code;
}

/* Turns the problems into one line of error, which follows the report. */
static enum ko_code report_problems(const struct ko_checkpoint_report *report, struct ko_error *err)
{
    if (report->problems.n == 0) {
        return KO_OK;
    }
    if (report->problems.n == 1) {
        return ko_fail(err, KO_E_INPUT, "%s", report->problems.item[0]);
    }
    return ko_fail(err, KO_E_INPUT, "%s: %zu problems stop it from running, the first is: %s",
                   report->folder, report->problems.n, report->problems.item[0]);
}

static enum ko_code tokenise_text(struct ko_tokenizer *tokenizer, struct asked *asked,
                                  struct ko_error *err)
{
    enum ko_code code =
        ko_tokenizer_encode(tokenizer, asked->text, strlen(asked->text), &asked->encoding, err);
    if (code == KO_E_INPUT) {
        return ko_fail_in(err, "--tokens");
    }
    if (code == KO_OK && asked->answer) {
        code = ko_answer_report_make(tokenizer, asked->text, asked->answer, &asked->found, err);
        if (code == KO_E_INPUT) {
            return ko_fail_in(err, "--answer");
        }
    }
    return code;
}

enum ko_code ko_command_inspect(struct ko_cli *cli, int *status, struct ko_error *err)
{
    const struct ko_options *options = cli->options;
    struct asked asked = {.text = ko_option_string(options, KO_OPT_TOKENS),
                          .answer = ko_option_string(options, KO_OPT_ANSWER)};
    struct ko_checkpoint_report report = {0};
    (void)status;
    if (asked.answer && !asked.text) {
        return ko_fail(err, KO_E_INPUT,
                       "--answer: needs the text before it, give --tokens TEXT too");
    }
    enum ko_code code = ko_checkpoint_report_make(
        options->arguments.item[0], ko_option_string(options, KO_OPT_TOKENIZER), &report, err);
    if (code == KO_OK && asked.text && report.tokenizer) {
        code = tokenise_text(report.tokenizer, &asked, err);
    }
    if (code == KO_OK) {
        code = ko_option_flag(options, KO_OPT_JSON) ? print_json(&report, cli->out, &asked, err)
                                                    : print_text(&report, cli, &asked, err);
    }
    if (code == KO_OK) {
        fflush(cli->out); /* so that the report precedes the line of error */
        code = report_problems(&report, err);
    }
    ko_encoding_free(&asked.encoding);
    ko_answer_free(&asked.found);
    ko_checkpoint_report_free(&report);
    return code;
}
