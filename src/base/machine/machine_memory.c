/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc/meminfo and the control group's limit. */
#include "src/base/machine/machine_memory.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "src/base/machine/cgroup.h"

double ko_machine_memory(const char *root)
{
    char path[PATH_MAX], line[256];
    double kilobytes = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *file = fopen(path, "re");
    while (file && kilobytes <= 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemTotal: %lf kB", &kilobytes) != 1) {
            kilobytes = 0;
        }
    }
    if (file) {
        fclose(file);
    }
    const double machine = kilobytes > 0 ? 1024 * kilobytes : INFINITY;
    return fmin(machine, ko_cgroup_memory_read(root));
}
