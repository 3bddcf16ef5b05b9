/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside of api/: gateway.health, what a monitor asks every minute: numbers, and what is wrong now. Cheap, no file is opened. */

#include "api/call.h"

/* The result of gateway.health. -ENOMEM, or what the store says. */
int health_describe(const struct api *api, struct json **ret_json);
