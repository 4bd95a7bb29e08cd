/* SPDX-License-Identifier: Apache-2.0 */
/* Models in the local cache of the Hugging Face hub. Never uses the network. */
#ifndef KO_BASE_USER_HUB_CACHE_H
#define KO_BASE_USER_HUB_CACHE_H

#include "src/base/error.h"

/* Finds the folder of a checkpoint or tokenizer. text: as the user wrote it; path: the same as a
   path.
   - If path is a folder: that folder. If it is a repository's root in a cache (models--ORG--NAME):
     its snapshot.
   - Otherwise, if text is ORG/NAME or NAME: the snapshot of models--ORG--NAME in the cache. The
     cache is HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or
     ~/.cache/huggingface/hub: the first whose variable is set.
   The snapshot is the one that refs/main names; without that file, the only snapshot. *out: free()
   it. KO_E_INPUT names text or path and what to do, but not where text came from. Source:
   huggingface_hub/constants.py and "Understand caching" of its documentation. */
KO_MUST_CHECK enum ko_code ko_hub_find(const char *text, const char *path, char **out,
                                       struct ko_error *err);

#endif
