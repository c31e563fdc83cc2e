(() => {
  "use strict";
  const tip = document.getElementById("tip");
  const target = (event) => event.target.closest?.("[data-tip]") ?? null;
  let shown = null;

  const hide = () => {
    tip.hidden = true;
    shown?.removeAttribute("aria-describedby");
    shown = null;
  };
  const show = (element) => {
    hide();
    shown = element;
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    element.setAttribute("aria-describedby", "tip");
    place();
  };
  const place = () => {
    const box = shown.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const x = Math.min(Math.max(box.left + box.width / 2 - own.width / 2, 4), innerWidth - own.width - 4);
    const above = box.top - own.height - 6;
    tip.style.left = `${Math.max(x, 4)}px`;
    tip.style.top = `${above > 4 ? above : Math.min(box.bottom + 6, innerHeight - own.height - 4)}px`;
  };

  // Within a group one element is a stop for the Tab key; the arrows lead to the others.
  for (const element of document.querySelectorAll("[data-tip]")) {
    const group = element.closest("[data-tip-group]");
    const first = !group || group.querySelector("[data-tip]") === element;
    if (element.tabIndex < 0) element.setAttribute("tabindex", first ? "0" : "-1");
  }
  document.addEventListener("pointerover", (event) => event.pointerType === "mouse" && target(event) && show(target(event)));
  document.addEventListener("pointerout", (event) => event.pointerType === "mouse" && target(event) && hide());
  document.addEventListener("focusin", (event) => (target(event) ? show(target(event)) : hide()));
  document.addEventListener("focusout", hide);
  document.addEventListener("click", (event) => (target(event) ? show(target(event)) : hide()));
  document.addEventListener("scroll", () => shown && place(), { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const group = step && document.activeElement?.closest("[data-tip-group]");
    if (!group) return;
    const all = [...group.querySelectorAll("[data-tip]")];
    const next = all[all.indexOf(document.activeElement) + step];
    if (next) { event.preventDefault(); next.focus({ preventScroll: false }); show(next); }
  });
})();
