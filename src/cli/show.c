#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cli/cli.h"
#include "src/cli/curves.h"
#include "src/cli/curves_print.h"
#include "src/cli/heat_map.h"
#include "src/cli/table.h"

struct request {
    const char *path;
    struct ko_cube_view *view;
    const struct ko_cube_axes *axes;
    struct ko_curve_filter filter;
    enum ko_curve_metric metric;
    bool csv;
};

/* ----------------------------------------------------------------------------------------------
 * an evaluation: how well each model knows the answers */

struct accuracy {
    struct ko_estimate hit;     /* percent */
    struct ko_estimate logprob; /* nats */
};

static struct accuracy measure(const float *logprob, const int32_t *rank, size_t n, double *values)
{
    size_t n_run = 0, n_hits = 0;
    for (size_t k = 0; k < n; k++)
        if (rank[k] >= 1 && isfinite(logprob[k])) {
            values[n_run++] = (double)logprob[k];
            n_hits += rank[k] == 1;
        }
    return (struct accuracy){ko_estimate_share(n_hits, n_run), ko_estimate_mean(values, n_run)};
}

static void csv_estimate(struct ko_text *out, const char *model, const char *metric,
                         const struct ko_estimate *estimate)
{
    ko_csv_text(out, model);
    ko_text_add(out, ",%s,", metric);
    ko_csv_number(out, estimate->value);
    ko_text_add(out, ",");
    ko_csv_number(out, estimate->low);
    ko_text_add(out, ",");
    ko_csv_number(out, estimate->high);
    ko_text_add(out, ",%zu\n", estimate->n);
}

static void add_estimate(struct ko_table *table, enum ko_curve_metric metric,
                         const struct ko_estimate *estimate)
{
    char value[32], low[32], high[32];
    ko_table_add(table, "%s", ko_curve_number(metric, estimate->value, value));
    ko_table_add(table, "[%s, %s]", ko_curve_number(metric, estimate->low, low),
                 ko_curve_number(metric, estimate->high, high));
}

static void add_evaluation(const struct request *request, const float *logprob, const int32_t *rank,
                           double *values, struct ko_text *out)
{
    const size_t n = request->axes->eval_prompt.n;
    static const char *const header[] = {"model",         "ranked first, %", "95 % interval",
                                         "logprob, nats", "95 % interval",   "n"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x3e};
    if (request->csv)
        ko_text_add(out, "model,metric,value,low,high,n\n");
    for (size_t c = 0; c < table.n_columns; c++)
        ko_table_add(&table, "%s", header[c]);
    for (size_t m = 0; m < request->axes->model.n; m++) {
        const char *model = request->axes->model.item[m];
        if (!request->filter.model[m])
            continue;
        const struct accuracy accuracy = measure(logprob + m * n, rank + m * n, n, values);
        if (request->csv) {
            csv_estimate(out, model, "hit", &accuracy.hit);
            csv_estimate(out, model, "logprob", &accuracy.logprob);
            continue;
        }
        char count[32];
        ko_table_add(&table, "%s", model);
        add_estimate(&table, KO_CURVE_HIT, &accuracy.hit);
        add_estimate(&table, KO_CURVE_LOGPROB, &accuracy.logprob);
        ko_table_add(&table, "%s", ko_grouped((int64_t)accuracy.hit.n, count));
    }
    if (request->csv)
        ko_strings_free(&table.cell);
    else
        ko_table_print(&table, 0, out);
}

static enum ko_code show_evaluation(const struct request *request, struct ko_text *out,
                                    struct ko_error *err)
{
    const size_t n = request->axes->eval_prompt.n;
    size_t n_all = 0;
    enum ko_code code = ko_multiply(request->axes->model.n, n, &n_all, "models x prompts", err);
    if (code != KO_OK)
        return code;
    float *logprob = ko_new(n_all, sizeof *logprob, err);
    int32_t *rank = ko_new(n_all, sizeof *rank, err);
    double *values = ko_new(n, sizeof *values, err);
    code = logprob && rank && values ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK)
        code = ko_cube_view_evaluation(request->view, logprob, rank, NULL, NULL, err);
    if (code == KO_OK)
        add_evaluation(request, logprob, rank, values, out);
    free(logprob);
    free(rank);
    free(values);
    return code;
}

/* ----------------------------------------------------------------------------------------------
 * a sweep */

static enum ko_code show_maps(const struct request *request, struct ko_text *out,
                              struct ko_error *err)
{
    int32_t n_maps = 0;
    const enum ko_code code = request->csv ? ko_heat_maps_csv(request->view, &request->filter,
                                                              request->metric, out, &n_maps, err)
                                           : ko_heat_maps_print(request->view, &request->filter,
                                                                request->metric, out, &n_maps, err);
    if (code == KO_OK && n_maps == 0)
        return ko_fail(err, KO_E_INPUT,
                       "%s: no cell of it passes these filters together, drop one of them",
                       request->path);
    return code;
}

static bool has_heat_routes(const struct request *request)
{
    for (size_t r = 0; r < request->axes->heat_route.n; r++)
        if (request->filter.heat_route[r])
            return true;
    return false;
}

static enum ko_code show_sweep(const struct request *request, struct ko_text *out,
                               struct ko_error *err)
{
    struct ko_cube_block block = {0};
    struct ko_curves curves = {0};
    enum ko_code code = ko_cube_block_of(request->view, false, &block, err);
    if (code == KO_OK)
        code = ko_curves_read(&block, &request->filter, request->metric, &curves, err);
    if (code == KO_OK && curves.n == 0)
        code = show_maps(request, out, err);
    else if (code == KO_OK && request->csv)
        code = ko_curves_csv(&curves, request->axes, request->metric, out, err);
    else if (code == KO_OK) {
        ko_curves_print(&curves, request->axes, request->metric, out);
        if (curves.n_unfinished > 0)
            ko_text_add(out, "\nnot everything is done, see `knockout status`\n");
        if (has_heat_routes(request))
            ko_text_add(out, "\nheat maps: --source each\n");
    }
    ko_curves_free(&curves);
    return code;
}

enum ko_code ko_command_show(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct request request = {.path = cli->options->arguments.item[0],
                              .csv = ko_option_flag(cli->options, KO_OPT_CSV)};
    struct ko_text text = {0};
    (void)status;
    enum ko_code code =
        ko_curve_metric_parse(ko_option_string(cli->options, KO_OPT_METRIC), &request.metric, err);
    if (code == KO_OK)
        code = ko_cube_view_open(request.path, &request.view, err);
    if (code == KO_OK) {
        request.axes = ko_cube_view_axes(request.view);
        code = ko_curve_filter_read(cli->options, request.path, request.axes, &request.filter, err);
    }
    if (code == KO_OK)
        code = ko_cube_view_is_evaluation(request.view) ? show_evaluation(&request, &text, err)
                                                        : show_sweep(&request, &text, err);
    if (code == KO_OK)
        code = ko_text_check(&text, err);
    if (code == KO_OK)
        fputs(ko_text_str(&text), cli->out);
    ko_text_free(&text);
    ko_curve_filter_free(&request.filter);
    ko_cube_view_close(request.view);
    return code;
}
