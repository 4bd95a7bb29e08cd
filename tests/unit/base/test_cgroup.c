/* SPDX-License-Identifier: Apache-2.0 */
/* The quota of control groups, read from folders that look as Linux's do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/machine/cgroup.h"
#include "src/base/machine/machine_memory.h"
#include "tests/support/folder.h"

#define V2      "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1      "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_SET  "34 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
#define FOLDER  "/sys/fs/cgroup"
#define FOLDER1 "/sys/fs/cgroup/cpu,cpuacct"

/* A file and the folders above it, under root. */
static void write_file(const char *root, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *at = strchr(path + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint64_t inode(const char *root, const char *name)
{
    char path[512];
    struct stat status;
    snprintf(path, sizeof path, "%s%s", root, name);
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_ino;
}

static int make_folder(void **state)
{
    *state = test_folder_make();
    return 0;
}

static int remove_folder(void **state)
{
    test_folder_remove(*state);
    return 0;
}

struct file {
    const char *name, *text;
};

static const struct {
    const char *what, *mounts, *group;
    struct file file[5];
    double cpus;
    const char *folder; /* that sets it */
} rows[] = {
    {"version 2",
     V2,
     "0::/a/b\n",
     {{FOLDER "/a/b/cpu.max", "150000 100000\n"}},
     1.5,
     FOLDER "/a/b"},
    {"no limit", V2, "0::/a/b\n", {{FOLDER "/a/b/cpu.max", "max 100000\n"}}, INFINITY, NULL},
    {"a group around it",
     V2,
     "0::/a/b/c\n",
     {{FOLDER "/a/b/c/cpu.max", "800000 100000\n"},
      {FOLDER "/a/b/cpu.max", "max 100000\n"},
      {FOLDER "/a/cpu.max", "200000 100000\n"}},
     2,
     FOLDER "/a"},
    {"the top, as in a container of its own name space",
     V2,
     "0::/\n",
     {{FOLDER "/cpu.max", "50000 100000\n"}},
     0.5,
     FOLDER},
    {"a group outside of the name space",
     V2,
     "0::/../../x\n",
     {{FOLDER "/cpu.max", "300000 100000\n"}},
     3,
     FOLDER},
    {"version 1",
     V1_SET V1,
     "5:cpuset:/s\n4:cpu,cpuacct:/job/step\n",
     {{FOLDER1 "/job/step/cpu.cfs_quota_us", "-1\n"},
      {FOLDER1 "/job/step/cpu.cfs_period_us", "100000\n"},
      {FOLDER1 "/job/cpu.cfs_quota_us", "400000\n"},
      {FOLDER1 "/job/cpu.cfs_period_us", "200000\n"}},
     2,
     FOLDER1 "/job"},
    {"version 1 in Docker, which mounts the container's group alone",
     "33 30 0:29 /docker/4f /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
     "4:cpu:/docker/4f/x\n",
     {{FOLDER "/cpu/x/cpu.cfs_quota_us", "250000\n"},
      {FOLDER "/cpu/x/cpu.cfs_period_us", "100000\n"},
      {FOLDER "/cpu/cpu.cfs_quota_us", "900000\n"},
      {FOLDER "/cpu/cpu.cfs_period_us", "100000\n"}},
     2.5,
     FOLDER "/cpu/x"},
    {"a mount point with a space",
     "29 23 0:26 / /sys/fs/control\\040groups rw - cgroup2 cgroup2 rw\n",
     "0::/a\n",
     {{"/sys/fs/control groups/a/cpu.max", "700000 100000\n"}},
     7,
     "/sys/fs/control groups/a"},
    {"a path that only begins like the mount's group",
     "29 23 0:26 /ab /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
     "0::/abc\n",
     {{FOLDER "/cpu.max", "100000 100000\n"}, {FOLDER "/c/cpu.max", "10000 100000\n"}},
     1,
     FOLDER},
    {"cpuset is another controller",
     V1_SET,
     "5:cpuset:/s\n",
     {{FOLDER "/cpuset/s/cpu.cfs_quota_us", "1000\n"},
      {FOLDER "/cpuset/s/cpu.cfs_period_us", "1000\n"}},
     INFINITY,
     NULL},
    {"nonsense", V2, "0::/a\n", {{FOLDER "/a/cpu.max", "many 100000\n"}}, INFINITY, NULL},
    {"a period of 0", V2, "0::/a\n", {{FOLDER "/a/cpu.max", "100000 0\n"}}, INFINITY, NULL},
};

static void the_smallest_quota_on_the_way_up_counts(void **state)
{
    const char *root = *state;
    char base[400];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_cgroup_quota quota;
        snprintf(base, sizeof base, "%s/%zu", root, i);
        assert_int_equal(mkdir(base, 0700), 0);
        write_file(base, "/proc/self/mountinfo", rows[i].mounts);
        write_file(base, "/proc/self/cgroup", rows[i].group);
        for (const struct file *file = rows[i].file; file->name; file++) {
            write_file(base, file->name, file->text);
        }
        ko_cgroup_quota_read(base, &quota);
        if (!(quota.cpus == rows[i].cpus)) {
            fail_msg("%s: %g processors, not %g", rows[i].what, quota.cpus, rows[i].cpus);
        }
        const uint64_t group = rows[i].folder ? inode(base, rows[i].folder) : 0;
        if (quota.group != group) {
            fail_msg("%s: another group sets it", rows[i].what);
        }
    }
}

static void without_control_groups_there_is_no_limit(void **state)
{
    struct ko_cgroup_quota quota = {1, 1};
    ko_cgroup_quota_read(*state, &quota);
    assert_true(isinf(quota.cpus));
    assert_int_equal(quota.group, 0);
    assert_true(isinf(ko_cgroup_memory_read(*state)));
    assert_true(isinf(ko_machine_memory(*state)));
}

/* The machine's memory, and the smallest limit on the way up, in both versions. */
static void memory_is_the_machines_or_the_groups_limit(void **state)
{
    const char *root = *state;
    write_file(root, "/proc/meminfo", "MemTotal:       8 kB\nMemFree:        1 kB\n");
    assert_true(ko_machine_memory(root) == 8192);
    write_file(root, "/proc/self/mountinfo",
               V2 "35 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    write_file(root, "/proc/self/cgroup", "9:memory:/job\n0::/a/b\n");
    write_file(root, FOLDER "/a/b/memory.max", "max\n");
    assert_true(ko_machine_memory(root) == 8192);
    write_file(root, FOLDER "/a/memory.max", "5000\n");
    write_file(root, FOLDER "/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(ko_machine_memory(root) == 5000);
    write_file(root, FOLDER "/memory/memory.limit_in_bytes", "4096\n");
    assert_true(ko_machine_memory(root) == 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_smallest_quota_on_the_way_up_counts, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(without_control_groups_there_is_no_limit, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(memory_is_the_machines_or_the_groups_limit, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
