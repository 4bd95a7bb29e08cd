/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the owner of a lock as JSON, and reads it back. */
#include "mpi/lock/lock_file.h"

#include <stdio.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"

void ko_lock_write_owner(const struct ko_lock_owner *owner, struct ko_text *out)
{
    json_object *root = json_object_new_object(), *list = json_object_new_array();
    json_object_object_add(root, "start", json_object_new_int64(owner->start));
    json_object_object_add(root, "job", json_object_new_string(owner->job));
    json_object_object_add(root, "restart", json_object_new_int64(owner->restart));
    for (int k = 0; k < owner->n; k++) {
        const struct ko_lock_process *process = &owner->process[k];
        json_object *entry = json_object_new_object();
        json_object_object_add(entry, "host", json_object_new_string(process->host));
        json_object_object_add(entry, "pid", json_object_new_int64(process->pid));
        json_object_object_add(entry, "space", json_object_new_string(process->space));
        json_object_object_add(entry, "begin", json_object_new_int64((int64_t)process->begin));
        json_object_array_add(list, entry);
    }
    json_object_object_add(root, "processes", list);
    ko_text_add(out, "%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
    json_object_put(root);
}

static enum ko_code read_process(json_object *entry, struct ko_lock_process *out,
                                 struct ko_error *err)
{
    const char *host = "", *space = "";
    int64_t begin = 0;
    if (!json_object_is_type(entry, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "lock: a process is not an object");
    }
    enum ko_code code = ko_json_string(entry, "host", &host, "lock", err);
    if (code == KO_OK) {
        code = ko_json_string(entry, "space", &space, "lock", err);
    }
    if (code == KO_OK) {
        code = ko_json_int(entry, "pid", 1, INT64_MAX, &out->pid, "lock", err);
    }
    if (code == KO_OK) {
        code = ko_json_int(entry, "begin", 0, INT64_MAX, &begin, "lock", err);
    }
    if (code == KO_OK && (host[0] == '\0' || out->pid == 0)) {
        code = ko_fail(err, KO_E_INPUT, "lock: a process lacks its host or number");
    }
    snprintf(out->host, sizeof out->host, "%s", host);
    snprintf(out->space, sizeof out->space, "%s", space);
    out->begin = (uint64_t)begin;
    return code;
}

static enum ko_code read_root(json_object *root, struct ko_lock_owner *owner, struct ko_error *err)
{
    const char *job = "";
    json_object *list = ko_json_get(root, "processes");
    const size_t n =
        list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    owner->process = ko_new(n, sizeof *owner->process, err);
    if (!owner->process) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_json_string(root, "job", &job, "lock", err);
    if (code == KO_OK) {
        code = ko_json_int(root, "start", 0, INT64_MAX, &owner->start, "lock", err);
    }
    if (code == KO_OK) {
        code = ko_json_int(root, "restart", 0, INT64_MAX, &owner->restart, "lock", err);
    }
    snprintf(owner->job, sizeof owner->job, "%s", job);
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        code = read_process(json_object_array_get_idx(list, k), &owner->process[owner->n++], err);
    }
    return code;
}

enum ko_code ko_lock_read_owner(const char *text, size_t n, struct ko_lock_owner *out,
                                struct ko_error *err)
{
    struct ko_lock_owner owner = {0};
    json_object *root = NULL;
    enum ko_code code = ko_json_parse(text, n, "lock", &root, err);
    if (code == KO_OK && !json_object_is_type(root, json_type_object)) {
        code = ko_fail(err, KO_E_INPUT, "lock: is not an object");
    }
    if (code == KO_OK) {
        code = read_root(root, &owner, err);
    }
    json_object_put(root);
    if (code != KO_OK) {
        ko_lock_owner_free(&owner);
    }
    *out = owner;
    return code == KO_E_INPUT ? KO_OK : code;
}
