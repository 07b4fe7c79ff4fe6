"use strict";
(() => {
  const { watch, version } = document.body.dataset;
  const news = document.getElementById("news");
  if (!watch || !news) return;
  const every = 10000;
  const ask = async () => {
    if (document.hidden) return;
    let text = "";
    try {
      const answer = await fetch(watch, { cache: "no-store" });
      const said = await answer.json();
      if (said.version === version) text = "";
      else text = said.version ? "This page has changed. " : "The cluster can't be asked right now: " + said.error;
    } catch {
      text = "kubectl directorysync ui has ended, or this browser isn't signed in any more.";
    }
    if (news.dataset.text === text) return;
    news.dataset.text = text;
    news.textContent = text;
    if (text.startsWith("This page")) {
      // The person decides when: a page that loads itself takes focus and place away from a reader.
      const reload = document.createElement("a");
      reload.href = location.pathname;
      reload.textContent = "Load it again";
      news.append(reload);
    }
  };
  setInterval(ask, every);
  document.addEventListener("visibilitychange", ask);
})();
