// The reviewer's desk: hand a proposal back when its page is left, open approval once all of it was in view, and say when
// a countdown is over. Without this file claims run out by themselves and the reader ticks a box instead.
(() => {
  "use strict";

  const main = () => document.getElementById("main");
  const say = (text) => window.countersign?.say(text);

  // — The claim. Its part of the page asks for it when shown and renews it (hx-trigger); this hands it back.
  const held = () => document.querySelector("#lease[data-hand-back]");
  const begin = (lease) => lease.dataset.handBack.replace(/release\/$/, "");
  let typed = false;  // whoever has begun to write comes back to it
  let staying = false;  // the way leads to the same proposal: its edit form, its decision, a reload

  document.addEventListener("input", (event) => { if (main()?.contains(event.target)) typed = true; });

  const isOfThis = (address) => {
    const lease = held();
    return Boolean(lease) && new URL(address, location.href).pathname.startsWith(begin(lease));
  };

  function handBack(lease) {
    const form = new FormData();
    form.append("csrfmiddlewaretoken", JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"]);
    form.append("leaving", "1");
    navigator.sendBeacon(lease.dataset.handBack, form);
  }

  function leaveFor(address, isReload) {
    staying = isReload || isOfThis(address);
    if (staying) setTimeout(() => { staying = false; }, 10000); // a download or a broken-off way leaves the page standing
  }

  window.countersign.whenLeaving(leaveFor);

  // The browser's own reload tells nobody. By its button the claim is handed back and taken again by the page that comes.
  document.addEventListener("keydown", (event) => {
    if (event.key === "F5" || (event.key === "r" && (event.ctrlKey || event.metaKey))) leaveFor("/", true);
  });

  addEventListener("pagehide", () => {
    const lease = held();
    if (lease && !typed && !staying) handBack(lease);
  });
  addEventListener("pageshow", (event) => {
    staying = false;
    if (event.persisted) document.body.dispatchEvent(new CustomEvent("countersign:back"));
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent("countersign:back"));
  });

  // Another page's content put in the place of this one is a way of leaving, too.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, shouldSwap, requestConfig } = event.detail;
    if (!shouldSwap || !target || target.id !== "main") return;
    const lease = held();
    if (lease && !typed && !isOfThis(requestConfig.path)) handBack(lease);
    typed = false;
  });

  // — The gate: what cannot be undone is approved only once every part of it was in view, not merely its end.
  let gate = null;

  class Gate {
    constructor(box) {
      this.box = box;
      this.form = box.form;
      this.approve = this.form.querySelector("[data-key='a']");
      this.words = this.form.querySelector("[data-gate-words]");
      this.rest = this.form.querySelector("[data-gate-rest]");
      this.parts = [...document.querySelectorAll(".sheet, .unverified")].map((element) => ({ element, height: 0, seen: [] }));
      this.box.disabled = true;
      this.approve.setAttribute("aria-disabled", "true");
      this.approve.dataset.why = "Approval opens when all of it was in view. Read on to the end first.";
      this.rest.addEventListener("click", () => this.showRest());
      this.isOpen = false;
      // A page that was swapped in is still to be scrolled to its top; what is in view is known when it is painted.
      requestAnimationFrame(() => {
        this.rest.hidden = false;
        this.look();
      });
    }

    // The window's rows that nothing lies over: below the bar, above the decision part where that is fixed to the bottom.
    between(element) {
      const bar = document.querySelector(".bar");
      const top = bar && getComputedStyle(bar).position === "sticky" ? Math.max(0, bar.getBoundingClientRect().bottom) : 0;
      let bottom = innerHeight;
      const desk = document.getElementById("decide");
      if (desk && getComputedStyle(desk).position === "sticky") {
        const over = desk.getBoundingClientRect();
        const under = element.getBoundingClientRect();
        if (over.left < under.right && over.right > under.left && over.bottom > innerHeight - 2) bottom = Math.min(bottom, over.top);
      }
      return [top, bottom];
    }

    look() {
      if (this.isOpen || document.hidden) return;
      for (const part of this.parts) {
        const place = part.element.getBoundingClientRect();
        if (part.height && Math.abs(part.height - place.height) > 1) {
          const scale = place.height / part.height;
          part.seen = part.seen.map(([from, to]) => [from * scale, to * scale]);
        }
        part.height = place.height;
        const [top, bottom] = this.between(part.element);
        const from = Math.max(0, top - place.top);
        const to = Math.min(place.height, bottom - place.top);
        if (to > from) part.seen = joined([...part.seen, [from, to]]);
      }
      const all = this.parts.reduce((sum, part) => sum + part.height, 0);
      const left = this.parts.reduce((sum, part) => sum + gaps(part).reduce((rest, [from, to]) => rest + to - from, 0), 0);
      if (left === 0) this.open();
      else this.tell(Math.min(99, Math.floor(100 * (1 - left / all))));
    }

    tell(percent) {
      const words = `${percent} % of it was in view so far. Approval opens when all of it was.`;
      if (this.words.textContent !== words) this.words.textContent = words;
    }

    open() {
      this.isOpen = true;
      this.box.disabled = false;
      this.box.checked = true;
      this.rest.classList.add("is-gone");  // its place stays: nothing moves under the pointer
      this.approve.removeAttribute("aria-disabled");
      this.words.textContent = "All of it was in view.";
      say("All of it was in view. You can approve now.");
    }

    showRest() {
      const part = this.parts.find((each) => gaps(each).length);
      if (!part) return;
      const [from] = gaps(part)[0];
      const [top] = this.between(part.element);
      scrollBy({ top: part.element.getBoundingClientRect().top + from - top - 24, behavior: "instant" });
    }
  }

  // Stretches in order, those that touch made one.
  function joined(stretches) {
    const made = [];
    for (const [from, to] of stretches.sort((one, other) => one[0] - other[0])) {
      const last = made[made.length - 1];
      if (last && from <= last[1] + 2) last[1] = Math.max(last[1], to);
      else made.push([from, to]);
    }
    return made;
  }

  // What of a part was never in view; a pixel of rounding at its edges counts as seen.
  function gaps(part) {
    const made = [];
    let at = 0;
    for (const [from, to] of [...part.seen, [part.height, part.height]]) {
      if (from - at > 3) made.push([at, from]);
      at = Math.max(at, to);
    }
    return made;
  }

  function arrive() {
    const box = document.querySelector("#decide [data-gate] input[type=checkbox]");
    if (!box) gate = null;
    else if (!gate || gate.box !== box) gate = new Gate(box);
    watchCountdowns();
  }

  for (const kind of ["scroll", "resize"]) addEventListener(kind, () => gate?.look(), { passive: true });
  document.addEventListener("visibilitychange", () => gate?.look());
  document.addEventListener("submit", (event) => {
    if (!gate || gate.isOpen || event.target !== gate.form) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    say(gate.approve.dataset.why);
    gate.rest.focus();
  }, true);

  // — Countdowns run in the style sheet; here their end is said, and what they offered is gone for keys as well.
  function watchCountdowns() {
    for (const element of document.querySelectorAll("[data-ends]:not([data-watched])")) {
      element.dataset.watched = "1";
      setTimeout(() => {
        if (!element.isConnected) return;
        element.classList.add("is-over");
        say(element.dataset.over);
        for (const button of element.querySelectorAll("[data-key]")) button.removeAttribute("data-key");
      }, Number(element.dataset.ends) * 1000);
    }
  }

  document.addEventListener("htmx:afterSettle", arrive);
  if (document.readyState === "complete") arrive();
  else addEventListener("load", arrive);
})();
