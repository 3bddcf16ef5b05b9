/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The registered reader "ncs-zip": dfu_application.zip of the nRF Connect SDK, one or several MCUboot images with a manifest.
 * Stored images are used where they lie in the archive; packed ones are unpacked into files of options->scratch_open, which the
 * package owns until release(). Matches every zip, so that a damaged or foreign one is answered by what is wrong with it.
 */

#include <gatewayd/plugin.h>

extern const struct gw_format ncs_zip_format;
