// Buttons that copy what stands in another element: <button data-copies="id" hidden>. Without a clipboard (no script, or an
// address that is not https) they stay hidden, and the text is selected whole by one click instead.
(() => {
  "use strict";

  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copies]")) button.hidden = false;

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      window.countersign?.toast("Copied.");
    } catch {
      getSelection().selectAllChildren(source);
      window.countersign?.toast("Copying was not allowed. The text is selected: copy it by key.", "error");
    }
  });
})();
