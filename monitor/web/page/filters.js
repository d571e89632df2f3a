/** The search box and the choices beside it; kept in the address, so that Back and a bookmark bring them again. */

import { h, mark, say, show } from "./dom.js";
import { STATES } from "./sort.js";
import { count, many } from "./format.js";

const NAMES = { text: "q", controller: "controller", state: "state", version: "version" };

export class Filters {
  /** @type {import("./sort.js").Filter} */
  filter = { text: "", controller: "", state: "", version: "" };
  #drawn = "";

  /** @param {HTMLFormElement} form @param {(byHand: boolean) => void} changed */
  constructor(form, changed) {
    this.changed = changed;
    this.fields = {
      text: form.elements.q,
      controller: form.elements.controller,
      state: form.elements.state,
      version: form.elements.version,
    };
    this.found = form.querySelector("output");
    this.clear = form.querySelector("button");
    for (const [value, text] of STATES) this.fields.state.append(h("option", { value, text }));
    form.addEventListener("input", () => this.#read());
    form.addEventListener("submit", (event) => event.preventDefault());
    this.clear.addEventListener("click", () => {
      this.set({});
      this.fields.text.focus();
    });
    this.fields.text.addEventListener(
      "keydown",
      (event) => event.key === "Escape" && this.fields.text.value && this.set({ ...this.filter, text: "" }),
    );
  }

  /** @param {Partial<import("./sort.js").Filter>} filter what is not named is any */
  set(filter, byHand = true) {
    this.filter = { text: "", controller: "", state: "", version: "", ...filter };
    for (const [name, field] of Object.entries(this.fields)) {
      const value = this.filter[name];
      if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === value))
        field.append(h("option", { value, text: value }));
      if (field.value !== value) field.value = value;
    }
    this.#tell(byHand);
  }

  #read() {
    for (const [name, field] of Object.entries(this.fields)) this.filter[name] = field.value;
    this.#tell(true);
  }

  #tell(byHand) {
    const query = new URLSearchParams(
      Object.entries(this.filter).flatMap(([name, value]) => (value ? [[NAMES[name], value]] : [])),
    );
    const hash = `#/${query.size ? `?${query}` : ""}`;
    if (location.hash !== hash && !location.hash.startsWith("#/image/")) history.replaceState(null, "", hash);
    this.changed(byHand);
  }

  /** Take over what the address says. @param {string} search */
  adopt(search) {
    const query = new URLSearchParams(search);
    this.set(Object.fromEntries(Object.entries(NAMES).map(([name, key]) => [name, query.get(key) ?? ""])), false);
  }

  get isAny() {
    return Object.values(this.filter).every((value) => value.trim() === "");
  }

  /** What there is to choose, and how many images were found. */
  draw({ controllers, versions }, found, total) {
    const signature = JSON.stringify([controllers, versions]);
    if (signature !== this.#drawn) {
      refill(this.fields.controller, controllers, this.filter.controller);
      refill(this.fields.version, versions, this.filter.version);
      this.#drawn = signature;
    }
    say(this.found, this.isAny ? many(total, "image") : `${count(found)} of ${many(total, "image")}`);
    show(this.clear, !this.isAny);
    for (const field of Object.values(this.fields)) mark(field, "data-set", field.value !== "");
  }
}

/** What is chosen stays, also when it is not there at present. */
function refill(select, values, chosen) {
  const all = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  select.replaceChildren(select.options[0], ...all.map((value) => h("option", { value, text: value })));
  select.value = chosen;
}
