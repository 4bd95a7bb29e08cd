/* SPDX-License-Identifier: Apache-2.0 */
/* Finds this process's control group through /proc and reads its limits, for both versions of
   control groups. */
#define _GNU_SOURCE
#include "src/base/machine/cgroup.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLDER_BYTES = 3 * PATH_MAX }; /* root, mount and group together */

/* Where a hierarchy of groups is mounted, and the group at the top of the mount. A container may
   see only its own group. */
struct mount {
    char point[PATH_MAX]; /* "/sys/fs/cgroup" */
    char top[PATH_MAX];   /* "/" or "/docker/4f..." */
};

/* Whether `word` is in a comma-separated list. */
static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n) {
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Undoes the escapes of /proc/self/mountinfo, such as \040 for a space. */
static void unescape_octal(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Reads a line "36 35 98:0 TOP POINT options - TYPE source OPTIONS". True if it is the mount of
   this version; for version 1, with the controller. */
static bool read_mount(const char *line, int version, const char *controller, struct mount *out)
{
    char type[64], options[1024];
    const char *separator = strstr(line, " - ");
    if (!separator || sscanf(separator, " - %63s %*s %1023s", type, options) != 2 ||
        sscanf(line, "%*s %*s %*s %4095s %4095s", out->top, out->point) != 2) {
        return false;
    }
    unescape_octal(out->top);
    unescape_octal(out->point);
    return version == 2 ? strcmp(type, "cgroup2") == 0
                        : strcmp(type, "cgroup") == 0 && has_word(options, controller);
}

static bool find_mount(const char *root, int version, const char *controller, struct mount *out)
{
    char path[PATH_MAX], *line = NULL;
    size_t capacity = 0;
    bool found = false;
    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(path, "re");
    while (file && !found && getline(&line, &capacity, file) > 0) {
        found = read_mount(line, version, controller, out);
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return found;
}

/* This process's group, from the line "0::/PATH" (version 2) or "4:cpu,cpuacct:/PATH" (version
   1). */
static bool find_group(const char *root, int version, const char *controller, char group[PATH_MAX])
{
    char path[PATH_MAX], *line = NULL;
    size_t capacity = 0;
    bool found = false;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && !found && getline(&line, &capacity, file) > 0) {
        char *controllers = strchr(line, ':');
        char *name = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!name) {
            continue;
        }
        *controllers++ = *name++ = '\0';
        name[strcspn(name, "\n")] = '\0';
        found = version == 2 ? strcmp(line, "0") == 0 && controllers[0] == '\0'
                             : has_word(controllers, controller);
        if (found) {
            snprintf(group, PATH_MAX, "%s", name);
        }
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return found;
}

/* Reads up to two numbers from a file of the folder. Returns how many were read. */
static int read_numbers(const char *folder, const char *name, double number[2])
{
    char path[FOLDER_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    const int n = file ? fscanf(file, "%lf %lf", &number[0], &number[1]) : 0;
    if (file) {
        fclose(file);
    }
    return n;
}

/* The processors' worth of time that this folder's group allows. INFINITY: no limit. */
static double quota_of(const char *folder, int version)
{
    double quota[2] = {0}, period[2] = {0};
    if (version == 1) { /* a quota of -1: no limit */
        const bool read = read_numbers(folder, "cpu.cfs_quota_us", quota) >= 1 &&
                          read_numbers(folder, "cpu.cfs_period_us", period) >= 1;
        return read && quota[0] > 0 && period[0] > 0 ? quota[0] / period[0] : INFINITY;
    }
    /* "QUOTA PERIOD", or "max PERIOD": no limit */
    const bool read = read_numbers(folder, "cpu.max", quota) == 2;
    return read && quota[0] > 0 && quota[1] > 0 ? quota[0] / quota[1] : INFINITY;
}

/* The group's path below the mount. For a group outside the mount: "", the mount's top group. */
static const char *path_below_top(const char *group, const char *top)
{
    const size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);
    const bool inside = strncmp(group, top, n) == 0 && (group[n] == '/' || group[n] == '\0');
    return inside && !strstr(group, "/..") ? group + n : "";
}

/* Bytes. A value near 2^63 of version 1, or "max" of version 2, means that there is no limit. */
static double limit_of(const char *folder, int version)
{
    double bytes[2] = {0};
    const char *name = version == 1 ? "memory.limit_in_bytes" : "memory.max";
    return read_numbers(folder, name, bytes) >= 1 && bytes[0] > 0 && bytes[0] < 0x1p62 ? bytes[0]
                                                                                       : INFINITY;
}

/* What a folder's group adds to what its children have given. */
typedef void visit_group(const char *folder, int version, void *found);

static void visit_quota(const char *folder, int version, void *found)
{
    struct ko_cgroup_quota *least = found;
    struct stat status;
    const double cpus = quota_of(folder, version);
    if (cpus < least->cpus && stat(folder, &status) == 0) {
        *least = (struct ko_cgroup_quota){cpus, (uint64_t)status.st_ino};
    }
}

static void visit_limit(const char *folder, int version, void *found)
{
    double *least = found;
    *least = fmin(*least, limit_of(folder, version));
}

/* Visits this process's group and all its parents. */
static void read_version(const char *root, int version, const char *controller, visit_group *visit,
                         void *found)
{
    struct mount mount;
    char group[PATH_MAX], folder[FOLDER_BYTES];
    if (!find_mount(root, version, controller, &mount) ||
        !find_group(root, version, controller, group)) {
        return;
    }
    const size_t n_top = (size_t)snprintf(folder, sizeof folder, "%s%s", root, mount.point);
    snprintf(folder + n_top, sizeof folder - n_top, "%s", path_below_top(group, mount.top));
    for (bool last = false; !last;) {
        visit(folder, version, found);
        char *const slash = strrchr(folder + n_top, '/');
        last = !slash;
        if (slash) {
            *slash = '\0';
        }
    }
}

void ko_cgroup_quota_read(const char *root, struct ko_cgroup_quota *out)
{
    *out = (struct ko_cgroup_quota){.cpus = INFINITY};
    read_version(root, 2, "cpu", visit_quota, out);
    read_version(root, 1, "cpu", visit_quota, out);
}

double ko_cgroup_memory_read(const char *root)
{
    double least = INFINITY;
    read_version(root, 2, "memory", visit_limit, &least);
    read_version(root, 1, "memory", visit_limit, &least);
    return least;
}
