/**
 * The JSON that the daemon sends to the page. Global, so that the page's JSDoc names these types without an import.
 *
 * Not shipped and not served. `test_api_types.py` compares each interface with the daemon's struct of that name.
 * Times are Unix seconds; null means never, or not known.
 */

type ImageState = "started" | "in_progress" | "completed" | "failed" | "unknown";
type EventState = "pending" | "running" | "succeeded" | "failed";

interface Eta {
  ends_at: number;
  earliest: number;
  latest: number;
  why: string;
}

/** One image in `GET /api/events`. */
interface LiveImage {
  uuid: string;
  name: string;
  tenant: string;
  type: string;
  version: string;
  patch: string;
  uber_bundle: boolean;
  state: ImageState;
  reason: string;
  progress_ratio: number | null;
  tasks: number | null;
  tasks_completed: number | null;
  started_at: number | null;
  ended_at: number | null;
  duration_seconds: number | null;
  changed_at: number;
  first_seen_at: number;
  eta: Eta | null;
  acknowledged: boolean;
  annotations: Record<string, string>;
}

/** How polling one controller goes, in `GET /api/events`. */
interface LiveHealth {
  up: boolean;
  stale: boolean;
  auth_suspended: boolean;
  upgrade_in_progress: boolean;
  reason: string | null;
  cause: string;
  version: string;
  seen_at: number | null;
}

/** One controller: in a state everything, in a change what differs. A member with its default value is left out. */
interface Part {
  controller: string;
  health?: LiveHealth | null;
  images?: LiveImage[];
  gone?: string[];
  removed?: boolean;
}

/** The data of the event `state`. */
interface LiveState {
  now: number;
  version: string;
  parts: Part[];
}

/** The data of the event `change`. */
interface LiveChange {
  now: number;
  part: Part;
}

/** `GET /api/image/{uuid}/nodes`. */
interface NodePage {
  tasks: string[];
  nodes: string[];
  events: NodeEvent[];
}

interface NodeEvent {
  task: string;
  node: string;
  state: EventState;
  status: string;
  message: string;
  started_at: number | null;
  ended_at: number | null;
  duration_seconds: number | null;
}

/** One controller in `GET /api/controllers`. */
interface ControllerStatus {
  name: string;
  up: boolean;
  stale: boolean;
  auth_suspended: boolean;
  upgrade_in_progress: boolean;
  reason: string | null;
  cause: string;
  version: string;
  api_version: string;
  images: number;
  images_active: number;
  last_poll_attempt_timestamp_seconds: number | null;
  last_poll_success_timestamp_seconds: number | null;
  poll_interval_seconds: number;
}

/** One record of `GET /api/audit`; `outcome` is null while the change is in progress. */
interface AuditEntry {
  number: number;
  at: number;
  actor: string;
  source: string;
  request_id: string;
  controller: string;
  image_uuid: string;
  asked: Record<string, unknown>;
  outcome: string | null;
  ended_at: number | null;
  changes: Changes;
  answer: number | null;
  detail: string;
}

/** The value before and after, by field; null means that the field is not set. */
type Changes = Record<string, [unknown, unknown]>;

/** The response to a PATCH with `dry_run`. */
interface DryRun {
  dry_run: boolean;
  image: RawImage;
  changes: Changes;
}

/** `application/problem+json` (RFC 9457). */
interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  path?: string;
  problems?: string[];
  request_id: string;
  error: string;
}

/** `GET /api/image/{uuid}`: the Controller's own object. Any member may be absent, null or of another type. */
interface RawImage {
  [field: string]: unknown;
}
