// Completing "@Name" while a comment is written, from the people the form names. Without this file the boxes below do it.
(() => {
  "use strict";

  let list = null;
  let area = null;
  let at = -1;

  const names = (field) => [...field.form.querySelectorAll("[data-name]")].map((element) => element.textContent);

  // The begun name before the caret, if it follows an @ that begins a word: "@", "@ra", "@Rita Re".
  function begun(field) {
    const before = field.value.slice(0, field.selectionStart);
    const found = /(?:^|\s)@([^@\n]{0,40})$/.exec(before);
    return found && field.selectionStart === field.selectionEnd ? found[1] : null;
  }

  function close() {
    if (!list) return;
    list.remove();
    list = null;
    area.removeAttribute("aria-activedescendant");
    area.removeAttribute("aria-controls");
    area = null;
    at = -1;
  }

  function mark(index) {
    at = index;
    [...list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === index)));
    area.setAttribute("aria-activedescendant", list.children[index].id);
    list.children[index].scrollIntoView({ block: "nearest" });
  }

  function show(field) {
    const start = begun(field);
    const wanted = start === null ? [] : names(field).filter((name) => name.toLowerCase().includes(start.toLowerCase())).slice(0, 8);
    const isWhole = wanted.length === 1 && start !== null && wanted[0].toLowerCase() === start.toLowerCase().trim();
    if (!wanted.length || isWhole) {
      close();
      return;
    }
    const isNew = !list;
    if (isNew) {
      list = document.createElement("ul");
      list.className = "mentions";
      list.id = "mentions";
      list.setAttribute("role", "listbox");
      list.setAttribute("aria-label", "People you can name");
      field.after(list);
      area = field;
      area.setAttribute("aria-controls", "mentions");
    }
    list.replaceChildren(...wanted.map((name, place) => {
      const option = document.createElement("li");
      option.id = `mention-${place}`;
      option.setAttribute("role", "option");
      option.textContent = name;
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(name); });
      return option;
    }));
    mark(0);
    if (isNew) window.countersign?.say(`${wanted.length} ${wanted.length === 1 ? "name" : "names"}: choose with the arrows and Enter`);
  }

  function choose(name) {
    const field = area;
    const caret = field.selectionStart;
    const from = caret - begun(field).length;
    field.setRangeText(`${name} `, from, caret, "end");
    close();
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-mentions] textarea")) show(event.target);
  });

  document.addEventListener("keydown", (event) => {
    if (!list || event.target !== area || event.isComposing) return;
    const count = list.children.length;
    if (event.key === "ArrowDown") mark((at + 1) % count);
    else if (event.key === "ArrowUp") mark((at + count - 1) % count);
    else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") choose(list.children[at].textContent);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  document.addEventListener("focusout", (event) => { if (event.target === area) close(); });
  document.addEventListener("htmx:beforeSwap", () => { if (list && !list.isConnected) close(); });
})();
