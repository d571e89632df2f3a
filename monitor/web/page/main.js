/** Entry point: one event stream, one fleet, the view that the address names; all changes are drawn in one frame. */

import { Editor, imageTarget } from "./editing.js";
import { Announcer } from "./announce.js";
import { apiUrl } from "./api.js";
import { Clock } from "./clock.js";
import { Connection } from "./connection.js";
import { find, h, setText, setVisible } from "./dom.js";
import { entryKey, Fleet } from "./fleet.js";
import { FleetView } from "./fleetview.js";
import { ImageView } from "./imageview.js";
import { readPlace } from "./place.js";
import { countStandings, prepareSearch } from "./sort.js";
import { signInForm } from "./signin.js";
import { EventStream } from "./stream.js";
import { storedToken, storeToken } from "./token.js";
import { headline } from "./upgrade-status.js";
import { isMoving } from "./upgrades.js";
import { UpgradeView } from "./upgradeview.js";
import { plural, truncate } from "./format.js";

/** @import { Place } from "./place.js" */
/** @import { StreamStatus } from "./stream.js" */

/** @param {string} id */
const byId = (id) => find(document, `#${id}`, HTMLElement);
const stopwatch = () => performance.now() / 1000;

const page = {
  banner: byId("banner"),
  waiting: byId("waiting"),
  waitingText: find(document, "#waiting p", HTMLElement),
  fleet: byId("fleet"),
  opened: byId("opened"),
  missing: byId("missing"),
  missingText: find(document, "#missing p", HTMLElement),
  locked: byId("locked"),
  main: byId("main"),
  summary: byId("summary"),
  connection: byId("connection"),
  token: byId("token"),
  skip: byId("skip"),
  dialog: find(document, "#dialog", HTMLDialogElement),
  announcements: byId("announcements"),
};

const fleet = new Fleet();
const clock = new Clock(stopwatch);
const announcer = new Announcer(page.announcements);
const editor = new Editor({
  dialog: page.dialog,
  onPatched: () => openView?.refetchAfterPatch(),
  onTokenChanged: () => drawToken(),
});
const stream = new EventStream(apiUrl("events"), {
  stopwatch,
  onMessage,
  onBytes: () => clock.keepRunning(),
  onStatus,
});
const fleetView = new FleetView(page.fleet, {
  fleet,
  clock,
  requestDraw,
  acknowledge: (entry) => editor.acknowledge(imageTarget(entry)),
  announce: (sentence) => announcer.announce(sentence),
});
const connection = new Connection({
  banner: page.banner,
  indicator: page.connection,
  locked: page.locked,
  stream,
  clock,
  stopwatch,
  announcer,
  signIn,
});

/** The view of one image or of one upgrade. @type {ImageView | UpgradeView | null} */
let openView = null;
/** @type {Place} */
let place = readPlace("");
let drawRequested = false;
let lost = false; // the connection
let navigated = false; // whether the person came here from another view: then the heading gets the focus

/** @param {string} event @param {any} data */
function onMessage(event, data) {
  if (event !== "state" && event !== "change") return;
  clock.set(data.now);
  announcer.announceTransitions(event === "state" ? fleet.applyState(data) : fleet.applyChange(data));
  if (event === "state") (window.requestIdleCallback ?? setTimeout)(() => prepareSearch(fleet.entries.values()));
  if (document.hidden) drawTitle(); // a hidden page gets no frames, but its title is visible in the tab
  requestDraw();
}

/** @param {StreamStatus} status */
function onStatus({ kind }) {
  if (kind === "waiting" || kind === "locked") {
    lost = true;
    clock.stop();
  } else if (kind === "live" && lost) {
    lost = false;
    openView?.refetchAll(); // its requests failed meanwhile
  }
  requestDraw();
}

/** Draw once, in the next frame. */
function requestDraw() {
  if (drawRequested) return;
  drawRequested = true;
  requestAnimationFrame(() => {
    drawRequested = false;
    draw();
  });
}

function draw() {
  connection.draw();
  drawWaiting();
  const { view } = place;
  setVisible(page.fleet, fleet.loaded && view === "fleet");
  setVisible(page.opened, fleet.loaded && view !== "fleet");
  drawTitle();
  if (!fleet.loaded) return;
  if (view === "fleet") fleetView.draw();
  else if (view === "image") drawImage();
  else drawUpgrade();
}

function drawWaiting() {
  const { kind } = stream.status;
  const waiting = !fleet.loaded && kind !== "locked";
  setVisible(page.waiting, waiting);
  const connecting = `Connecting to ${location.host} …`;
  const text = kind === "live" ? "Connected. Waiting for the state of the fleet …" : connecting;
  setText(page.waitingText, waiting && kind === "waiting" ? "No data has been received yet." : text);
}

function drawTitle() {
  const { now } = clock;
  if (!fleet.loaded || now === null) return;
  const { active, failed, stalled, total } = countStandings(fleet);
  const upgrading = [...fleet.upgrades.values()].filter(({ status }) => isMoving(status)).length;
  const counts = [plural(active, "upload")];
  if (upgrading) counts.push(plural(upgrading, "upgrade"));
  if (failed) counts.push(`${failed} failed`);
  if (stalled) counts.push(`${stalled} stalled`);
  const summary = counts.join(", ");
  const prefix = stream.status.kind === "waiting" ? "(not connected) " : "";
  const upgrade = place.view === "upgrade" ? fleet.upgrades.get(place.controller) : undefined;
  const subject = upgrade ? `${truncate(place.controller, 40)}: ${headline(upgrade).text}` : summary;
  const title = `${prefix}${subject} – Avi upgrade monitor`;
  if (document.title !== title) document.title = title;
  setText(page.summary, `${summary}${total ? `, ${plural(total, "image")} in all` : ""}`);
}

function drawImage() {
  const { now } = clock;
  const entry = fleet.entries.get(entryKey(place.controller, place.uuid));
  if (!entry || now === null) {
    const where = `${truncate(place.controller, 80)} has no image ${truncate(place.uuid, 80)} at present.`;
    drawMissing(`${where} It was removed, or your token may not read it.`);
    return;
  }
  const view = openView instanceof ImageView ? openView : new ImageView(entry, editor);
  view.draw(entry, fleet.controllers.get(entry.controller), fleet.upgrades.get(entry.controller), now);
  show(view);
}

function drawUpgrade() {
  const { now } = clock;
  const health = fleet.controllers.get(place.controller);
  if (!health || now === null) {
    const where = `There is no controller ${truncate(place.controller, 80)}.`;
    drawMissing(`${where} It is not configured, or your token may not read it.`);
    return;
  }
  const view = openView instanceof UpgradeView ? openView : new UpgradeView(place.controller, editor);
  view.draw(fleet.upgrades.get(place.controller), health, now);
  show(view);
}

/** @param {string} text */
function drawMissing(text) {
  setText(page.missingText, text);
  setVisible(page.missing, true);
  if (openView) setVisible(openView.element, false);
}

/** @param {ImageView | UpgradeView} view that was drawn */
function show(view) {
  const first = view !== openView;
  openView = view;
  if (first) page.opened.append(view.element);
  setVisible(page.missing, false);
  setVisible(view.element, true);
  if (first && !page.dialog.open && navigated) view.title.focus();
}

/** Show what the address names. */
function navigate() {
  const before = place;
  openView?.stop();
  openView?.element.remove();
  openView = null;
  place = readPlace(location.hash);
  if (place.view === "fleet") fleetView.filters.readAddress(location.hash.split("?")[1] ?? "");
  if (navigated && place.view !== "fleet") window.scrollTo(0, 0);
  draw();
  if (navigated && place.view === "fleet") focusLinkTo(before);
}

/** Back among the fleet: focus the link to what the person came from. @param {Place} before */
function focusLinkTo({ view, controller, uuid }) {
  const [name, value] = view === "upgrade" ? ["upgrade", controller] : ["key", entryKey(controller, uuid)];
  const link = view === "fleet" ? null : page.fleet.querySelector(`[data-${name}="${CSS.escape(value)}"] a`);
  if (link instanceof HTMLElement) link.focus();
}

/** @param {string | null} token null forgets it */
function signIn(token) {
  storeToken(token);
  drawToken();
  stream.reconnect({ fromScratch: true });
  openView?.refetchAll();
}

function drawToken() {
  setText(page.token, storedToken() ? "Token in use" : "Enter token");
}

function openTokenDialog() {
  const { dialog } = page;
  /** @param {string | null} token */
  const use = (token) => {
    signIn(token);
    dialog.close();
  };
  const close = h("button", { type: "button", text: "Close", on: { click: () => dialog.close() } });
  const forget = h("button", { type: "button", text: "Forget the token", on: { click: () => use(null) } });
  const text = storedToken()
    ? "A token is stored for this tab. Another one replaces it."
    : "Reading may work without a token; changing an image needs one with the scope annotate or adjust.";
  const form = signInForm(use);
  dialog.replaceChildren(
    h("h2", { id: "dialog-title", text: "Token" }),
    h("p", { text }),
    form,
    h("div", { class: "line buttons" }, storedToken() ? forget : null, close),
  );
  dialog.showModal();
  find(form, "input", HTMLInputElement).focus();
}

/** @param {KeyboardEvent} event */
function onKeyDown(event) {
  const { target } = event;
  const typing = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || page.dialog.open;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && place.view === "fleet") {
    event.preventDefault();
    fleetView.filters.fields.text.focus();
  }
}

/** Once a second. */
function tick() {
  if (document.hidden) {
    drawTitle();
    return;
  }
  connection.draw();
  if (place.view === "fleet") fleetView.tick();
  else requestDraw();
}

page.skip.addEventListener("click", (event) => {
  event.preventDefault(); // the hash belongs to the views
  page.main.focus();
});
page.token.addEventListener("click", openTokenDialog);
document.addEventListener("keydown", onKeyDown);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  stream.checkConnection();
  requestDraw();
});
window.addEventListener("online", () => stream.checkConnection());
window.addEventListener("hashchange", () => {
  navigated = true;
  navigate();
});
drawToken();
navigate();
setInterval(tick, 1000);
stream.run();
byId("unloaded").remove(); // last: what fails before leaves it
