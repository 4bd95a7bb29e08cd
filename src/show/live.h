/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a run is under way on a cube, how fast it is and how long it will take. */
#ifndef KO_SHOW_LIVE_H
#define KO_SHOW_LIVE_H

#include <json-c/json.h>
#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

struct ko_live {
    struct ko_cube_live row;
    bool under_way;      /* a run has begun and given a sign of life not long ago */
    double age;          /* seconds since that sign of life */
    double seconds;      /* from the run's start to it */
    double per_second;   /* cells; NaN before the first ones */
    double seconds_left; /* from now on; NaN where not known yet */
};

/* A run that gives no sign of life for so long has been killed, or its host has. */
enum { KO_LIVE_SECONDS = 120 };

/* now: seconds since 1970. */
KO_MUST_CHECK enum ko_code ko_live_read(struct ko_cube_view *view, double now, struct ko_live *out,
                                        struct ko_error *err);
/* One line. */
void ko_live_print(const struct ko_live *live, struct ko_text *out);
/* The member "run" of the object. */
void ko_live_json(const struct ko_live *live, json_object *object);

#endif
