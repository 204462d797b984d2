// Shows the page anew every few seconds while somebody looks at it; without it the page is the same, and still.
"use strict";
const EVERY = 5000;
async function again() {
  if (document.hidden || document.activeElement?.closest("main")) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("main").replaceWith(page.getElementById("main"));
  } catch {
    // The gate is away: what is shown stays.
  }
}
setInterval(again, EVERY);
