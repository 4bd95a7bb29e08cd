/* SPDX-License-Identifier: Apache-2.0 */
/* Models of the Hugging Face hub in its cache on this machine. The network is never asked. */
#ifndef KO_BASE_HUB_CACHE_H
#define KO_BASE_HUB_CACHE_H

#include "src/base/error.h"

/* The folder of a checkpoint or tokenizer that the user calls `text`, which as a path is `path`: that
   folder; where it is a repository's root in a cache (models--ORG--NAME), its snapshot; and where
   there is no such folder and text is a name of the hub (ORG/NAME or NAME), the snapshot of
   models--ORG--NAME in HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
   XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, the first of them whose variable is
   set. The snapshot is the one that refs/main names, without that file the only one.
   *out: free(). KO_E_INPUT, which names text or path but not where it stands, and what to do.
   Source: huggingface_hub/constants.py and "Understand caching" of its documentation. */
KO_MUST_CHECK enum ko_code ko_hub_find(const char *text, const char *path, char **out,
                                       struct ko_error *err);

#endif
