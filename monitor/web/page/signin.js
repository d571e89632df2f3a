/** The form for entering a token. */

import { h } from "./dom.js";
import { isPlainHttp } from "./token.js";

let formCount = 0; // for unique ids

/**
 * @param {(token: string) => void} onToken
 * @param {{submit?: string}} [texts]
 */
export function signInForm(onToken, { submit = "Use this token" } = {}) {
  formCount += 1;
  const id = `token-${formCount}`;
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
      "It is stored for this tab only, until you close it. Create one with ",
      h("code", { text: "avi-upgrade-monitor token new" }),
      ".",
    ),
    isPlainHttp()
      ? h("p", {
          class: "warning",
          text: "This page was loaded over plain HTTP: the token can be read on the network.",
        })
      : null,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = input.value.trim();
    if (token) onToken(token);
  });
  return form;
}
