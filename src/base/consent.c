/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the callback. Without one, every write is allowed. */
#include "src/base/consent.h"

#include <stddef.h>

enum ko_code ko_consent_ask(const struct ko_consent *consent, struct ko_error *err)
{
    return consent && consent->ask ? consent->ask(consent->context, err) : KO_OK;
}
