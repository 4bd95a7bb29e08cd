/* SPDX-License-Identifier: Apache-2.0 */
/* Passes each call to the reader of the file's format. */
#include "src/checkpoint/weight_file.h"

#include "src/checkpoint/mapped/mapping_watch.h"

enum ko_code ko_weight_file_open(enum ko_weight_format format, const char *path, const char *where,
                                 struct ko_weight_file *file, struct ko_error *err)
{
    file->format = format;
    if (format == KO_FORMAT_TORCH) {
        return ko_torch_file_open(path, where, &file->torch, err);
    }
    return ko_safetensors_open(path, where, &file->safetensors, err);
}

void ko_weight_file_close(struct ko_weight_file *file)
{
    if (file->format == KO_FORMAT_TORCH) {
        ko_torch_file_close(&file->torch);
    } else {
        ko_safetensors_close(&file->safetensors);
    }
}

size_t ko_weight_file_tensors(const struct ko_weight_file *file)
{
    return file->format == KO_FORMAT_TORCH ? file->torch.n : file->safetensors.header.n;
}

const struct ko_tensor *ko_weight_file_tensor(const struct ko_weight_file *file, size_t i)
{
    if (file->format == KO_FORMAT_TORCH) {
        return &file->torch.tensors[i];
    }
    return &file->safetensors.header.entries[i].tensor;
}

const void *ko_weight_file_header(const struct ko_weight_file *file, size_t *n)
{
    if (file->format == KO_FORMAT_TORCH) {
        *n = file->torch.header.n;
        return file->torch.header.data;
    }
    *n = file->safetensors.header_bytes;
    return file->safetensors.header_text;
}

static const struct ko_mapping *map_of(const struct ko_weight_file *file)
{
    return file->format == KO_FORMAT_TORCH ? &file->torch.map : &file->safetensors.map;
}

uint64_t ko_weight_file_version(const struct ko_weight_file *file)
{
    return map_of(file)->version;
}

size_t ko_weight_file_bytes(const struct ko_weight_file *file)
{
    return map_of(file)->bytes;
}

bool ko_weight_file_is_whole(const struct ko_weight_file *file)
{
    return ko_watch_is_whole(map_of(file)->data);
}
