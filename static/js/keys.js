// Keys for the main path. An element that can be reached by a key says so itself (data-key="a"): a button or a link is
// clicked, a folded form is opened and its first field takes the focus. Single keys rest in fields, in dialogs, with a
// modifier held, and when the person has switched them off (WCAG 2.1.4).
(() => {
  "use strict";

  const off = document.body.dataset.keys === "off";
  if (!off) document.documentElement.classList.add("has-keys");

  const writable = (element) => element.closest("input:not([type=checkbox], [type=radio], [type=button], [type=submit]), select, textarea, [contenteditable]");

  const lines = () => [...document.querySelectorAll("[data-lines] [data-line]")];

  function step(by) {
    const links = lines();
    if (!links.length) return false;
    const at = links.indexOf(document.activeElement);
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[to].focus();
    links[to].closest("li, tr")?.scrollIntoView({ block: "nearest" });
    return true;
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
      (details.querySelector("select, input:not([type=hidden]), textarea") || element).focus();
      details.scrollIntoView({ block: "nearest" });
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
        form.requestSubmit();
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
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;

    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (target === document.body || target.hasAttribute("data-line") || target.id === "main" || target.tagName === "H1")) {
      if (step(event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      return;
    }
    if (off || writable(target) || event.repeat && !["j", "k"].includes(event.key)) return;

    if (event.key === "j" || event.key === "k") {
      if (step(event.key === "j" ? 1 : -1)) event.preventDefault();
      return;
    }
    if (event.key === "?") {
      event.preventDefault();
      document.getElementById("keys")?.showModal();
      return;
    }
    if (!/^[a-z]$/.test(event.key) || !window.countersign.wasShown(event)) return;
    const element = document.querySelector(`[data-key="${event.key}"]`);
    if (!element) return;
    event.preventDefault();
    const begun = element.dataset.key === "a" && element.closest("#decide")?.querySelector("details[open] summary");
    if (begun) {
      window.countersign.say("Another verdict is being written. Close it with Escape before you approve.");
      begun.focus();
      return;
    }
    use(element);
  });
})();
