// The edit form's comforts: what is changed is marked as it is typed, one field goes back at once, faults of the live
// preview stand beside their fields, the focus survives a step, and leaving asks first. Without this file every step is
// a submit and the preview stands behind "Check".
(() => {
  "use strict";

  const form = () => document.getElementById("edit");
  const lines = (text) => text.replace(/\r\n?/g, "\n");
  let leaving = false;
  let told = "";
  let pressed = null;
  let held = "";

  function control(field) {
    return field.querySelector("[name^='v:']:not([type=radio])");
  }

  function value(field) {
    const one = control(field);
    if (one) return one.value;
    return field.querySelector("[type=radio]:checked")?.value ?? "";
  }

  function agents(field) {
    return (control(field) || field).dataset.agent || "";
  }

  function isChanged(field) {
    if (lines(value(field)) !== lines(agents(field))) return true;
    const empty = field.querySelector("[name^='e:']");
    return Boolean(empty && empty.dataset.agent && !value(field) && empty.value !== empty.dataset.agent);
  }

  function isDirty() {
    const edit = form();
    if (!edit) return false;
    if (edit.dataset.begun === "yes" || edit.querySelector("#comment")?.value) return true;
    return [...edit.querySelectorAll("[data-field]")].some(isChanged);
  }

  function mark(field) {
    const changed = isChanged(field);
    field.classList.toggle("field--changed", changed);
    const undo = field.querySelector("button[name=undo]");
    if (undo) undo.hidden = !changed;
    const reads = field.querySelector(".field__reads");
    const one = control(field);
    if (reads && one) reads.hidden = lines(one.value) !== lines(one.defaultValue);
  }

  function touched(event) {
    const edit = form();
    if (!edit || !edit.contains(event.target)) return;
    const field = event.target.closest("[data-field]");
    if (field) mark(field);
    document.getElementById("preview")?.classList.add("preview--stale");
  }
  document.addEventListener("input", touched);
  document.addEventListener("change", touched);

  document.addEventListener("change", (event) => {
    if (!event.target.hasAttribute("data-shape")) return;
    event.target.closest(".shape")?.querySelector("button[name=switch]")?.click();
  });

  // One field back to what the agent wrote, here and now; lists and groups go back by a submit.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#edit button[name]");
    if (!button) return;
    const field = button.closest("[data-field]");
    if (button.name !== "undo" || !field) {
      pressed = { name: button.name, value: button.value };
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const one = control(field);
    if (one) one.value = agents(field);
    for (const radio of field.querySelectorAll("[type=radio]")) radio.checked = radio.value === agents(field);
    const empty = field.querySelector("[name^='e:']");
    if (empty && empty.dataset.agent) empty.value = empty.dataset.agent;
    const to = one || field.querySelector("[type=radio]:checked") || field;
    to.focus();
    to.dispatchEvent(new Event("input", { bubbles: true }));
    window.countersign?.say("Back to the agent’s value.");
  }, true);

  // Faults of the preview, beside the fields that somebody has touched or that were found faulty before.
  function beside() {
    const edit = form();
    const faults = [...document.querySelectorAll("#preview [data-beside]")];
    for (const box of edit.querySelectorAll(".field__errors")) {
      const id = box.id.replace(/-error$/, "");
      const mine = faults.filter((fault) => fault.dataset.beside === id);
      const shown = box.childElementCount > 0 || mine.some((fault) => fault.hasAttribute("data-touched"));
      const texts = shown ? mine.map((fault) => fault.querySelector("span").textContent) : [];
      if (texts.join("\n") === [...box.children].map((one) => one.textContent.trim()).join("\n")) continue;
      box.replaceChildren(...texts.map((text) => {
        const line = document.createElement("p");
        line.className = "field__error";
        line.textContent = text;
        return line;
      }));
      const field = box.closest("[data-field]");
      if (!field) continue;
      field.classList.toggle("field--error", texts.length > 0);
      const one = control(field);
      if (one && texts.length) one.setAttribute("aria-invalid", "true");
      else one?.removeAttribute("aria-invalid");
    }
    const above = document.getElementById("form-errors");
    if (above) above.hidden = !document.querySelector("#preview .preview__faults");
  }

  function tell() {
    const words = document.querySelector("#preview [data-tell]")?.textContent.trim() || "";
    if (words && words !== told) window.countersign?.say(words);
    told = words;
  }

  function place(key, by) {
    return key.replace(/\d+$/, (digits) => String(Number(digits) + by));
  }

  // After a step the focus goes where it leads: into the new row, to the same button of the row that was moved.
  function focus() {
    const edit = form();
    if (edit.dataset.shown) return;
    edit.dataset.shown = "yes";
    const moved = pressed && { up: -1, down: 1 }[pressed.name];
    const last = pressed;
    pressed = null;
    if (moved) {
      const key = CSS.escape(place(last.value, moved));
      const again = edit.querySelector(`button[name=${last.name}][value="${key}"]`)
        || edit.querySelector(`button[name=up][value="${key}"], button[name=down][value="${key}"]`);
      if (again) return again.focus();
    }
    const wanted = edit.querySelector("[data-focus]");
    if (wanted) return (wanted.matches("fieldset[data-field]") && wanted.querySelector(":checked") || wanted).focus();
    (document.getElementById(held) || document.getElementById("check")).focus();
  }

  // While a step or the edit itself is on its way the form rests: what would be typed now would not come along.
  const isOurs = (event) => event.detail.elt.closest?.("#edit") && event.detail.target?.id !== "preview";
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!isOurs(event)) return;
    held = document.activeElement.id;
    form().inert = true;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const edit = form();
    if (!edit || !edit.inert || !isOurs(event)) return;
    edit.inert = false;
    document.getElementById(held)?.focus();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (!form()) return;
    const id = event.detail.target.id;
    if (id === "preview") {
      beside();
      tell();
    } else if (id === "editing") {
      focus();
      tell();
    }
  });

  // A link in the list of faults leads into the field, also where that is a set of choices.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#edit a[href^='#f']");
    const target = link && document.getElementById(link.hash.slice(1));
    if (!target) return;
    event.preventDefault();
    const inner = target.matches("fieldset, div") ? target.querySelector("input:not([type=hidden]), select, textarea, button") : null;
    (inner || target).focus();
  });

  // Ctrl+Enter sends from inside the form (keys.js); here also from beside it.
  document.addEventListener("keydown", (event) => {
    const edit = form();
    if (!edit || event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.target.closest("form")) return;
    event.preventDefault();
    if (!edit.inert) edit.requestSubmit();
  });

  document.addEventListener("submit", (event) => {
    if (event.target === form() && !event.defaultPrevented) leaving = true;
  });
  addEventListener("beforeunload", (event) => {
    if (!leaving && isDirty()) event.preventDefault();
  });
})();
