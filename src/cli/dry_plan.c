#include "src/cli/dry_plan.h"

#include "src/cli/evaluation.h"
#include "src/plan/batch.h"

static enum ko_code check(const struct ko_inputs *inputs, enum ko_plan_kind kind, const char *path,
                          const struct ko_evaluation *evaluation, struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = ko_inputs_plan(inputs, kind, evaluation ? evaluation->target_rank : NULL,
                                       evaluation ? &evaluation->model : NULL, NULL, &plan, err);
    if (code == KO_OK && evaluation)
        code = ko_evaluation_check(path, evaluation, plan, err);
    if (code == KO_OK)
        code = ko_batches_compose(plan, &batches, err);
    ko_batches_free(&batches);
    ko_plan_free(plan);
    return code;
}

enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                               const char *evaluation_path, struct ko_error *err)
{
    struct ko_evaluation evaluation = {0};
    enum ko_code code = KO_OK;
    if (kind == KO_PLAN_EVALUATION)
        return check(inputs, kind, NULL, NULL, err);
    if (inputs->selected)
        return check(inputs, kind, NULL, NULL, err);
    if (!evaluation_path) {
        code = check(inputs, KO_PLAN_EVALUATION, NULL, NULL, err);
        return code == KO_OK ? check(inputs, KO_PLAN_SWEEP, NULL, NULL, err) : code;
    }
    code = ko_evaluation_read(evaluation_path, inputs, &evaluation, err);
    if (code == KO_OK)
        code = check(inputs, KO_PLAN_SWEEP, evaluation_path, &evaluation, err);
    ko_evaluation_free(&evaluation);
    return code;
}
