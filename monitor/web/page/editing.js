/**
 * The dialogs that change an image, or annotate a unit that is upgraded: enter the change, show a dry run, then send the
 * PATCH once. The page itself is not updated from here: it changes when the event stream reports the change.
 */

import { apiUrl, getJson, imagePath, patchObject, ProblemResponse, unitPath } from "./api.js";
import { expandableText, externalText, find, h } from "./dom.js";
import { adjustForm, annotateForm } from "./forms.js";
import { isActive } from "./status.js";
import { acknowledgeBody, differences, removeBody } from "./patch-body.js";
import { valueText } from "./package-info.js";
import { errorText, problemBox } from "./problem.js";
import { signInForm } from "./signin.js";
import { storeToken } from "./token.js";
import { unitName } from "./upgrade-status.js";
import { truncate } from "./format.js";

/** @import { Entry } from "./fleet.js" */
/** @import { PatchForm } from "./forms.js" */

/** What is changed. @typedef {{controller: string, path: string, name: string, acknowledged: boolean}} Target */
/** @typedef {{target: Target, form: PatchForm, etag?: string | null}} Draft  a change that is being entered */
/** @typedef {{target: Target, body: object, query: Record<string, string>}} Request */
/** @typedef {Request & {etag?: string | null, draft?: Draft}} Change */
/** @typedef {Change & {apiVersion: string}} CheckedChange  its dry run succeeded */

/**
 * What the dialog offers after a request failed.
 * @typedef {{retry: () => void, draft?: Draft | undefined, isPatch?: boolean}} Fallback
 */

/** @param {Entry} entry @returns {Target} */
export function imageTarget(entry) {
  const { name, uuid, acknowledged } = entry.image;
  return { controller: entry.controller, path: imagePath(entry), name: name || uuid, acknowledged };
}

/** @param {string} controller @param {UnitStatus} unit @returns {Target} */
export function unitTarget(controller, unit) {
  return { controller, path: unitPath(unit.uuid), name: unitName(unit), acknowledged: unit.acknowledged };
}

export class Editor {
  #dialogId = 0; // of the dialog that is open: a response for a dialog that was closed is not shown in the next one
  #isSending = false;
  #content = h("div");

  /** @param {{dialog: HTMLDialogElement, onPatched: () => void, onTokenChanged: () => void}} parts */
  constructor({ dialog, onPatched, onTokenChanged }) {
    this.dialog = dialog;
    this.onPatched = onPatched;
    this.onTokenChanged = onTokenChanged;
    dialog.addEventListener("cancel", (event) => this.#isSending && event.preventDefault());
    dialog.addEventListener("close", () => (this.#dialogId += 1));
  }

  /** @param {Target} target */
  annotate(target) {
    this.#open("Annotate", target);
    this.#showForm({ target, form: annotateForm() });
  }

  /** @param {Target} target @param {string} key of the annotation */
  remove(target, key) {
    this.#open(`Remove the annotation ${key}`, target);
    this.#dryRun({ target, body: removeBody(key), query: {} });
  }

  /** Acknowledge it, or remove the acknowledgement. @param {Target} target */
  acknowledge(target) {
    const acknowledge = !target.acknowledged;
    this.#open(acknowledge ? "Acknowledge" : "Remove the acknowledgement", target);
    this.#dryRun({ target, body: acknowledgeBody(acknowledge), query: {} });
  }

  /** @param {Entry} entry */
  async adjust(entry) {
    const target = imageTarget(entry);
    this.#open("Adjust on the Controller", target);
    this.#showWaiting("Loading the image …");
    await this.#attempt({ retry: () => this.adjust(entry) }, async () => {
      const { body: raw, etag } = await getJson(apiUrl(target.path, { controller: target.controller }));
      return () => this.#showForm({ target, etag, form: adjustForm(raw, isActive(entry.image)) });
    });
  }

  /** @param {string} title @param {Target} target */
  #open(title, { name, controller }) {
    this.#dialogId += 1;
    this.#content = h("div", { class: "stack" });
    this.dialog.replaceChildren(
      h("h2", { id: "dialog-title", text: title }),
      h("p", { class: "muted" }, externalText(truncate(name, 120)), " on ", externalText(controller)),
      this.#content,
    );
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** @param {string} text */
  #showWaiting(text) {
    this.#content.replaceChildren(h("p", { role: "status", text }), this.#buttons());
  }

  /** @param {...(HTMLButtonElement | null)} buttons before "Close" */
  #buttons(...buttons) {
    const close = h("button", { type: "button", text: "Close", on: { click: () => this.dialog.close() } });
    return h("div", { class: "line buttons" }, ...buttons, close);
  }

  /** @param {Draft | undefined} draft */
  #backButton(draft) {
    return draft ? h("button", { type: "button", text: "Back", on: { click: () => this.#showForm(draft) } }) : null;
  }

  /** Step one, for changes that have something to enter. @param {Draft} draft */
  #showForm(draft) {
    const { target, etag = null } = draft;
    const error = h("p", { class: "warning", role: "alert" });
    const submit = h("button", { type: "submit", class: "primary", text: "Dry run" });
    const form = h("form", { class: "stack" }, draft.form.element, error, this.#buttons(submit));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#dryRun({ target, etag, draft, body: draft.form.body(), query: draft.form.query() });
      } catch (invalid) {
        error.textContent = errorText(invalid);
      }
    });
    this.#content.replaceChildren(form);
    find(form, "input:not([type=radio]), select, textarea", HTMLElement).focus();
  }

  /** Step two: show what the change would do. @param {Change} change */
  async #dryRun(change) {
    this.#showWaiting("Dry run: requesting what would change …");
    await this.#attempt({ draft: change.draft, retry: () => this.#dryRun(change) }, async () => {
      const checked = { ...change, apiVersion: await apiVersionOf(change.target) };
      /** @type {DryRun} */
      const { changes } = await this.#send(checked, { dry_run: "true" });
      return () => this.#showDryRun(checked, changes);
    });
  }

  /** @param {CheckedChange} change @param {Changes} changes */
  #showDryRun(change, changes) {
    const back = this.#backButton(change.draft);
    const rows = differences(changes);
    if (!rows.length) {
      const text = "Nothing would change: it already has these values.";
      this.#content.replaceChildren(h("p", { role: "status", text }), this.#buttons(back));
      return;
    }
    const confirm = h("button", {
      type: "button",
      class: "primary",
      text: "Confirm",
      on: { click: () => this.#apply(change) },
    });
    const text = "Dry run: nothing has been changed yet. “Confirm” makes this change:";
    this.#content.replaceChildren(h("p", { role: "status", text }), comparison(rows), this.#buttons(confirm, back));
    confirm.focus();
  }

  /** Step three: the change itself, sent once. @param {CheckedChange} change */
  async #apply(change) {
    this.#showWaiting("Sending the change …");
    this.#isSending = true;
    await this.#attempt({ draft: change.draft, isPatch: true, retry: () => this.#dryRun(change) }, async () => {
      await this.#send(change, {});
      return () => this.#showDone();
    });
    this.#isSending = false;
    this.onPatched();
  }

  #showDone() {
    const text = "Done. The page shows the change when the daemon reports it.";
    const buttons = this.#buttons();
    this.#content.replaceChildren(h("p", { role: "status", class: "done", text }), buttons);
    find(buttons, "button", HTMLButtonElement).focus();
  }

  /** @param {CheckedChange} change @param {Record<string, string>} options */
  #send({ target, body, query, apiVersion, etag }, options) {
    const url = apiUrl(target.path, { controller: target.controller, ...query, ...options });
    return patchObject(url, { body, apiVersion, etag });
  }

  /**
   * Make a request, then show its result or its error.
   * @param {Fallback} fallback
   * @param {() => Promise<() => void>} request returns what shows the result
   */
  async #attempt(fallback, request) {
    const dialog = this.#dialogId;
    let show;
    try {
      show = await request();
    } catch (error) {
      show = () => this.#showError(error, fallback);
    }
    if (dialog === this.#dialogId) show();
  }

  /** @param {unknown} error @param {Fallback} fallback */
  #showError(error, { retry, draft, isPatch = false }) {
    const status = error instanceof ProblemResponse ? error.problem.status : 0;
    const box = problemBox(error, { isPatch });
    const back = this.#backButton(draft);
    if (status !== 401 && status !== 403) {
      const text = isPatch ? "Dry run again" : "Try again";
      const retryButton = h("button", { type: "button", text, on: { click: retry } });
      this.#content.replaceChildren(box, this.#buttons(back, retryButton));
      return;
    }
    if (status === 401) storeToken(null); // the daemon does not accept it
    this.onTokenChanged();
    const submit = "Use it and try again";
    /** @param {string} token */
    const onToken = (token) => {
      storeToken(token);
      this.onTokenChanged();
      retry();
    };
    const form = signInForm(onToken, { submit });
    const text =
      status === 401
        ? "Enter a token with the required scope."
        : "The current token may not do this. Enter another one:";
    this.#content.replaceChildren(box, h("p", { text }), form, this.#buttons(back));
    find(form, "input", HTMLInputElement).focus();
  }
}

/** The API version that the daemon uses with the Controller. @param {Target} target */
async function apiVersionOf({ controller }) {
  const { body } = await getJson(apiUrl("controllers"));
  /** @type {ControllerStatus[]} */
  const controllers = body.results;
  const found = controllers.find(({ name }) => name === controller);
  return found?.api_version || found?.version || "";
}

/** @param {ReturnType<typeof differences>} rows */
function comparison(rows) {
  /** @param {string} label @param {unknown} value */
  const cell = (label, value) =>
    h("td", { "data-label": label, class: value === null ? "muted" : "" }, expandableText(valueText(value), 300));
  const lines = rows.map(({ field, before, after }) =>
    h(
      "tr",
      { "data-field": field },
      h("th", { scope: "row" }, externalText(field, { class: "code" })),
      cell("before", before),
      cell("after", after),
    ),
  );
  const head = h("tr", {}, ...["Field", "Before", "After"].map((text) => h("th", { scope: "col", text })));
  return h(
    "table",
    { class: "plain" },
    h("caption", { class: "visually-hidden", text: "Before and after" }),
    h("thead", {}, head),
    h("tbody", {}, ...lines),
  );
}
