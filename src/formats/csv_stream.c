/* SPDX-License-Identifier: Apache-2.0 */
/* Appends numbers and quoted text to the buffer, and writes a large buffer to the stream. */
#include "src/formats/csv_stream.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum ko_code ko_csv_flush(struct ko_csv_stream *out, size_t above, struct ko_error *err)
{
    const enum ko_code code = ko_text_check(&out->text, err);
    if (code != KO_OK || out->text.n <= above) {
        return code;
    }
    if (fwrite(out->text.data, 1, out->text.n, out->stream) != out->text.n) {
        return ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", out->where, strerror(errno));
    }
    out->text.n = 0;
    return KO_OK;
}

void ko_csv_whole(struct ko_text *text, const int32_t *values, int64_t at)
{
    if (values && values[at] >= 0) {
        ko_text_add(text, "%d", values[at]);
    }
}

void ko_csv_text(struct ko_text *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        ko_text_add(out, "%s", text);
        return;
    }
    ko_text_add(out, "\"");
    for (const char *c = text; *c; c++) {
        ko_text_add(out, *c == '"' ? "\"\"" : "%c", *c);
    }
    ko_text_add(out, "\"");
}

void ko_csv_number(struct ko_text *out, double value)
{
    if (isfinite(value)) {
        ko_text_add(out, "%.9g", value);
    }
}
