/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* asprintf */
#include "tests/support/checkpoint_edit.h"

#include <dirent.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/folder.h"

static void need(int true_here, const char *what)
{
    if (true_here) {
        return;
    }
    fprintf(stderr, "cannot edit the checkpoint: %s\n", what);
    abort();
}

static void edit_config(const char *from, const char *folder, const char *members)
{
    char *path = test_folder_path(from, "config.json");
    json_object *config = json_object_from_file(path);
    json_object *patch = json_tokener_parse(members ? members : "{}");
    need(config && patch, members);
    json_object_object_foreach(patch, key, value)
    {
        const char *text = json_object_get_string(value);
        if (text && strcmp(text, "absent") == 0) {
            json_object_object_del(config, key);
        } else {
            json_object_object_add(config, key, json_object_get(value));
        }
    }
    test_folder_write_text(folder, "config.json", json_object_to_json_string(config));
    json_object_put(config);
    json_object_put(patch);
    free(path);
}

/* Copies the files whose names end like this. */
static void copy_ending(const char *from, const char *folder, const char *ending)
{
    DIR *all = opendir(from);
    need(all != NULL, from);
    for (struct dirent *entry = readdir(all); entry; entry = readdir(all)) {
        const size_t n = strlen(entry->d_name), n_ending = strlen(ending);
        if (n >= n_ending && strcmp(entry->d_name + n - n_ending, ending) == 0) {
            size_t n_bytes = 0;
            char *path = test_folder_path(from, entry->d_name), *bytes = test_read(path, &n_bytes);
            test_folder_write(folder, entry->d_name, bytes, n_bytes);
            free(bytes);
            free(path);
        }
    }
    closedir(all);
}

void test_checkpoint_reconfigure(const char *from, const char *folder, const char *config)
{
    static const char *const endings[] = {".bin", ".safetensors", ".safetensors.index.json"};
    edit_config(from, folder, config);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        copy_ending(from, folder, endings[i]);
    }
}

void test_checkpoint_edit(const char *from, const char *folder, const struct test_edit *edit)
{
    uint64_t length = 0;
    size_t n = 0;
    char *path = test_folder_path(from, "model.safetensors"), *bytes = test_read(path, &n);
    memcpy(&length, bytes, sizeof length);
    size_t n_data = n - sizeof length - length;
    char *header = strndup(bytes + sizeof length, length), *changed = NULL;
    char *data = malloc(n_data + edit->n_more);
    need(header && data, "memory");
    const char *at = edit->find ? strstr(header, edit->find) : header;
    need(at != NULL, edit->find);
    need(asprintf(&changed, "%.*s%s%s", (int)(at - header), header,
                  edit->replace ? edit->replace : "",
                  at + (edit->find ? strlen(edit->find) : 0)) > 0,
         "memory");
    memcpy(data, bytes + sizeof length + length, n_data);
    if (edit->n_more) {
        memcpy(data + n_data, edit->more, edit->n_more);
    }
    edit_config(from, folder, edit->config);
    test_folder_write_safetensors(folder, "model.safetensors", changed, data,
                                  n_data + edit->n_more);
    free(changed);
    free(data);
    free(header);
    free(bytes);
    free(path);
}
