/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: the door to an MQTT broker, when [mqtt] names one. Topics under <root>/v1/:
 *
 *     in    {gw/<gateway> | group/<group> | all}/command            requests, never retained; one caller each
 *           {gw/<gateway> | group/<group> | all}/desired/<campaign> retained campaign JWS: the desired state, accepted like campaign.start
 *     out   client/<name>/reply where a request asks for it, else gw/<gateway>/reply
 *           gw/<gateway>/event                                      in order, each until it is acknowledged
 *           gw/<gateway>/{status, campaign/<id>, device/<id>}       retained documents
 *
 * The broker is not trusted: orders are signed (caller authority CALLER_REMOTE). What it must not be able to do besides is to make this
 * process grow or wait; everything that it sends is counted.
 */

#include "api/call.h"

struct door_mqtt;

/* A door without a usable address or credentials is made all the same and says why, again and again. -ENOENT: [mqtt] names no broker. */
int door_mqtt_new(struct api *api, struct door_mqtt **ret_door);
/* Takes no more requests; reports go on. */
void door_mqtt_stop(struct door_mqtt *door);
/* The broker publishes that this gateway is offline. NULL is fine. */
void door_mqtt_free(struct door_mqtt *door);
/* Groups may be others. */
void door_mqtt_set_settings(struct door_mqtt *door);
/* For gateway.health: {door, state, ...}; *ret_problem is set where a person should look. */
void door_mqtt_describe(const struct door_mqtt *door, struct json *json, struct gw_error *ret_problem);
/* Campaigns may have been deleted: documents of those that are gone are cleared. */
void door_mqtt_upkeep(struct door_mqtt *door);
