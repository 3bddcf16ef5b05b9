/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every limit on what a program controls. Memory, time, files and output are settings of its device (exec_plugin.c). */

#define EXEC_LINE_MAX 16384u     /* bytes of one line of its standard output */
#define EXEC_BLOB_MAX 4000u      /* bytes of the JSON text that it may leave for its later steps */
#define EXEC_ATTRIBUTES_MAX 16u  /* of one "learned" */
#define EXEC_TEXT_MAX 240u       /* a note, a text of an error, an attribute, with its NUL */
#define EXEC_DIAGNOSTIC_MAX 200u /* of a line of its standard error that is kept or logged, with its NUL */
#define EXEC_DELAY_S_MAX 86400   /* a wait */
#define EXEC_TIMEOUT_S_MAX 86400 /* of a step */
#define EXEC_DESCRIBE_TIMEOUT_MS 10000u
#define EXEC_STOP_GRACE_MS 2500    /* from SIGTERM to SIGKILL where the daemon has no time */
#define EXEC_CANCEL_GRACE_MS 10000 /* where it has */
