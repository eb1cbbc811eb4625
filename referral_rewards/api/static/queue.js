// What the queue adds in a browser that runs scripts: keys, selecting all, and rows that keep themselves up to date.
"use strict";
{
  const form = document.getElementById("queue");
  const rows = document.getElementById("rows");
  const every = 15000;
  const boxes = () => [...rows.querySelectorAll("input[name=claim]")];
  const links = () => [...rows.querySelectorAll("a[data-open]")];
  const here = () => document.activeElement && document.activeElement.closest("tr[data-row]");

  document.getElementById("show-keys").hidden = false;

  const prepare = () => {
    const row = document.getElementById("select-all-row");
    if (row) row.hidden = false;
  };
  prepare();

  rows.addEventListener("change", (event) => {
    if (event.target.id === "select-all") {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    for (const box of boxes()) box.closest("tr").classList.toggle("picked", box.checked);
  });

  const move = (by) => {
    const all = links();
    if (!all.length) return;
    const at = all.findIndex((link) => link.closest("tr") === here());
    const to = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))];
    to.focus();
    to.closest("tr").scrollIntoView({ block: "nearest" });
  };

  const select = () => {
    const box = here() && here().querySelector("input[name=claim]");
    if (box) box.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("select, textarea, input:not([type=checkbox])") || document.querySelector("dialog[open]")) return;
    const open = () => here() && here().querySelector("a[data-open]").click();
    const act = {
      j: () => move(1),
      k: () => move(-1),
      o: open,
      x: select,
      "/": () => document.getElementById("f-q").focus(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Nobody loses what they are doing: rows change only while nothing in them is selected or has the focus.
  const busy = () => document.hidden || boxes().some((box) => box.checked) || rows.contains(document.activeElement)
    || document.querySelector("dialog[open]");

  const refresh = async () => {
    if (busy()) return;
    const answer = await fetch(form.dataset.rows, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok || busy()) return;
    rows.innerHTML = await answer.text();
    prepare();
  };
  setInterval(() => refresh().catch(() => {}), every);
}
