/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a person (`gatewayctl package inspect`) or a program (`--json`) is told about a file that was read.
 */

#include <gatewayd/plugin.h>

#include "base/json.h"
#include "base/str.h"

/* Lines of "name  value", the parts, the warnings. The error sticks in the builder. */
int package_inspect_text(const struct gw_package *package, struct strbuf *out);

/* {"format","version","compatible":[],"parts":[{"image","slot","version","size","hash","sha256","encrypted","load_address","file"}],
 *  "dependencies":[{"of_image","image","minimum"}],"facts":{},"warnings":[]}. The caller frees. -ENOMEM. */
int package_inspect_json(const struct gw_package *package, struct json **ret_json);
