/** The view of one image: its facts, nodes and tasks, timeline, annotations, package, audit log and raw object. */

import { apiUrl, getJson, imagePath, ProblemResponse } from "./api.js";
import { expandableText, externalText, h, setText, setVisible } from "./dom.js";
import { annotationList, ImageFacts } from "./image-facts.js";
import { Refetcher } from "./refetch.js";
import { canAcknowledge } from "./status.js";
import { matrix } from "./matrix.js";
import { auditList, packageList, rawView } from "./package-info.js";
import { errorText, problemBox } from "./problem.js";
import { timeline } from "./timeline.js";
import { truncate } from "./format.js";

/** @import { Entry } from "./fleet.js" */
/** @import { ImageEditor } from "./editing.js" */

const MAX_AUDIT_RECORDS = 10;
const RAW_INTERVAL_MS = 5000;
const AUDIT_INTERVAL_MS = 3000;

export class ImageView {
  /** @type {Entry} */
  #entry;
  #drawn = false;
  /** @type {ControllerHealth | undefined} */
  #health = undefined;
  /** @type {NodePage | null} */
  #detail = null;
  /** @type {RawImage | null} */
  #raw = null;
  /** Which messages of the matrix are open. @type {Set<string>} */
  #openMessages = new Set();
  #timelineWidth = 0;
  #matrixPart = part("matrix", "Loading the events of the nodes …");
  #timelinePart = part("timeline", "Loading the events of the nodes …");
  #packagePart = part("package", "Loading the image object …");
  #annotationsPart = part("annotations", "");
  #auditPart = part("audit", "Loading the audit log …");
  #subtitle = externalText("");
  title = h("h1", { tabindex: "-1" });

  /** @param {Entry} entry @param {ImageEditor} editor */
  constructor(entry, editor) {
    this.#entry = entry;
    this.editor = editor;
    this.facts = new ImageFacts();
    const path = imagePath(entry);
    const query = { controller: entry.controller };
    this.rawView = rawView(apiUrl(path, query), () => this.#raw);
    this.acknowledgeButton = button("Acknowledge", () => editor.acknowledge(this.#entry), "primary");
    this.element = this.#layout();
    this.nodes = new Refetcher(
      (signal) => getJson(apiUrl(`${path}/nodes`, query), signal),
      ({ body }) => this.#showNodes(body),
      (error) => this.#showNodesError(error),
    );
    this.raw = new Refetcher(
      (signal) => getJson(apiUrl(path, query), signal),
      ({ body }) => this.#showRaw(body),
      (error) => this.#showRawError(error),
      RAW_INTERVAL_MS,
    );
    const auditUrl = apiUrl("audit", { ...query, image: entry.image.uuid, page_size: MAX_AUDIT_RECORDS });
    this.audit = new Refetcher(
      (signal) => getJson(auditUrl, signal),
      ({ body }) => this.#auditPart.replaceChildren(auditList(body.results)),
      (error) => this.#showAuditError(error),
      AUDIT_INTERVAL_MS,
    );
    this.resizeObserver = new ResizeObserver(() => this.#drawTimeline());
    this.resizeObserver.observe(this.#timelinePart);
  }

  #layout() {
    const { controller, image } = this.#entry;
    const toolbar = h(
      "div",
      { class: "line toolbar", role: "group", "aria-label": "Change this image" },
      this.acknowledgeButton,
      button("Annotate", () => this.editor.annotate(this.#entry)),
      button("Adjust", () => this.editor.adjust(this.#entry)),
    );
    const back = h("a", { href: "#/", class: "back", text: "← All images" });
    const subtitle = h("p", { class: "muted" }, this.#subtitle);
    const scroller = h(
      "div",
      { class: "scroller", role: "region", "aria-label": "Table of nodes and tasks", tabindex: "0" },
      this.#matrixPart,
    );
    const columns = [panel("Annotations", this.#annotationsPart), panel("Package", this.#packagePart)];
    return h(
      "article",
      { class: "image-view", "data-controller": controller, "data-uuid": image.uuid },
      h("div", { class: "image-head" }, back, this.title, subtitle, toolbar),
      panel("State", this.facts.element),
      panel("Nodes and tasks", scroller),
      panel("Timeline", this.#timelinePart),
      h("div", { class: "columns" }, ...columns),
      panel("Audit", this.#auditPart),
      panel("Raw object", this.rawView.element),
    );
  }

  /**
   * Show what the event stream sent.
   * @param {Entry} entry of the same image
   * @param {ControllerHealth | undefined} health of its controller
   * @param {number} now
   */
  draw(entry, health, now) {
    const before = this.#drawn ? this.#entry.image : null;
    this.#entry = entry;
    this.#drawn = true;
    const { image } = entry;
    if (before?.name !== image.name) this.title.replaceChildren(expandableText(image.name || image.uuid, 200));
    const facts = [entry.controller, image.version, image.patch && `patch ${image.patch}`].filter(Boolean);
    setText(this.#subtitle, facts.map((each) => truncate(each, 80)).join(" · "));
    setText(this.acknowledgeButton, image.acknowledged ? "Remove acknowledgement" : "Acknowledge");
    setVisible(this.acknowledgeButton, canAcknowledge(image));
    this.facts.draw(entry, health, now);
    if (before === image && this.#health === health) return;
    this.#refetchChanged(before, image, health);
  }

  /** @param {ImageStatus | null} before null: first draw @param {ImageStatus} image @param {ControllerHealth | undefined} health */
  #refetchChanged(before, image, health) {
    const recovered = this.#health !== undefined && !this.#health.up && health?.up;
    this.#health = health;
    const moved = !before || recovered || before.changed_at !== image.changed_at || before.state !== image.state;
    const edited = !before || !sameAnnotations(before, image) || before.name !== image.name;
    if (moved) this.nodes.refetch();
    if (edited) {
      const list = annotationList(image.annotations, (key) => this.editor.remove(this.#entry, key));
      this.#annotationsPart.replaceChildren(list);
    }
    if (moved || edited) this.raw.refetch();
    if (edited) this.audit.refetch();
    if (!before || !this.#raw) this.#packagePart.replaceChildren(packageList(image, this.#raw));
  }

  /** A PATCH was sent from this page. */
  refetchAfterPatch() {
    this.raw.refetch();
    this.audit.refetch();
  }

  /** The token changed, or the daemon is back: what failed before may work now. */
  refetchAll() {
    for (const each of [this.nodes, this.raw, this.audit]) each.refetch();
  }

  /** @param {NodePage} detail */
  #showNodes(detail) {
    if (JSON.stringify(detail) === JSON.stringify(this.#detail)) return;
    this.#detail = detail;
    const focusable = () => [
      .../** @type {NodeListOf<HTMLElement>} */ (this.#matrixPart.querySelectorAll("summary, button")),
    ];
    const focused = focusable().findIndex((element) => element === document.activeElement);
    this.#matrixPart.replaceChildren(
      detail.events.length
        ? matrix(detail, this.#openMessages)
        : h("p", { class: "muted", text: "The Controller reports no tasks of this image yet." }),
    );
    if (focused >= 0) focusable()[focused]?.focus();
    this.#timelineWidth = 0;
    this.#drawTimeline();
  }

  #drawTimeline() {
    const place = this.#timelinePart;
    const width = Math.floor(place.clientWidth);
    if (!this.#detail || !width || width === this.#timelineWidth) return;
    this.#timelineWidth = width;
    const open = place.querySelector("details[open]") !== null;
    place.replaceChildren(timeline(this.#detail, width));
    const details = place.querySelector("details");
    if (details) details.open = open;
  }

  /** @param {unknown} error */
  #showNodesError(error) {
    if (this.#detail) return; // the banner says that the data is old
    this.#matrixPart.replaceChildren(problemBox(error));
    this.#timelinePart.replaceChildren(h("p", { class: "muted", text: "The events could not be loaded." }));
  }

  /** @param {RawImage} raw */
  #showRaw(raw) {
    this.#raw = raw;
    this.rawView.update();
    this.#packagePart.replaceChildren(packageList(this.#entry.image, raw));
  }

  /** @param {unknown} error */
  #showRawError(error) {
    if (this.#raw) return;
    const text = `The other facts could not be loaded: ${errorText(error)}`;
    this.#packagePart.replaceChildren(packageList(this.#entry.image, null), h("p", { class: "muted", text }));
  }

  /** @param {unknown} error */
  #showAuditError(error) {
    const isForbidden = error instanceof ProblemResponse && [401, 403].includes(error.problem.status);
    const text = isForbidden
      ? "Visible only with a token that has the scope admin."
      : `The audit log could not be loaded: ${errorText(error)}`;
    this.#auditPart.replaceChildren(h("p", { class: "muted", text }));
  }

  stop() {
    for (const each of [this.nodes, this.raw, this.audit]) each.stop();
    this.resizeObserver.disconnect();
  }
}

/** @param {ImageStatus} before @param {ImageStatus} after */
function sameAnnotations(before, after) {
  return JSON.stringify(before.annotations) === JSON.stringify(after.annotations);
}

/** @param {string} name @param {string} text until it is loaded */
function part(name, text) {
  return h("div", { "data-part": name }, h("p", { class: "muted", text }));
}

/** @param {string} text @param {() => void} click @param {string} [className] */
function button(text, click, className = "") {
  return h("button", { type: "button", class: className, text, on: { click } });
}

/** @param {string} title @param {HTMLElement} child */
function panel(title, child) {
  const id = `part-${title.toLowerCase().replaceAll(" ", "-")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id, text: title }), child);
}
