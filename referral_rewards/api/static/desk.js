// What the desk adds in a browser that runs scripts. Everything can be done without it.
"use strict";
{
  // Where the browser is, so that lists over all programs show their times there. It says nothing else.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) {
    const kept = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `referrals_zone=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000; SameSite=Lax${kept}`;
  }

  // Keys: whatever carries data-key is followed, chosen or opened by it, unless somebody is typing.
  const typing = (at) => at && at.closest("select, textarea, input:not([type=radio], [type=checkbox], [type=submit])");

  const press = (target) => {
    if (target.matches("input")) {
      target.checked = true;
      target.dispatchEvent(new Event("change", { bubbles: true }));
      target.focus();
      target.scrollIntoView({ block: "nearest" });
    } else {
      target.click();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not(:disabled)`);
    if (!target) return;
    event.preventDefault();
    press(target);
  });

  for (const button of document.querySelectorAll("[data-opens]")) {
    button.addEventListener("click", () => document.getElementById(button.dataset.opens).showModal());
  }

  // What was just recorded takes effect in a moment: the page then shows it, unless somebody has begun to write.
  for (const told of document.querySelectorAll("[data-again]")) {
    setTimeout(() => {
      const writing = [...document.querySelectorAll("textarea")].some((each) => each.value.trim());
      if (!writing) location.replace(told.dataset.again);
    }, 3000);
  }

  // A decision form offers the fields and reasons of the chosen kind alone, and counts what is left of the note.
  for (const form of document.querySelectorAll("form[data-decision]")) {
    const reason = form.querySelector("select[name=reason]");
    const narrow = () => {
      const kind = form.querySelector("input[name=kind]:checked");
      for (const field of form.querySelectorAll("[data-of]")) {
        field.hidden = !kind || field.dataset.of !== kind.value;
      }
      if (!reason || !kind) return;
      for (const group of reason.querySelectorAll("optgroup")) {
        group.disabled = group.hidden = group.dataset.kind !== kind.value;
      }
      const chosen = reason.selectedOptions[0];
      if (chosen && chosen.parentNode.disabled) reason.value = "";
    };
    form.addEventListener("change", narrow);
    narrow();
    const note = form.querySelector("textarea[maxlength]");
    const left = note && form.querySelector(".counter");
    if (!left) continue;
    const count = () => { left.textContent = `${note.maxLength - note.value.length} characters left`; };
    note.addEventListener("input", count);
    count();
  }
}
