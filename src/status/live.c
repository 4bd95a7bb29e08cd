/* SPDX-License-Identifier: Apache-2.0 */
/* Computes speed, remaining time and age of the last update from the run's row in the cube. Prints
   the result as text or JSON. */
#include "src/status/live.h"

#include <math.h>

#include "src/formats/json_out.h"

enum ko_code ko_live_read(struct ko_cube_view *view, double now, struct ko_live *out,
                          struct ko_error *err)
{
    struct ko_live live = {.per_second = (double)NAN, .seconds_left = (double)NAN};
    const enum ko_code code = ko_cube_view_live(view, &live.row, err);

    if (code != KO_OK) {
        return code;
    }
    if (live.row.begun) {
        const struct ko_cube_live *row = &live.row;
        /* The run's clock may be ahead of this host's. */
        live.age = fmax(0, now - row->updated);
        live.seconds = fmax(0, row->updated - row->started);
        live.under_way = live.age < KO_LIVE_SECONDS;
        if (live.seconds > 0 && row->cells > 0) {
            live.per_second = row->cells / live.seconds;
        }
        if (live.seconds > 0 && row->work_share > 0 && row->work_share <= 1) {
            live.seconds_left =
                fmax(0, live.seconds * (1 - row->work_share) / row->work_share - live.age);
        }
    }
    *out = live;
    return KO_OK;
}

static const char *duration_text(double seconds, char buffer[32])
{
    return seconds < 1 ? "<1 s" : ko_seconds_human(seconds, buffer);
}

void ko_live_print(const struct ko_live *live, struct ko_text *out)
{
    const struct ko_cube_live *row = &live->row;
    char buffer[32], number[32];
    const char *age = duration_text(live->age, buffer);

    if (!row->begun) {
        ko_text_add(out, "no run is under way\n");
        return;
    }
    if (!live->under_way) {
        ko_text_add(out, "no run is under way: the last one, on %s, has sent no heartbeat for %s\n",
                    row->host, age);
        return;
    }
    ko_text_add(out, "under way on %s", row->host);
    if (row->job[0] != '\0') {
        ko_text_add(out, ", job %s", row->job);
    }
    ko_text_add(out, ": %s cells in ", ko_grouped((int64_t)fmin(row->cells, 1e18), number));
    ko_text_add(out, "%s, ", duration_text(live->seconds, number));
    if (isfinite(live->per_second)) {
        ko_text_add(out, "%s cells/s, ", ko_grouped((int64_t)fmin(live->per_second, 1e18), number));
    }
    ko_text_add(out, "%s left, as of %s ago\n",
                isfinite(live->seconds_left) ? duration_text(live->seconds_left, number) : "?",
                age);
}

void ko_live_json(const struct ko_live *live, json_object *object)
{
    json_object *run = ko_json_put_object(object, "run");

    ko_json_put_bool(run, "under_way", live->under_way);
    if (!live->row.begun) {
        return;
    }
    ko_json_put_text(run, "host", live->row.host);
    ko_json_put_text(run, "job", live->row.job);
    ko_json_put_number(run, "started", live->row.started);
    ko_json_put_number(run, "updated", live->row.updated);
    ko_json_put_number(run, "seconds_since_update", live->age);
    ko_json_put_number(run, "cells", live->row.cells);
    ko_json_put_number(run, "cells_per_second", live->per_second);
    ko_json_put_number(run, "work_share", live->row.work_share);
    ko_json_put_number(run, "seconds_left", live->seconds_left);
}
