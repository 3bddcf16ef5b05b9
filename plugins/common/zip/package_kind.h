/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a zip archive is made for. Many firmware tools pack into a zip with a manifest.json, and only one kind of them is for
 * MCUboot: the others are told apart here, before anybody looks into the images. Lenient on purpose: an archive that cannot be
 * understood is PACKAGE_OTHER, and its reader says what is wrong with it.
 */

#include <gatewayd/plugin.h>

enum package_kind {
        PACKAGE_OTHER,       /* no known manifest, or damaged */
        PACKAGE_APPLICATION, /* nRF Connect SDK, images for MCUboot */
        PACKAGE_BOOTLOADER,  /* nRF Connect SDK, MCUboot itself */
        PACKAGE_SUIT,        /* nRF Connect SDK, SUIT envelopes */
        PACKAGE_SECURE_DFU,  /* nRF5 SDK 12 and later, nrfutil pkg */
        PACKAGE_LEGACY_DFU,  /* nRF5 SDK up to 11, nrfutil dfu genpkg */
        PACKAGE_MESH_DFU,    /* nRF5 SDK for Mesh, nrfutil dfu genpkg --mesh */
        PACKAGE_MODEM,       /* firmware of an nRF91 modem */
};

/* Not a zip, or one that cannot be opened: PACKAGE_OTHER. */
enum package_kind package_kind_of(int fd, uint64_t file_size);

/* Says in `err` what such a package is for, since no reader here takes it; -EBADMSG. 0 for PACKAGE_OTHER and PACKAGE_APPLICATION. */
int package_kind_refuse(enum package_kind kind, struct gw_error *err);
