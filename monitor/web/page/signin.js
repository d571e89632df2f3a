/** The form in which a person enters a token. */

import { h } from "./dom.js";
import { isExposed } from "./token.js";

let number = 0;

/**
 * @param {(token: string) => void} done
 * @param {{submit?: string}} [words]
 */
export function signInForm(done, { submit = "Use this token" } = {}) {
  number += 1;
  const id = `token-${number}`;
  const input = h("input", {
    id,
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": `${id}-hint`,
  });
  const form = h(
    "form",
    { class: "stack" },
    h("label", { for: id, text: "Token" }),
    h("div", { class: "line" }, input, h("button", { type: "submit", class: "primary", text: submit })),
    h(
      "p",
      { id: `${id}-hint`, class: "hint" },
      "It is kept for this tab alone, until you close it. ",
      h("code", { text: "avi-upgrade-monitor token new" }),
      " makes one.",
    ),
    isExposed()
      ? h("p", { class: "warning", text: "This page came over plain HTTP: whoever is on the way can read the token." })
      : null,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) done(text);
  });
  return form;
}
