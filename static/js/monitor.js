// The monitor: time left by the server's clock, honest after a sleep; what the pulse brings in without touching what
// somebody points at or writes in; and rows that are over put away while nobody works in their list. Without this file
// the page shows the exact times, its forms work, and a reload brings it up to date.
(() => {
  "use strict";

  const SLEPT = 5000; // milliseconds without a tick after which nothing shown is believed before the server has answered
  const STAY = 60000; // so long a row that has run or ended keeps its place
  const MOST = 60;

  const monitor = () => document.getElementById("monitor");
  const pulse = () => document.getElementById("monitor-pulse");
  const opened = performance.getEntriesByType("navigation")[0];
  let offset = Number(monitor()?.dataset.now || 0) - (performance.timeOrigin + (opened?.responseStart || 0));
  let last = Date.now();
  let skipped = false; // an answer could not be taken in where somebody was at work
  const settled = new WeakMap(); // row → since when it is no longer scheduled

  // As approvals/templatetags/monitor.py says it.
  function left(seconds) {
    const rest = Math.max(0, Math.floor(seconds));
    const [days, hours, minutes] = [Math.floor(rest / 86400), Math.floor(rest / 3600) % 24, Math.floor(rest / 60) % 60];
    const two = (number) => String(number).padStart(2, "0");
    if (days) return `${days} d ${hours} h`;
    return hours ? `${hours}:${two(minutes)}:${two(rest % 60)}` : `${minutes}:${two(rest % 60)}`;
  }

  function look() {
    if (pulse() && !document.hidden) window.htmx.trigger(pulse(), "look");
  }

  function doubt(isLost) {
    monitor()?.classList.add("is-unsure");
    if (isLost) monitor()?.querySelector(".watches__lost")?.removeAttribute("hidden");
  }

  function believe(clock) {
    if (clock) offset = clock - Date.now();
    monitor()?.classList.remove("is-unsure");
    monitor()?.querySelector(".watches__lost")?.setAttribute("hidden", "");
    tick();
  }

  function tick() {
    const here = Date.now();
    if (Math.abs(here - last) > SLEPT) {
      doubt(false);
      look();
    }
    last = here;
    const unsure = monitor()?.classList.contains("is-unsure");
    for (const element of document.querySelectorAll("[data-runs]")) {
      const seconds = (Date.parse(element.dateTime) - here - offset) / 1000;
      const words = unsure ? "checking…" : seconds > 0 ? left(seconds) : "any moment";
      if (element.textContent !== words) element.textContent = words;
      element.closest("[data-row]")?.classList.toggle("watch--soon", seconds < 30);
      if (seconds < -2 && here - Number(element.dataset.asked || 0) > 4000) {
        element.dataset.asked = here; // its window is over and nothing was heard
        look();
      }
    }
  }

  // — What the pulse brings

  const isBusy = (element) => element.contains(document.activeElement) || element.querySelector("details[open]") !== null;
  const isFree = (list) => !list.matches(":hover") && !isBusy(list);

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "monitor-pulse") return;
    const ran = document.getElementById("ran");
    event.detail.parameters.free = ran && isFree(ran) ? "1" : "0";
    if (skipped) event.detail.parameters.told = "";
    skipped = false;
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target } = event.detail;
    const row = target.closest("[data-row]");
    if (row && !isFree(row.parentElement) && !row.querySelector("details[open]")) {
      row.style.height = `${row.getBoundingClientRect().height}px`; // what is said of it now moves no other row
      row.classList.add("is-held");
    }
    if (!target.id.startsWith("ways-") || !isBusy(target)) return;
    event.detail.shouldSwap = false;
    skipped = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr, successful } = event.detail;
    if (elt.id === "monitor-pulse" && successful) believe(Number(xhr.getResponseHeader("Countersign-Now")));
    else if (elt.id === "monitor-pulse") doubt(true);
    else if (xhr.status === 409 && elt.closest("[data-row]")) {
      elt.closest("details").open = false; // the refusal says what is still possible, and so does the row once it has looked
      look();
    }
  });
  for (const kind of ["focusout", "toggle"]) {
    document.addEventListener(kind, () => {
      if (skipped) setTimeout(() => { if (skipped && !document.querySelector("#monitor details[open]")) look(); }, 50);
    }, true);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    doubt(false);
    look();
  });
  addEventListener("pageshow", (event) => { if (event.persisted) { doubt(false); look(); } });

  // A row that was acted on keeps the focus: the first thing to fill in where something is missing, else the row itself.
  document.addEventListener("htmx:afterSettle", (event) => {
    const row = document.getElementById(event.detail.target?.id || "");
    if (!row?.matches("[data-row]")) return;
    const wanted = row.querySelector("details[open] :is([data-first], input:not([type=hidden]))") || row.querySelector("[data-line]");
    wanted.focus({ preventScroll: true });
  });

  // — Rows that are over go, and the soonest comes first again, while nobody points at their list or works in it.
  function tidy() {
    const [scheduled, ran] = [document.getElementById("scheduled"), document.getElementById("ran")];
    if (!scheduled || !ran) return;
    const now = Date.now();
    const rows = [...scheduled.children];
    for (const row of document.querySelectorAll("#monitor .is-held")) {
      if (!isFree(row.parentElement)) continue;
      row.style.height = "";
      row.classList.remove("is-held");
    }
    for (const row of rows) if (!row.querySelector("[data-runs]") && !settled.has(row)) settled.set(row, now);
    if (isFree(scheduled)) {
      for (const row of rows) {
        if (now - (settled.get(row) ?? now) < STAY) continue;
        if (row.querySelector(".watch__now--over")) row.remove();
        else if (isFree(ran)) ran.prepend(row);
      }
      const order = [...scheduled.children].sort((one, other) => Number(one.dataset.at) - Number(other.dataset.at));
      if (order.some((row, place) => scheduled.children[place] !== row)) scheduled.append(...order);
    }
    if (isFree(ran)) while (ran.children.length > MOST) ran.lastElementChild.remove();
  }

  setInterval(tick, 1000);
  setInterval(tidy, 5000);
  tick();
})();
