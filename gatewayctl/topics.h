/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The topics below <root>/v1/ (docs/MQTT.md), written and read. Pure. */

#include "transport.h"

#define TOPIC_SIZE 512

/* "<root>/v1/gw/pi-1/command", ".../group/oslo/command", ".../all/command". -ENOBUFS. */
int topic_command(const char *root, const struct audience *audience, char ret_topic[static TOPIC_SIZE]);
int topic_reply(const char *root, const char *client, char ret_topic[static TOPIC_SIZE]);
int topic_desired(const char *root, const struct audience *audience, const char *campaign, char ret_topic[static TOPIC_SIZE]);
/* A filter for documents of one kind, as transport_interest says. */
int topic_filter(const char *root, enum transport_document_kind kind, const struct transport_interest *interest,
                 char ret_topic[static TOPIC_SIZE]);

/*
 * What a document's topic says: kind, whose, which. Names point into `parts`, which gets a copy of the topic. -ENOENT when it is no
 * document of ours.
 */
int topic_read(const char *root, const char *topic, char parts[static TOPIC_SIZE], struct transport_document *ret_document);
