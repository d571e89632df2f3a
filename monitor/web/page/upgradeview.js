/** The view of the upgrade of one controller: steps, checks, Controllers, groups of Service Engines, and what happened. */

import { apiUrl, getJson, unitPath } from "./api.js";
import { unitTarget } from "./editing.js";
import { externalText, h, setText, setVisible } from "./dom.js";
import { GroupList } from "./upgrade-groups.js";
import { panel } from "./panel.js";
import { problemBox } from "./problem.js";
import { Refetcher } from "./refetch.js";
import { checkList } from "./upgrade-checks.js";
import { ControllersPanel } from "./upgrade-controllers.js";
import { UpgradeHead } from "./upgrade-head.js";
import { UpgradeLog } from "./upgrade-log.js";
import { checksText, clusterOf } from "./upgrade-status.js";
import { absenceOf } from "./upgrade-time.js";
import { truncate } from "./format.js";

/** @import { Editor } from "./editing.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/** @typedef {{body: TaskPage, etag: string | null}} Loaded */

const CHECKS_HINT = "Before it changes anything, the Controller checks what could stop the upgrade.";
const CONTROLLERS_HINT =
  "Controllers manage the Service Engines, and carry no traffic. While they are upgraded or away, traffic goes on, but " +
  "nothing can be configured.";

export class UpgradeView {
  /** The cluster as it was drawn last. @type {UnitStatus | null} */
  #cluster = null;
  /** Of the cluster with the uuid in #tasksOf. @type {Refetcher<Loaded> | null} */
  #tasks = null;
  #tasksOf = "";
  #wasUp = true;
  #checksCount = h("p");
  #checks = h("div");
  #log;
  #head = new UpgradeHead();
  title = h("h1", { tabindex: "-1" });
  #unread = h("p", { class: "notice", role: "status" });

  /** @param {string} controller @param {Editor} editor */
  constructor(controller, editor) {
    this.controller = controller;
    /** @param {UnitStatus} unit */
    const acknowledge = (unit) => editor.acknowledge(unitTarget(controller, unit));
    this.controllers = new ControllersPanel(acknowledge);
    this.#log = new UpgradeLog(controller);
    this.groups = new GroupList({ controller, acknowledge });
    this.title.append("Upgrade of ", externalText(truncate(controller, 200)));
    this.panels = h(
      "div",
      { class: "image-view" },
      panel("State of the upgrade", this.#head.element),
      panel("Checks", h("div", { class: "stack" }, hint(CHECKS_HINT), this.#checksCount, this.#checks)),
      panel("Controllers", h("div", { class: "stack" }, hint(CONTROLLERS_HINT), this.controllers.element)),
      panel("Service Engine groups", this.groups.element),
      panel("What happened", this.#log.element),
    );
    const back = h("a", { href: "#/", class: "back", text: "← All controllers and images" });
    this.element = h(
      "article",
      { class: "image-view upgrade-view", "data-controller": controller },
      h("div", { class: "image-head" }, back, this.title),
      this.#unread,
      this.panels,
    );
  }

  /**
   * Show what the event stream sent.
   * @param {ControllerUpgrade | undefined} upgrade undefined: it is not watched
   * @param {ControllerHealth | undefined} health of the controller
   * @param {number} now
   */
  draw(upgrade, health, now) {
    const reason = whyUnread(upgrade, now);
    setText(this.#unread, reason);
    setVisible(this.#unread, reason !== "");
    setVisible(this.panels, reason === "");
    if (!upgrade || reason) return;
    this.#head.draw(upgrade, health, now);
    this.groups.draw(upgrade, now);
    this.#log.draw(upgrade, now);
    const cluster = clusterOf(upgrade);
    if (cluster) this.#drawCluster(cluster, upgrade, now);
    const isUp = health?.up ?? true;
    if (isUp && !this.#wasUp) this.refetchAll();
    this.#wasUp = isUp;
  }

  /** @param {UnitStatus} cluster @param {ControllerUpgrade} upgrade @param {number} now */
  #drawCluster(cluster, upgrade, now) {
    const before = this.#cluster;
    this.#cluster = cluster;
    this.controllers.draw(this.controller, cluster, upgrade, now);
    setText(this.#checksCount, checksText(cluster.checks));
    if (this.#tasksOf !== cluster.uuid) this.#loadTasks(cluster.uuid);
    else if (before && (before.changed_at !== cluster.changed_at || before.state !== cluster.state))
      this.#tasks?.refetch();
  }

  /** @param {string} uuid of the cluster */
  #loadTasks(uuid) {
    this.#tasks?.stop();
    this.#tasksOf = uuid;
    const url = apiUrl(`${unitPath(uuid)}/tasks`, { controller: this.controller });
    const tasks = new Refetcher(
      (signal) => getJson(url, signal),
      ({ body }) => this.#showTasks(body),
      (error) => this.#showError(error),
    );
    this.#tasks = tasks;
    tasks.refetch();
  }

  /** @param {TaskPage} detail */
  #showTasks(detail) {
    this.controllers.showTasks(detail);
    this.#checks.replaceChildren(...(detail.checks.length ? [checkList(detail.checks)] : []));
  }

  /** @param {unknown} error */
  #showError(error) {
    this.controllers.showError(error);
    if (!this.#checks.childElementCount && this.#cluster?.checks) this.#checks.replaceChildren(problemBox(error));
  }

  /** A PATCH was sent from this page: what it changed comes with the event stream. */
  refetchAfterPatch() {}

  /** The token changed, or the daemon or the controller is back: what failed before may work now. */
  refetchAll() {
    this.#tasks?.refetch();
    this.groups.refetch();
  }

  stop() {
    this.#tasks?.stop();
    this.controllers.stop();
    this.groups.stop();
  }
}

/** @param {string} text */
function hint(text) {
  return h("p", { class: "hint", text });
}

/** Why there is nothing to show; "" where there is. @param {ControllerUpgrade | undefined} upgrade @param {number} now */
function whyUnread(upgrade, now) {
  if (!upgrade || (upgrade.status.readable === null && !upgrade.units.size))
    return "Nothing is known of its upgrades: it was not read yet, or its upgrades are not watched (upgrades.watch).";
  if (upgrade.status.readable === false)
    return "The Controller does not let this monitor read upgrades: its account needs read access to “Controller”.";
  if (upgrade.health?.stale) {
    const absence = absenceOf(upgrade.status, null, now);
    const away = absence ? `${absence.what}${absence.advice}. ${absence.since} ` : "";
    return `${away}What was known of the upgrade is too old, and is not shown any more.`;
  }
  return upgrade.units.size ? "" : "The Controller lists nothing that could be upgraded.";
}
