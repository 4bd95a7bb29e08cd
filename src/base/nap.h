/* SPDX-License-Identifier: Apache-2.0 */
/* Sleep between two polls. Ranks share cores, so a waiting rank must not spin. */
#ifndef KO_BASE_NAP_H
#define KO_BASE_NAP_H

void ko_nap(double seconds);

#endif
