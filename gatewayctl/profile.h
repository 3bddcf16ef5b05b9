/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Profiles: what somebody would otherwise write behind every command (which broker, which certificate, which gateways), under a name.
 * A file in the format of gatewayd.conf (config/ini.h), one section a profile:
 *
 *     [profile oslo]
 *     broker = mqtts://broker.acme.example
 *     ca_file = ~/acme/ca.pem
 *     group = oslo
 *
 * A key is the long option of the same name with '_' for '-'. Files are taken from the folder of the profile file, ~/ is the home.
 */

#include <stdbool.h>

#include "config/ini.h"
#include "failure.h"

struct profile;

/* $GATEWAYCTL_PROFILES, else $XDG_CONFIG_HOME/gatewayctl/profiles.conf, else ~/.config/gatewayctl/profiles.conf. */
void profiles_path(char *dst, size_t size);

/* All sections, checked; the caller frees. *ret_ini is NULL where there is no such file. Err: profile-invalid, file-unreadable. */
int profiles_read(struct ini **ret_ini, struct failure *failure);

/* Err: profile-unknown, profile-invalid. */
int profile_new(const char *name, struct profile **ret_profile, struct failure *failure);
void profile_free(struct profile *profile);
DEFINE_CLEANUP(struct profile *, profile_free);
#define _cleanup_profile_ _cleanup_(profile_freep)

/* The value for a long option ("ca-file"); NULL: the profile says nothing, or profile is NULL. Paths are absolute. */
const char *profile_value(const struct profile *profile, const char *option);
