/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: the functions behind the methods. Names, rights and params stand in the table of document/command.h; the table
 * here says who carries each out. A method gets a call whose params are checked and whose caller may do this, and ends it.
 */

#include "api/call.h"

typedef void (*method_fn)(struct call *call);

extern const method_fn methods[COMMAND_METHOD_COUNT_]; /* indexed by id */

void method_campaign_start(struct call *call);
void method_campaign_pause(struct call *call);
void method_campaign_resume(struct call *call);
void method_campaign_continue(struct call *call);
void method_campaign_cancel(struct call *call);
void method_campaign_retry(struct call *call);
void method_campaign_list(struct call *call);
void method_campaign_get(struct call *call);
void method_campaign_report(struct call *call);
void method_campaign_plan(struct call *call);

void method_device_list(struct call *call);
void method_device_get(struct call *call);
void method_device_scan(struct call *call);
void method_device_adopt(struct call *call);
void method_device_set(struct call *call);
void method_device_forget(struct call *call);
void method_device_diagnose(struct call *call);
void method_device_import(struct call *call);
void method_device_pair(struct call *call);
void method_device_unpair(struct call *call);
void method_device_bonds(struct call *call);

void method_artifact_import(struct call *call);
void method_artifact_list(struct call *call);
void method_artifact_remove(struct call *call);

void method_audit_query(struct call *call);
void method_audit_verify(struct call *call);

void method_events_subscribe(struct call *call);

void method_gateway_info(struct call *call);
void method_gateway_health(struct call *call);
void method_gateway_diagnose(struct call *call);
void method_gateway_reload(struct call *call);
