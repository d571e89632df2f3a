/**
 * Changing an image: what is wanted, a dry run that shows before and after, then the change itself, once. Nothing on
 * the page is altered from here: it changes when the stream says so.
 */

import { change, imagePath, read, Refused, routeOf } from "./api.js";
import { foreign, h, longText } from "./dom.js";
import { adjustForm, annotateForm } from "./forms.js";
import { isActive } from "./status.js";
import { acknowledgeBody, differences, removeBody } from "./patch-body.js";
import { valueText } from "./package-info.js";
import { problemBox } from "./problem.js";
import { signInForm } from "./signin.js";
import { keepToken } from "./token.js";
import { clip } from "./format.js";

export class Acting {
  #round = 0; // of dialogs: an answer for one that was closed is not shown in the next
  #sending = false;

  /** @param {{dialog: HTMLDialogElement, changed: () => void, tokenChanged: () => void}} of */
  constructor(of) {
    Object.assign(this, of);
    this.dialog.addEventListener("cancel", (event) => this.#sending && event.preventDefault());
    this.dialog.addEventListener("close", () => (this.#round += 1));
  }

  annotate(entry) {
    this.#begin("Annotate", entry);
    this.#ask({ entry, form: annotateForm() });
  }

  remove(entry, key) {
    this.#begin(`Remove the annotation ${key}`, entry);
    this.#rehearse({ entry, body: removeBody(key), query: {} });
  }

  acknowledge(entry) {
    const known = !entry.image.acknowledged;
    this.#begin(known ? "Acknowledge" : "Take the acknowledgement back", entry);
    this.#rehearse({ entry, body: acknowledgeBody(known), query: {} });
  }

  async adjust(entry) {
    this.#begin("Adjust on the Controller", entry);
    this.#wait("Reading the image as it is …");
    await this.#try({ retry: () => this.adjust(entry) }, async () => {
      const { body: raw, etag } = await read(routeOf(imagePath(entry), { controller: entry.controller }));
      return () => this.#ask({ entry, etag, form: adjustForm(raw, isActive(entry.image)) });
    });
  }

  #begin(title, { image, controller }) {
    this.#round += 1;
    const name = h("p", { class: "muted" }, foreign(clip(image.name || image.uuid, 120)), " on ", foreign(controller));
    this.place = h("div", { class: "stack" });
    this.dialog.replaceChildren(h("h2", { id: "dialog-title", text: title }), name, this.place);
    if (!this.dialog.open) this.dialog.showModal();
  }

  #show(...children) {
    this.place.replaceChildren(...children);
  }

  #wait(words) {
    this.#show(h("p", { role: "status", text: words }), this.#buttons());
  }

  #buttons(...buttons) {
    const close = h("button", { type: "button", text: "Close", on: { click: () => this.dialog.close() } });
    return h("div", { class: "line buttons" }, ...buttons, close);
  }

  /** Step one, where there is something to enter. */
  #ask(order) {
    const complaint = h("p", { class: "warning", role: "alert" });
    const form = h(
      "form",
      { class: "stack" },
      order.form.element,
      complaint,
      this.#buttons(h("button", { type: "submit", class: "primary", text: "Dry run" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.#rehearse({ ...order, body: order.form.body(), query: order.form.query() });
      } catch (error) {
        complaint.textContent = error.message;
      }
    });
    this.#show(form);
    form.querySelector("input:not([type=radio]), select, textarea")?.focus();
  }

  /** Step two: what would be done. */
  async #rehearse(order) {
    this.#wait("Dry run: asking what would change …");
    await this.#try({ order, retry: () => this.#rehearse(order) }, async () => {
      const apiVersion = await versionOf(order.entry);
      const { changes } = await this.#send({ ...order, apiVersion }, { dry_run: "true" });
      return () => this.#preview({ ...order, apiVersion }, differences(changes));
    });
  }

  #preview(order, rows) {
    const back = order.form
      ? h("button", { type: "button", text: "Back", on: { click: () => this.#ask(order) } })
      : null;
    if (!rows.length) {
      this.#show(h("p", { role: "status", text: "Nothing would change: it is so already." }), this.#buttons(back));
      return;
    }
    const confirm = h("button", {
      type: "button",
      class: "primary",
      text: "Confirm",
      on: { click: () => this.#confirm(order) },
    });
    this.#show(
      h("p", { role: "status", text: "Dry run: nothing is changed yet. This would be:" }),
      comparison(rows),
      this.#buttons(confirm, back),
    );
    confirm.focus();
  }

  /** Step three: the change, sent once. */
  async #confirm(order) {
    this.#wait("Sending it …");
    this.#sending = true;
    await this.#try({ order, doubt: true, retry: () => this.#rehearse(order) }, async () => {
      await this.#send(order, {});
      return () => this.#done();
    });
    this.#sending = false;
    this.changed();
  }

  #done() {
    const buttons = this.#buttons();
    this.#show(
      h("p", { role: "status", class: "done", text: "Done. The page shows it as soon as the stream says so." }),
      buttons,
    );
    buttons.lastElementChild.focus();
  }

  #send({ entry, body, query, apiVersion, etag }, more) {
    return change(routeOf(imagePath(entry), { controller: entry.controller, ...query, ...more }), {
      body,
      apiVersion,
      etag,
    });
  }

  /** Do something that the daemon may refuse. `work` gives what to show next. */
  async #try({ order, retry, doubt = false }, work) {
    const round = this.#round;
    let next;
    try {
      next = await work();
    } catch (error) {
      next = () => this.#refused(error, { order, retry, doubt });
    }
    if (round === this.#round) next();
  }

  #refused(error, { order, retry, doubt }) {
    const status = error instanceof Refused ? error.problem.status : 0;
    const box = problemBox(error, { doubt });
    const back = order?.form
      ? h("button", { type: "button", text: "Back", on: { click: () => this.#ask(order) } })
      : null;
    const again = h("button", { type: "button", text: doubt ? "Dry run again" : "Try again", on: { click: retry } });
    if (status !== 401 && status !== 403) {
      this.#show(box, this.#buttons(back, again));
      return;
    }
    const form = signInForm((text) => (keepToken(text), this.tokenChanged(), retry()), {
      submit: "Use it and try again",
    });
    if (status === 401) keepToken(null); // it is known nowhere, so it is of no more use
    this.tokenChanged();
    const words =
      status === 401
        ? "Enter a token with the scope that it names."
        : "The token in use may not do this. Another one may:";
    this.#show(box, h("p", { text: words }), form, this.#buttons(back));
    form.querySelector("input").focus();
  }
}

/** The API version that the Controller speaks with us: what we send is of that version. */
async function versionOf({ controller }) {
  const { body } = await read(routeOf("controllers"));
  const found = body.results.find(({ name }) => name === controller);
  return found?.api_version || found?.version || "";
}

function comparison(rows) {
  const cell = (label, value) =>
    h("td", { "data-label": label, class: value === null ? "muted" : "" }, longText(valueText(value), 300));
  const lines = rows.map(({ field, before, after }) =>
    h(
      "tr",
      { "data-field": field },
      h("th", { scope: "row" }, foreign(field, { class: "code" })),
      cell("before", before),
      cell("after", after),
    ),
  );
  const head = h("tr", {}, ...["Field", "Before", "After"].map((text) => h("th", { scope: "col", text })));
  return h(
    "table",
    { class: "plain" },
    h("caption", { class: "unseen", text: "Before and after" }),
    h("thead", {}, head),
    h("tbody", {}, ...lines),
  );
}
