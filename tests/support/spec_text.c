/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/spec_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/support/folder.h"

static char *folder;

int spec_text_begin(void **state)
{
    (void)state;
    folder = test_folder_make();
    return mkdir(spec_text_path("sub"), 0700) || mkdir(spec_text_path("new-model"), 0700);
}

int spec_text_end(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

const char *spec_text_path(const char *name)
{
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    if (snprintf(path[next], sizeof path[next], "%s/%s", folder, name) >= (int)sizeof path[next]) {
        abort();
    }
    return path[next];
}

void spec_text_write(const char *name, const char *text)
{
    test_folder_write_text(folder, name, text);
}

enum ko_code spec_text_read(const char *text, struct ko_options *options, struct ko_spec **spec,
                            struct ko_error *err)
{
    spec_text_write("spec.yaml", text);
    return ko_spec_read(spec_text_path("spec.yaml"), options, spec, err);
}
