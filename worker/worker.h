/* worker — the state of every build, the queue, and the pipeline that a worker runs.
 *
 * state.h's functions are transactions: each leaves the database as it was or as it says.  They
 * may be called from any thread, and from several processes on one file.
 *
 * The life of a build:
 *
 *   UPLOADING ──accept──► QUEUED ──claim──► RUNNING ──finish──► SUCCEEDED | FAILED
 *       │                   ▲                  │
 *       │ expires: FAILED   └──give back, lease lost, retry (REMOTE, SYSTEM; attempts_max)
 *       └──────── CANCELLED: superseded by a newer one of the same name, or its resource deleted
 *
 * What clients see (UPLOADING, BUILDING, DEPLOYED or BUILT, FAILED) is derived from these
 * facts at the moment of asking, by build_status: see status.c.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "worker/arrivals.h"
#include "worker/audit.h"
#include "worker/counts.h"
#include "worker/credentials.h"
#include "worker/facts.h"
#include "worker/gc.h"
#include "worker/log_json.h"
#include "worker/pipeline.h"
#include "worker/places.h"
#include "worker/planner.h"
#include "worker/state.h"
#include "worker/state_copy.h"
#include "worker/state_rotate.h"
#include "worker/state_shares.h"
#include "worker/status.h"
#include "worker/webhooks.h"

#endif
