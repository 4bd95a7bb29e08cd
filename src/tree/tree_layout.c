/* SPDX-License-Identifier: Apache-2.0 */
/* Finds for each set of mixers and each span of edges in which stages of a window an intervention
   acts, and which windows contain the same of these stages. The same for each set of components. */
#include "src/tree/tree_layout.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

/* The number of sets of mixers. */
enum { N_SETS = KO_MIXER_EVERY + 1 };

static int compare_ints(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Lists the finite reaches of the stages. */
static enum ko_code list_reaches(struct ko_tree_model *m, struct ko_error *err)
{
    const struct ko_plan_model *model = &m->plan->model[m->model];
    int32_t n = 0;
    m->reach = ko_new((size_t)m->n_stages, sizeof *m->reach, err);
    if (!m->reach) {
        return KO_E_MEMORY;
    }
    for (int32_t s = 0; s < m->n_stages; s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        if (stage.reach != INT32_MAX) {
            m->reach[n++] = stage.reach;
        }
    }
    qsort(m->reach, (size_t)n, sizeof *m->reach, compare_ints);
    for (int32_t i = 0; i < n; i++) {
        if (m->n_reaches == 0 || m->reach[i] != m->reach[m->n_reaches - 1]) {
            m->reach[m->n_reaches++] = m->reach[i];
        }
    }
    return KO_OK;
}

/* Whether an edge of the span exists in one of the mixers in this stage. Every edge exists in an
   SSM. */
static bool acts_in(const struct ko_tree_model *m, uint8_t mixers, int32_t span, int32_t stage)
{
    const struct ko_plan_stage at = ko_plan_stage_of(&m->plan->model[m->model], stage);
    const uint8_t both = mixers & at.mixers;
    return (both & KO_MIXER_SSM) || (both && span < at.reach);
}

/* ----------------------------------------------------------------------------------------------
   layouts of windows of other styles than `whole` */

/* Such windows may be cut at both ends, reach to an end of the model, or leave layers out between
   their first and their last. Two of them with the same start need not have the same stages up to the
   end of the shorter, so each is a branch of its own, except for those that do the same. */

/* What is marked for each window: the places (stages or sublayers) of a model. */
struct places {
    const struct ko_plan_model *model;
    const uint8_t *acts; /* [n] */
    int32_t n;
    bool stages; /* else sublayers */
};

static int32_t layer_of(const struct places *places, int32_t k)
{
    return places->stages ? ko_plan_stage_of(places->model, k).layer
                          : places->model->sublayer[k].layer;
}

/* Marks the window's places where the intervention acts. Returns the first, and the one after the
   last; empty: there is none. */
static struct ko_tree_range mark_places(const struct places *places, int32_t size, int32_t start,
                                        uint8_t *within)
{
    const struct ko_layer_range layers = ko_plan_window(places->model, size, start);
    struct ko_tree_range range = {0, 0};
    for (int32_t k = 0; layers.begin < layers.end && k < places->n; k++) {
        if (places->acts[k] &&
            ko_plan_window_has(places->model, size, start, layer_of(places, k))) {
            within[k] = 1;
            range.begin = range.end == 0 ? k : range.begin;
            range.end = k + 1;
        }
    }
    return range;
}

/* The first window with the same places as w, or w itself. */
static int32_t find_twin(const struct ko_tree_range *range, const uint8_t *within, int32_t n,
                         int32_t w)
{
    for (int32_t k = 0; k < w; k++) {
        if (range[k].begin == range[w].begin && range[k].end == range[w].end &&
            memcmp(within + (size_t)k * (size_t)n, within + (size_t)w * (size_t)n, (size_t)n) ==
                0) {
            return k;
        }
    }
    return w;
}

/* Fills `range` [n_windows] with places, and same, within and alone of the layout. */
static enum ko_code mark_windows(const struct ko_tree_model *m, const struct places *places,
                                 struct ko_tree_range *range, struct ko_tree_layout *layout,
                                 struct ko_error *err)
{
    const struct ko_plan *plan = m->plan;
    int32_t w = 0;
    layout->within = ko_new(m->n_windows, (size_t)places->n, err);
    layout->n_within = places->n;
    layout->alone = true;
    if (!layout->within) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < plan->n_starts; i++) {
        for (int32_t k = 0; k < plan->n_sizes; k++, w++) {
            range[w] = mark_places(places, plan->size[k], plan->start[i],
                                   layout->within + (size_t)w * (size_t)places->n);
            layout->same[w] = range[w].end > 0 ? find_twin(range, layout->within, places->n, w) : w;
        }
    }
    return KO_OK;
}

/* Fills range, same, within and alone of a layout whose range and same are allocated. acts [n_stages]:
   1 where the intervention acts if the window has the stage's layer. */
static enum ko_code style_stages(const struct ko_tree_model *model, const uint8_t *acts,
                                 struct ko_tree_layout *layout, struct ko_error *err)
{
    const struct places places = {&model->plan->model[model->model], acts, model->n_stages, true};
    return mark_windows(model, &places, layout->range, layout, err);
}

/* The same for components: acts [n_sublayers]. Also fills sublayers, which is allocated. */
static enum ko_code style_sublayers(const struct ko_tree_model *model, const uint8_t *acts,
                                    struct ko_tree_layout *layout, struct ko_error *err)
{
    const struct ko_plan_model *of = &model->plan->model[model->model];
    const struct places places = {of, acts, of->n_sublayers, false};
    const enum ko_code code = mark_windows(model, &places, layout->sublayers, layout, err);
    for (size_t w = 0; code == KO_OK && w < model->n_windows; w++) {
        const struct ko_tree_range own = layout->sublayers[w];
        layout->range[w] = own.end == 0
                               ? own
                               : (struct ko_tree_range){of->sublayer[own.begin].stage,
                                                        of->sublayer[own.end - 1].stage + 1};
    }
    return code;
}

/* ---------------------------------------------------------------------------------------------- */

static bool is_styled(const struct ko_tree_model *m)
{
    return m->plan->style != KO_STYLE_WHOLE;
}

/* Scratch of one layout. */
struct layout_scratch {
    int32_t *next;   /* [n_stages + 1] the first stage from s on where it acts; n_stages: none */
    int32_t *before; /* [n_stages + 1] the end of the last such stage before s; 0: none */
    int32_t *first_stage; /* [n_layers + 1] the first stage of a layer, or of one after it */
    int32_t *first_of;    /* [n_stages + 1] the first window with the latest begin and this end */
    uint8_t *acts;        /* [n_stages] */
};

static void mark_stages(const struct ko_tree_model *m, uint8_t mixers, int32_t span,
                        struct layout_scratch *s)
{
    const int32_t n = m->n_stages;
    s->next[n] = n;
    s->before[0] = 0;
    for (int32_t k = n - 1; k >= 0; k--) {
        s->next[k] = acts_in(m, mixers, span, k) ? k : s->next[k + 1];
    }
    for (int32_t k = 0; k < n; k++) {
        s->before[k + 1] = s->next[k] == k ? k + 1 : s->before[k];
    }
}

static void place_layers(const struct ko_tree_model *m, struct layout_scratch *s)
{
    const struct ko_plan_model *model = &m->plan->model[m->model];
    int32_t stage = 0;
    for (int32_t l = 0; l <= model->n_layers; l++) {
        while (stage < m->n_stages && ko_plan_stage_of(model, stage).layer < l) {
            stage++;
        }
        s->first_stage[l] = stage;
    }
}

static struct ko_tree_range range_of(const struct ko_tree_model *m, const struct layout_scratch *s,
                                     int32_t size, int32_t start)
{
    static const struct ko_tree_range empty = {0, 0};
    const struct ko_layer_range window = ko_plan_window(&m->plan->model[m->model], size, start);
    if (window.begin == window.end) {
        return empty;
    }
    const struct ko_tree_range range = {s->next[s->first_stage[window.begin]],
                                        s->before[s->first_stage[window.end]]};
    return range.begin < range.end ? range : empty;
}

static enum ko_code make_layout(const struct ko_tree_model *m, struct layout_scratch *s,
                                struct ko_tree_layout *layout, struct ko_error *err)
{
    const struct ko_plan *plan = m->plan;
    layout->range = ko_new(m->n_windows, sizeof *layout->range, err);
    layout->same = ko_new(m->n_windows, sizeof *layout->same, err);
    if (!layout->range || !layout->same) {
        return KO_E_MEMORY;
    }
    if (is_styled(m)) {
        for (int32_t k = 0; k < m->n_stages; k++) {
            s->acts[k] = s->next[k] == k;
        }
        return style_stages(m, s->acts, layout, err);
    }
    int32_t begin = -1, w = 0;
    for (int32_t i = 0; i < plan->n_starts; i++) {
        for (int32_t k = 0; k < plan->n_sizes; k++, w++) {
            const struct ko_tree_range range = range_of(m, s, plan->size[k], plan->start[i]);
            layout->range[w] = range;
            layout->same[w] = w;
            if (range.begin == range.end) {
                continue;
            }
            if (range.begin != begin) { /* later starts never begin earlier */
                begin = range.begin;
                for (int32_t e = 0; e <= m->n_stages; e++) {
                    s->first_of[e] = -1;
                }
            }
            if (s->first_of[range.end] < 0) {
                s->first_of[range.end] = w;
            }
            layout->same[w] = s->first_of[range.end];
        }
    }
    return KO_OK;
}

static size_t layout_index(const struct ko_tree_model *m, uint8_t mixers, int32_t n_shorter)
{
    return (size_t)mixers * ((size_t)m->n_reaches + 1) + (size_t)n_shorter;
}

/* The layouts of one set of mixers, one for each number of reaches that edges exceed. */
static enum ko_code make_layouts_of(struct ko_tree_model *m, uint8_t mixers,
                                    struct layout_scratch *s, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t r = 0; code == KO_OK && r <= m->n_reaches; r++) {
        struct ko_tree_layout *layout = &m->layout[layout_index(m, mixers, r)];
        if (!layout->range) {
            mark_stages(m, mixers, r > 0 ? m->reach[r - 1] : 0, s);
            code = make_layout(m, s, layout, err);
        }
    }
    return code;
}

/* ----------------------------------------------------------------------------------------------
   layouts of components */

/* The sublayers of a model that have one of some components. */
struct acting {
    int32_t *sublayer; /* [n] ascending */
    int32_t n;
};

static bool share_stage(const struct ko_plan_model *model, const struct acting *acting)
{
    for (int32_t k = 1; k < acting->n; k++) {
        const struct ko_plan_sublayer *a = &model->sublayer[acting->sublayer[k - 1]];
        const struct ko_plan_sublayer *b = &model->sublayer[acting->sublayer[k]];
        if (a->stage == b->stage && a->layer != b->layer) {
            return true;
        }
    }
    return false;
}

/* The first and the number after the last acting sublayer of a window, as indices of the list. */
static struct ko_tree_range acting_in(const struct ko_plan_model *model,
                                      const struct acting *acting, int32_t size, int32_t start)
{
    const struct ko_layer_range window = ko_plan_window(model, size, start);
    int32_t begin = 0;
    while (begin < acting->n && model->sublayer[acting->sublayer[begin]].layer < window.begin) {
        begin++;
    }
    int32_t end = begin;
    while (end < acting->n && model->sublayer[acting->sublayer[end]].layer < window.end) {
        end++;
    }
    return (struct ko_tree_range){begin, end};
}

/* The first window before w with the same sublayers, or w itself. Only windows of one start or of the
   starts right before it can be the same. */
static int32_t find_same(const struct ko_tree_layout *layout, int32_t w)
{
    const struct ko_tree_range *own = &layout->sublayers[w];
    int32_t first = w;
    for (int32_t k = w - 1; k >= 0 && layout->sublayers[k].begin >= own->begin; k--) {
        if (layout->sublayers[k].begin == own->begin && layout->sublayers[k].end == own->end) {
            first = k;
        }
    }
    return first;
}

static void place_component(const struct ko_tree_model *m, const struct acting *acting,
                            struct ko_tree_layout *layout)
{
    const struct ko_plan *plan = m->plan;
    const struct ko_plan_model *model = &plan->model[m->model];
    layout->alone = share_stage(model, acting);
    int32_t w = 0;
    for (int32_t i = 0; i < plan->n_starts; i++) {
        for (int32_t k = 0; k < plan->n_sizes; k++, w++) {
            const struct ko_tree_range own =
                acting_in(model, acting, plan->size[k], plan->start[i]);
            layout->same[w] = w;
            if (own.begin == own.end) {
                layout->range[w] = (struct ko_tree_range){0, 0};
                layout->sublayers[w] = (struct ko_tree_range){INT32_MAX, INT32_MAX};
                continue;
            }
            const int32_t first = acting->sublayer[own.begin];
            const int32_t last = acting->sublayer[own.end - 1];
            layout->range[w] = (struct ko_tree_range){model->sublayer[first].stage,
                                                      model->sublayer[last].stage + 1};
            layout->sublayers[w] = (struct ko_tree_range){first, last + 1};
            layout->same[w] = find_same(layout, w);
        }
    }
}

static enum ko_code make_component_layout(struct ko_tree_model *m, uint8_t components,
                                          struct ko_error *err)
{
    const struct ko_plan_model *model = &m->plan->model[m->model];
    struct ko_tree_layout *layout = &m->component_layout[components];
    struct acting acting = {ko_new((size_t)model->n_sublayers, sizeof *acting.sublayer, err), 0};
    layout->range = ko_new(m->n_windows, sizeof *layout->range, err);
    layout->same = ko_new(m->n_windows, sizeof *layout->same, err);
    layout->sublayers = ko_new(m->n_windows, sizeof *layout->sublayers, err);
    uint8_t *acts = ko_new((size_t)model->n_sublayers, 1, err);
    const bool all = acting.sublayer && layout->range && layout->same && layout->sublayers && acts;
    enum ko_code code = all ? KO_OK : KO_E_MEMORY;
    for (int32_t i = 0; all && i < model->n_sublayers; i++) {
        if (model->sublayer[i].components & components) {
            acting.sublayer[acting.n++] = i;
            acts[i] = 1;
        }
    }
    if (all && is_styled(m)) {
        code = style_sublayers(m, acts, layout, err);
    } else if (all) {
        place_component(m, &acting, layout);
    }
    free(acts);
    free(acting.sublayer);
    return code;
}

uint8_t ko_tree_components_of(const struct ko_tree_model *m, const struct ko_route *route)
{
    return route->components & m->plan->model[m->model].components;
}

static enum ko_code make_component_layouts(struct ko_tree_model *m, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    m->component_layout = ko_new(KO_N_COMPONENT_SETS, sizeof *m->component_layout, err);
    if (!m->component_layout) {
        return KO_E_MEMORY;
    }
    for (int32_t r = 0; code == KO_OK && r < m->plan->n_routes; r++) {
        const uint8_t components = ko_tree_components_of(m, &m->plan->route[r].route);
        if (components && !m->component_layout[components].range) {
            code = make_component_layout(m, components, err);
        }
    }
    return code;
}

/* ---------------------------------------------------------------------------------------------- */

enum ko_code ko_tree_layouts_make(struct ko_tree_model *m, struct ko_error *err)
{
    const struct ko_plan *plan = m->plan;
    const size_t n = (size_t)m->n_stages + 1;
    const size_t n_layers = (size_t)plan->model[m->model].n_layers;
    enum ko_code code = list_reaches(m, err);
    if (code != KO_OK) {
        return code;
    }
    m->layout = ko_new(N_SETS * ((size_t)m->n_reaches + 1), sizeof *m->layout, err);
    int32_t *memory = ko_new(3 * n + n_layers + 1, sizeof *memory, err);
    struct layout_scratch scratch = {memory, memory ? memory + n : NULL,
                                     memory ? memory + 3 * n : NULL, memory ? memory + 2 * n : NULL,
                                     ko_new(n, 1, err)};
    code = m->layout && memory && scratch.acts ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        place_layers(m, &scratch);
    }
    for (int32_t c = 0; code == KO_OK && c < plan->n_classes; c++) {
        if (m->exists[c]) {
            code = make_layouts_of(m, ko_feature_class_mixers(&plan->class[c]), &scratch, err);
        }
    }
    if (code == KO_OK) {
        code = make_component_layouts(m, err);
    }
    free(scratch.acts);
    free(memory);
    return code;
}

void ko_tree_layouts_free(struct ko_tree_model *m)
{
    for (size_t i = 0; m->layout && i < N_SETS * ((size_t)m->n_reaches + 1); i++) {
        free(m->layout[i].range);
        free(m->layout[i].same);
        free(m->layout[i].within);
    }
    for (size_t i = 0; m->component_layout && i < KO_N_COMPONENT_SETS; i++) {
        free(m->component_layout[i].range);
        free(m->component_layout[i].same);
        free(m->component_layout[i].sublayers);
        free(m->component_layout[i].within);
    }
    free(m->component_layout);
    free(m->layout);
    free(m->reach);
}

const struct ko_tree_layout *ko_tree_layout_of(const struct ko_tree_model *m, uint8_t mixers,
                                               int32_t min_span)
{
    int32_t n_shorter = 0;
    while (n_shorter < m->n_reaches && m->reach[n_shorter] <= min_span) {
        n_shorter++;
    }
    return &m->layout[layout_index(m, mixers, n_shorter)];
}

const struct ko_tree_layout *ko_tree_component_layout_of(const struct ko_tree_model *m,
                                                         uint8_t components)
{
    return &m->component_layout[components];
}
