/* SPDX-License-Identifier: Apache-2.0 */
/* The commands. Each has its own file. */
#ifndef KO_CLI_CLI_H
#define KO_CLI_CLI_H

#include "src/base/error.h"
#include "src/options/invocation.h"
#include "src/run/settings.h"

/* Each command returns its code and fills err. It sets *status if the exit status does not follow
   from the code (3 and 4 are not errors). main prints the error. */
typedef enum ko_code ko_command(struct ko_cli *cli, int *status, struct ko_error *err);

ko_command ko_command_plan;
ko_command ko_command_run;
ko_command ko_command_evaluate;
ko_command ko_command_merge;
ko_command ko_command_status;
ko_command ko_command_show;
ko_command ko_command_verify;
ko_command ko_command_export;
ko_command ko_command_inspect;
ko_command ko_command_bench;

#endif
