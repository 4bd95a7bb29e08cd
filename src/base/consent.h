/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a file may still be written: asked right before every write by code that does not know
   who decides. */
#ifndef KO_BASE_CONSENT_H
#define KO_BASE_CONSENT_H

#include "src/base/error.h"

struct ko_consent {
    /* KO_OK: go on. An error is the caller's to return, and nothing has been written. */
    enum ko_code (*ask)(void *context, struct ko_error *err);
    void *context; /* borrowed */
};

/* NULL, or a consent without `ask`: nobody decides, KO_OK. */
KO_MUST_CHECK enum ko_code ko_consent_ask(const struct ko_consent *consent, struct ko_error *err);

#endif
