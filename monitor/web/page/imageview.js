/** The view of one image: its facts, nodes and tasks, timeline, annotations, package, audit log and raw object. */

import { apiUrl, getJson, imagePath, ProblemResponse } from "./api.js";
import { imageTarget } from "./editing.js";
import { expandableText, externalText, h, setAttr, setText, setVisible } from "./dom.js";
import { annotationList, ImageFacts } from "./image-facts.js";
import { Refetcher } from "./refetch.js";
import { canAcknowledge } from "./status.js";
import { NodeTasks } from "./node-tasks.js";
import { auditList, packageList, rawView } from "./package-info.js";
import { panel } from "./panel.js";
import { upgradeHref } from "./place.js";
import { useText } from "./upgrade-use.js";
import { errorText } from "./problem.js";
import { truncate } from "./format.js";

/** @import { Entry } from "./fleet.js" */
/** @import { Editor } from "./editing.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

const MAX_AUDIT_RECORDS = 10;
const RAW_INTERVAL_MS = 5000;
const AUDIT_INTERVAL_MS = 3000;

export class ImageView {
  /** @type {Entry} */
  #entry;
  #drawn = false;
  /** @type {ControllerHealth | undefined} */
  #health = undefined;
  /** @type {RawImage | null} */
  #raw = null;
  #nodeTasks = new NodeTasks("The Controller reports no tasks of this image yet.");
  #packagePart = part("package", "Loading the image object …");
  #annotationsPart = part("annotations", "");
  #auditPart = part("audit", "Loading the audit log …");
  #subtitle = externalText("");
  #use = h("a");
  /** @type {Map<string, UnitStatus> | undefined} */
  #unitsDrawn = undefined;
  title = h("h1", { tabindex: "-1" });

  /** @param {Entry} entry @param {Editor} editor */
  constructor(entry, editor) {
    this.#entry = entry;
    this.editor = editor;
    this.facts = new ImageFacts();
    const path = imagePath(entry);
    const query = { controller: entry.controller };
    this.rawView = rawView(apiUrl(path, query), () => this.#raw);
    this.acknowledgeButton = button("Acknowledge", () => editor.acknowledge(imageTarget(this.#entry)), "primary");
    this.element = this.#layout();
    this.nodes = new Refetcher(
      (signal) => getJson(apiUrl(`${path}/nodes`, query), signal),
      ({ body }) => this.#nodeTasks.show(body),
      (error) => this.#nodeTasks.showError(error),
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
  }

  #layout() {
    const { controller, image } = this.#entry;
    const toolbar = h(
      "div",
      { class: "line toolbar", role: "group", "aria-label": "Change this image" },
      this.acknowledgeButton,
      button("Annotate", () => this.editor.annotate(imageTarget(this.#entry))),
      button("Adjust", () => this.editor.adjust(this.#entry)),
    );
    setAttr(this.#use, "href", upgradeHref(controller));
    setVisible(this.#use, false);
    const back = h("a", { href: "#/", class: "back", text: "← All images" });
    const subtitle = h("p", { class: "muted" }, this.#subtitle);
    const columns = [panel("Annotations", this.#annotationsPart), panel("Package", this.#packagePart)];
    return h(
      "article",
      { class: "image-view", "data-controller": controller, "data-uuid": image.uuid },
      h("div", { class: "image-head" }, back, this.title, subtitle, this.#use, toolbar),
      panel("State", this.facts.element),
      panel("Nodes and tasks", this.#nodeTasks.scroller),
      panel("Timeline", this.#nodeTasks.timeline),
      h("div", { class: "columns" }, ...columns),
      panel("Audit", this.#auditPart),
      panel("Raw object", this.rawView.element),
    );
  }

  /**
   * Show what the event stream sent.
   * @param {Entry} entry of the same image
   * @param {ControllerHealth | undefined} health of its controller
   * @param {ControllerUpgrade | undefined} upgrade of its controller
   * @param {number} now
   */
  draw(entry, health, upgrade, now) {
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
    this.#drawUse(upgrade);
    if (before === image && this.#health === health) return;
    this.#refetchChanged(before, image, health);
  }

  /** Who uses this image; it is a link to the upgrade. @param {ControllerUpgrade | undefined} upgrade */
  #drawUse(upgrade) {
    if (upgrade?.units === this.#unitsDrawn) return;
    this.#unitsDrawn = upgrade?.units;
    const text = upgrade ? useText(this.#entry.image.uuid, this.#entry.controller, upgrade) : "";
    setText(this.#use, text);
    setVisible(this.#use, text !== "");
  }

  /** @param {ImageStatus | null} before null: first draw @param {ImageStatus} image @param {ControllerHealth | undefined} health */
  #refetchChanged(before, image, health) {
    const recovered = this.#health !== undefined && !this.#health.up && health?.up;
    this.#health = health;
    const moved = !before || recovered || before.changed_at !== image.changed_at || before.state !== image.state;
    const edited = !before || !sameAnnotations(before, image) || before.name !== image.name;
    if (moved) this.nodes.refetch();
    if (edited) {
      const list = annotationList(image.annotations, (key) => this.editor.remove(imageTarget(this.#entry), key));
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
    this.#nodeTasks.stop();
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
