/**
 * The JSON that the daemon sends to the page. Global, so that the page's JSDoc names these types without an import.
 *
 * Not shipped and not served. `test_api_types.py` compares each interface with the daemon's struct of that name.
 * Times are Unix seconds; null means never, or not known.
 */

type ImageState = "started" | "in_progress" | "completed" | "failed" | "unknown";
type Standing = "failed" | "stalled" | "active" | "unknown" | "acknowledged" | "completed";
type UnitKind = "controller" | "se_group" | "se" | "unknown";
type UpgradeState = "idle" | "queued" | "checking" | "checked" | "check_failed" | "running" | "aborting" | "suspended" | "failed" | "completed" | "unknown";
type UpgradePhase = "none" | "checking" | "controllers" | "away" | "service_engines" | "suspended" | "rolling_back";
type EventState = "pending" | "running" | "succeeded" | "failed";

interface Eta {
  ends_at: number;
  earliest: number;
  latest: number;
  why: string;
}

/** One image in `GET /api/events`. */
interface ImageStatus {
  uuid: string;
  name: string;
  tenant: string;
  type: string;
  version: string;
  patch: string;
  uber_bundle: boolean;
  state: ImageState;
  reason: string;
  standing: Standing;
  standing_rank: number;
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

/** One unit that is upgraded, in `GET /api/events`: a cluster of Controllers, a group of Service Engines, or one. */
interface UnitStatus {
  uuid: string;
  kind: UnitKind;
  name: string;
  cloud: string;
  tenant: string;
  version: string;
  tag: string;
  patch: string;
  previous_version: string;
  target: string;
  operation: string;
  system: boolean;
  state: UpgradeState;
  fsm: string;
  reason: string;
  standing: Standing;
  standing_rank: number;
  progress_ratio: number | null;
  tasks: number | null;
  tasks_completed: number | null;
  engines: EngineCounts | null;
  oldest_engine: OldestEngine | null;
  virtual_services: VirtualServiceCounts | null;
  checks: CheckCounts | null;
  enqueued_at: number | null;
  started_at: number | null;
  ended_at: number | null;
  duration_seconds: number | null;
  changed_at: number;
  first_seen_at: number;
  stalled_after_seconds: number;
  eta: Eta | null;
  image_uuids: Record<string, string>;
  acknowledged: boolean;
  annotations: Record<string, string>;
  operation_key: string;
}

/** How many Service Engines of a group are in each state. */
interface EngineCounts {
  completed: number;
  failed: number;
  in_progress: number;
  not_started: number;
  suspended: number;
  skipped: number;
  expected: number | null;
}

interface OldestEngine {
  uuid: string;
  since: number;
}

interface VirtualServiceCounts {
  all: number | null;
  disrupted: number | null;
}

interface CheckCounts {
  state: UpgradeState;
  checks: number | null;
  completed: number | null;
  warnings: number;
  errors: number;
}

/** What all units of one controller amount to. */
interface UpgradeStatus {
  readable: boolean | null;
  phase: UpgradePhase | null;
  done: boolean | null;
  left_behind: Record<string, number>;
  cluster: string;
  operation: string;
  from_version: string;
  to_version: string;
  eta: Eta | null;
  away_since: number | null;
  held_until: number | null;
}

/** The session with one controller, in `GET /api/events`. */
interface SessionStatus {
  up: boolean;
  auth_suspended: boolean;
  upgrade_in_progress: boolean;
  reason: string | null;
  cause: string;
  version: string;
}

/** The read of one kind of object of one controller. */
interface ReadStatus {
  stale: boolean;
  seen_at: number | null;
}

/** How polling one controller goes: its session, and the read of images. */
type ControllerHealth = SessionStatus & ReadStatus;

/** One kind of object: in a state all objects, in a change those that differ. Of `image` these are `ImageStatus`, of `upgrade` `UnitStatus`. */
interface ResourcePart {
  health?: ReadStatus | null;
  objects?: unknown[];
  gone?: string[];
}

/** One controller: in a state everything, in a change what differs. A member with its default value is left out. */
interface Part {
  controller: string;
  session?: SessionStatus | null;
  resources?: Record<string, ResourcePart>;
  upgrade?: UpgradeStatus | null;
  removed?: boolean;
}

/** The data of the event `state`. */
interface StateMessage {
  now: number;
  version: string;
  stalled_after_seconds: number;
  parts: Part[];
}

/** The data of the event `change`. */
interface ChangeMessage {
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

/** One pre-check that failed or warned. */
interface CheckException {
  code: string;
  result: string;
  description: string;
  details: string[];
}

/** What was done with one Service Engine of a group. */
interface Engine {
  uuid: string;
  name: string;
  state: string;
  since: number | null;
  took_seconds: number | null;
}

/** `GET /api/upgradestatusinfo/{uuid}/tasks`. `engines`, `notes`: of a group. */
interface TaskPage {
  tasks: string[];
  nodes: string[];
  events: NodeEvent[];
  engines?: Engine[];
  notes?: string[];
  checks: CheckException[];
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
  uuid: string;
  image_uuid: string;
  operation_key: string | null;
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
  writer?: string;
  request_id: string;
  error: string;
}

/** `GET /api/image/{uuid}`: the Controller's own object. Any member may be absent, null or of another type. */
interface RawImage {
  [field: string]: unknown;
}
