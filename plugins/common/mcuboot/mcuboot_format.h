/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The registered reader "mcuboot": a file that is one MCUboot image. Its one part refers to the file itself. */

#include <gatewayd/plugin.h>

extern const struct gw_format mcuboot_format;
