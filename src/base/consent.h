/* SPDX-License-Identifier: Apache-2.0 */
/* A callback that code calls right before each write to learn whether it may still write. */
#ifndef KO_BASE_CONSENT_H
#define KO_BASE_CONSENT_H

#include "src/base/error.h"

struct ko_consent {
    /* KO_OK: write. Otherwise the caller writes nothing and returns the error. */
    enum ko_code (*ask)(void *context, struct ko_error *err);
    void *context; /* borrowed */
};

/* KO_OK if consent or its `ask` is NULL. */
KO_MUST_CHECK enum ko_code ko_consent_ask(const struct ko_consent *consent, struct ko_error *err);

#endif
