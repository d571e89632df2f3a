/** Puts the page together: one stream, one fleet, the view that the address names, one frame for all that changed. */

import { Acting } from "./editing.js";
import { Announcer } from "./announce.js";
import { routeOf } from "./api.js";
import { Clock } from "./clock.js";
import { Connection } from "./connection.js";
import { h, say, show } from "./dom.js";
import { Fleet, keyOf } from "./fleet.js";
import { FleetView } from "./fleetview.js";
import { ImageView } from "./imageview.js";
import { tally, warm } from "./sort.js";
import { signInForm } from "./signin.js";
import { Stream } from "./stream.js";
import { keepToken, token } from "./token.js";
import { clip, many } from "./format.js";

const $ = (id) => document.getElementById(id);
const stopwatch = () => performance.now() / 1000;

const fleet = new Fleet();
const clock = new Clock(stopwatch);
const announcer = new Announcer($("announcements"));
const acting = new Acting({ dialog: $("dialog"), changed: () => image?.changed(), tokenChanged: () => drawToken() });
const stream = new Stream({ route: routeOf("events"), stopwatch, take, hear: () => clock.hear(), tell: told });
const fleetView = new FleetView($("fleet"), {
  fleet,
  clock,
  ask,
  acknowledge: (entry) => acting.acknowledge(entry),
  announce: (words) => announcer.say(words),
});
const connection = new Connection({
  banner: $("banner"),
  word: $("connection"),
  locked: $("locked"),
  stream,
  clock,
  stopwatch,
  announcer,
  signIn,
});

/** @type {ImageView | null} */
let image = null;
let place = { key: null, controller: "", uuid: "" };
let asked = false;

function take(event, message) {
  if (event !== "state" && event !== "change") return;
  clock.set(message.now);
  announcer.tell(event === "state" ? fleet.replace(message) : fleet.change(message));
  if (event === "state") (window.requestIdleCallback ?? setTimeout)(() => warm(fleet.entries.values()));
  if (document.hidden) drawTitle(); // no frame comes to a page that nobody sees, but its tab is seen
  ask();
}

let lost = false;

function told({ kind }) {
  if (kind === "waiting" || kind === "locked") {
    lost = true;
    clock.stop();
  } else if (kind === "live" && lost) {
    lost = false;
    image?.again(); // what it asked for meanwhile was not answered
  }
  ask();
}

/** Draw before the next frame, once. */
function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

function draw() {
  connection.draw();
  const waiting = !fleet.known && stream.status.kind !== "locked";
  show($("waiting"), waiting);
  say(
    $("waiting").firstElementChild,
    stream.status.kind === "live"
      ? "Connected. Waiting for the state of the fleet …"
      : `Connecting to ${location.host} …`,
  );
  if (waiting && stream.status.kind === "waiting")
    say($("waiting").firstElementChild, "Nothing was received yet, so there is nothing to show.");
  show($("fleet"), fleet.known && place.key === null);
  show($("image"), fleet.known && place.key !== null);
  drawTitle();
  if (!fleet.known) return;
  if (place.key === null) fleetView.draw();
  else drawImage();
}

function drawTitle() {
  if (!fleet.known) return;
  const { active, failed, stalled, total } = tally(fleet, clock.now);
  const trouble = [failed && `${failed} failed`, stalled && `${stalled} stalled`].filter(Boolean);
  const words = [many(active, "upload"), ...trouble].join(", ");
  const lost = stream.status.kind === "waiting" ? "(not connected) " : "";
  const title = `${lost}${words} – Avi upgrade monitor`;
  if (document.title !== title) document.title = title;
  say($("summary"), `${words}${total ? `, ${many(total, "image")} in all` : ""}`);
}

function drawImage() {
  const entry = fleet.entries.get(place.key);
  show($("missing"), !entry);
  if (!entry) {
    say(
      $("missing").firstElementChild,
      `${clip(place.controller, 80)} has no image ${clip(place.uuid, 80)} at present. It was removed, or you may not see it.`,
    );
    if (image) show(image.element, false);
    return;
  }
  if (!image) {
    image = new ImageView({ entry, act: acting });
    $("image").append(image.element);
    image.draw(entry, fleet.controllers.get(entry.controller), clock.now);
    if (!$("dialog").open && moved) image.title.focus();
  } else image.draw(entry, fleet.controllers.get(entry.controller), clock.now);
  show(image.element, true);
}

let moved = false; // whether the person came here from another view: then the heading gets the focus

function navigate() {
  const [, controller, uuid] = /^#\/image\/([^/]+)\/([^/?]+)$/.exec(location.hash) ?? [];
  const before = place;
  image?.stop();
  image?.element.remove();
  image = null;
  place = controller ? { ...namesOf(controller, uuid) } : { key: null, controller: "", uuid: "" };
  if (place.key === null) fleetView.filters.adopt(location.hash.split("?")[1] ?? "");
  if (moved && place.key !== null) window.scrollTo(0, 0);
  draw();
  if (moved && place.key === null && before.key !== null) returnTo(before.key);
}

/** Back in the list, where one came from. */
function returnTo(key) {
  const link = document.querySelector(`tr[data-key="${CSS.escape(key)}"] a`);
  if (link) link.focus();
}

function namesOf(controller, uuid) {
  try {
    const names = { controller: decodeURIComponent(controller), uuid: decodeURIComponent(uuid) };
    return { ...names, key: keyOf(names.controller, names.uuid) };
  } catch {
    return { controller, uuid, key: "" }; // no address of ours: nothing has it
  }
}

function signIn(text) {
  keepToken(text);
  drawToken();
  stream.again({ anew: true });
  image?.again();
}

function drawToken() {
  say($("token"), token() ? "Token in use" : "Enter token");
}

function openToken() {
  const dialog = $("dialog");
  const close = h("button", { type: "button", text: "Close", on: { click: () => dialog.close() } });
  const forget = h("button", {
    type: "button",
    text: "Forget the token",
    on: { click: () => (signIn(null), dialog.close()) },
  });
  const words = token()
    ? "A token is kept for this tab. Another one takes its place."
    : "Reading may need none; to change an image needs one with the scope annotate or adjust.";
  const form = signInForm((text) => (signIn(text), dialog.close()));
  dialog.replaceChildren(
    h("h2", { id: "dialog-title", text: "Token" }),
    h("p", { text: words }),
    form,
    h("div", { class: "line buttons" }, token() ? forget : null, close),
  );
  dialog.showModal();
  form.querySelector("input").focus();
}

function pressed(event) {
  const typing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName) || $("dialog").open;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && place.key === null) {
    event.preventDefault();
    fleetView.filters.fields.text.focus();
  }
}

function tick() {
  if (document.hidden) return drawTitle();
  connection.draw();
  if (place.key === null) fleetView.tick();
  else ask();
}

$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  $("main").focus();
});
$("token").addEventListener("click", openToken);
document.addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", () => document.hidden || (stream.nudge(), ask()));
window.addEventListener("online", () => stream.nudge());
window.addEventListener("hashchange", () => {
  moved = true;
  navigate();
});
drawToken();
navigate();
setInterval(tick, 1000);
stream.run();
