// Keys for the main path. An element that can be reached by a key says so itself: data-key="a" names the action by its
// usual key, whichever key the person has given it (data-key-map on the body). A button or a link is clicked, a folded
// form is opened and its first field takes the focus, a field is focused. Single keys rest in fields, in dialogs, with a
// modifier held, and when the person has switched them off; or they act only while Alt is held (WCAG 2.1.4).
(() => {
  "use strict";

  const way = document.body.dataset.keys || "on";
  const chosen = document.body.dataset.keyMap ? JSON.parse(document.body.dataset.keyMap) : null;

  const writable = (element) => element.closest("input:not([type=checkbox], [type=radio], [type=button], [type=submit]), select, textarea, [contenteditable]");

  const lines = () => [...document.querySelectorAll("[data-lines] [data-line]")];

  function step(by) {
    const links = lines();
    if (!links.length) return false;
    const row = document.activeElement?.closest("[data-row]");
    const at = links.indexOf(row?.querySelector("[data-line]") || document.activeElement);
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[to].focus();
    links[to].closest("li, tr")?.scrollIntoView({ block: "nearest" });
    return true;
  }

  // The action's name for the key pressed: its own, or on a layout where Alt makes another letter, the key's place.
  function meant(event) {
    const pressed = [event.key.length === 1 ? event.key : ""];
    if (event.altKey && /^Key[A-Z]$/.test(event.code)) pressed.push(event.code[3].toLowerCase());
    for (const key of pressed) {
      const name = chosen ? chosen[key] : key;
      if (name) return name;
    }
    return "";
  }

  function isFree(element) {
    return element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible" && !element.closest("[inert]");
  }

  function reached(name) {
    const found = [...document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`)];
    const here = document.activeElement?.closest("[data-row]") || null;
    return found.find((each) => isFree(each) && [null, here].includes(each.closest("[data-row]"))) || null;
  }

  function use(element) {
    if (element.disabled || element.getAttribute("aria-disabled") === "true") {
      window.countersign?.say(element.dataset.why || "Not possible now");
      element.focus();
      return;
    }
    if (element.tagName === "SUMMARY") {
      const details = element.parentElement;
      details.open = true;
      (details.querySelector("[data-first], select, input:not([type=hidden]), textarea") || element).focus();
      details.scrollIntoView({ block: "nearest" });
      return;
    }
    if (element.type === "radio") {  // one press chooses, the same key again (or Enter) sends
      if (element.checked) element.form.requestSubmit();
      else element.click();
      element.focus();
      return;
    }
    if (writable(element)) {
      element.focus();
      element.select?.();
      element.scrollIntoView({ block: "nearest" });
      return;
    }
    element.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : document.body;

    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = target.closest("form");
      if (form) {
        event.preventDefault();
        if (window.countersign.wasShown(event)) form.requestSubmit();
      }
      return;
    }
    if (event.key === "Escape") {
      const open = target.closest("details[open]");
      if (open && !document.querySelector("dialog[open]")) {
        open.open = false;
        open.querySelector("summary")?.focus();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;

    if (!event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp") && (target === document.body || target.hasAttribute("data-line") || target.id === "main" || target.tagName === "H1")) {
      if (step(event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      return;
    }
    if (way === "off" || event.altKey !== (way === "alt") || writable(target)) return;

    const name = meant(event);
    if (!name) return;
    if (name === "j" || name === "k") {
      if (step(name === "j" ? 1 : -1)) event.preventDefault();
      return;
    }
    if (event.repeat) return;
    if (name === "?") {
      event.preventDefault();
      document.getElementById("keys")?.showModal();
      return;
    }
    if (!window.countersign.wasShown(event)) return;
    const element = reached(name);
    if (!element) {
      if (document.querySelector(`[data-row] [data-key="${CSS.escape(name)}"]`)) window.countersign.say("Choose a row first.");
      return;
    }
    event.preventDefault();
    const begun = name === "a" && element.closest("#decide")?.querySelector("details[open] summary");
    if (begun) {
      window.countersign.say("Another verdict is being written. Close it with Escape before you approve.");
      begun.focus();
      return;
    }
    use(element);
  });
})();
