/* SPDX-License-Identifier: Apache-2.0 */
/* When a commit round begins: the coordinator follows this rule, and the predicted time assumes it. A
   round is due commit_seconds after the last one began, or when this many bytes of results wait for it
   on one worker. It is also due when so many wait on all workers together and the last round ended
   KO_ROUND_PAUSE times as long ago as it took: a worker gets no batch during a round, so with many
   workers, whose rounds are long and frequent, most of them would wait. */
#ifndef KO_TREE_COMMIT_ROUNDS_H
#define KO_TREE_COMMIT_ROUNDS_H

enum { KO_STAGED_BYTES = 64 << 20, KO_ROUND_PAUSE = 9 };

#endif
