/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a run is writing a cube, how fast it is and how long it will take. */
#ifndef KO_STATUS_LIVE_H
#define KO_STATUS_LIVE_H

#include <json-c/json.h>
#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

struct ko_live {
    struct ko_cube_live row;
    bool under_way;      /* a run has begun and its last heartbeat is recent */
    double age;          /* seconds since the last heartbeat */
    double seconds;      /* seconds from the run's start to its last heartbeat */
    double per_second;   /* cells per second; NaN before the first cells */
    double seconds_left; /* from now; NaN where it is not known yet */
};

/* A run without a heartbeat for this long was killed, or its host was. */
enum { KO_LIVE_SECONDS = 120 };

/* now: seconds since 1970. */
KO_MUST_CHECK enum ko_code ko_live_read(struct ko_cube_view *view, double now, struct ko_live *out,
                                        struct ko_error *err);
/* One line. */
void ko_live_print(const struct ko_live *live, struct ko_text *out);
/* Adds the member "run" to the object. */
void ko_live_json(const struct ko_live *live, json_object *object);

#endif
