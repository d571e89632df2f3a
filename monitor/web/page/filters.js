/** The search box and the selections beside it. They are kept in the address, so that Back and bookmarks restore them. */

import { find, h, setAttr, setText, setVisible } from "./dom.js";
import { readPlace } from "./place.js";
import { STATE_CHOICES } from "./sort.js";
import { formatCount, plural } from "./format.js";

/** @import { Filter } from "./sort.js" */

/**
 * By name in Filter: the name in the form and in the address.
 * @type {Record<keyof Filter, string>}
 */
const PARAMETERS = { text: "q", controller: "controller", state: "state", version: "version" };
const NAMES = /** @type {(keyof Filter)[]} */ (Object.keys(PARAMETERS));

/** @returns {Filter} one that matches all */
const emptyFilter = () => ({ text: "", controller: "", state: "", version: "" });

export class Filters {
  filter = emptyFilter();
  #drawn = "";

  /** @param {HTMLFormElement} form @param {(byHand: boolean) => void} onChange */
  constructor(form, onChange) {
    this.onChange = onChange;
    /** @param {string} name */
    const select = (name) => find(form, `select[name=${name}]`, HTMLSelectElement);
    this.fields = {
      text: find(form, "input[name=q]", HTMLInputElement),
      controller: select("controller"),
      state: select("state"),
      version: select("version"),
    };
    this.found = find(form, "output", HTMLOutputElement);
    this.clearButton = find(form, "button", HTMLButtonElement);
    for (const [value, text] of STATE_CHOICES) this.fields.state.append(h("option", { value, text }));
    form.addEventListener("input", () => this.#readForm());
    form.addEventListener("submit", (event) => event.preventDefault());
    this.clearButton.addEventListener("click", () => {
      this.set({});
      this.fields.text.focus();
    });
    this.fields.text.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.fields.text.value) this.set({ ...this.filter, text: "" });
    });
  }

  /** @param {Partial<Filter>} filter what is left out matches all @param {boolean} [byHand] */
  set(filter, byHand = true) {
    this.filter = { ...emptyFilter(), ...filter };
    for (const name of NAMES) {
      const field = this.fields[name];
      const value = this.filter[name];
      if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value))
        field.append(h("option", { value, text: value }));
      if (field.value !== value) field.value = value;
    }
    this.#apply(byHand);
  }

  #readForm() {
    for (const name of NAMES) this.filter[name] = this.fields[name].value;
    this.#apply(true);
  }

  /** @param {boolean} byHand */
  #apply(byHand) {
    const given = NAMES.filter((name) => this.filter[name]).map((name) => [PARAMETERS[name], this.filter[name]]);
    const query = new URLSearchParams(given);
    const hash = `#/${query.size ? `?${query}` : ""}`;
    if (location.hash !== hash && readPlace(location.hash).view === "fleet") history.replaceState(null, "", hash);
    this.onChange(byHand);
  }

  /** Set the filter from the address. @param {string} search */
  readAddress(search) {
    const query = new URLSearchParams(search);
    this.set(Object.fromEntries(NAMES.map((name) => [name, query.get(PARAMETERS[name]) ?? ""])), false);
  }

  get matchesAll() {
    return Object.values(this.filter).every((value) => value.trim() === "");
  }

  /**
   * Show the choices, and how many images match.
   * @param {{controllers: string[], versions: string[]}} choices
   * @param {number} found
   * @param {number} total
   */
  draw({ controllers, versions }, found, total) {
    const signature = JSON.stringify([controllers, versions]);
    if (signature !== this.#drawn) {
      setChoices(this.fields.controller, controllers, this.filter.controller);
      setChoices(this.fields.version, versions, this.filter.version);
      this.#drawn = signature;
    }
    const all = plural(total, "image");
    setText(this.found, this.matchesAll ? all : `${formatCount(found)} of ${all}`);
    setVisible(this.clearButton, !this.matchesAll);
    for (const field of Object.values(this.fields)) setAttr(field, "data-filled", field.value !== "");
  }
}

/**
 * Replace the choices but the first ("any"). The chosen value stays, also while the fleet does not have it.
 * @param {HTMLSelectElement} select
 * @param {string[]} values
 * @param {string} chosen
 */
function setChoices(select, values, chosen) {
  const all = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  select.length = 1;
  select.append(...all.map((value) => h("option", { value, text: value })));
  select.value = chosen;
}
