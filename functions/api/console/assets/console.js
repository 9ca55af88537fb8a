// The pages work without this file. It keeps their live regions up to date, and times of day.
"use strict";
(() => {
  const ALWAYS_PAUSE = 200, EMPTY_PAUSE = 2000, LONGEST_PAUSE = 30000;

  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  // Nothing is asked for while nobody looks.
  const visible = () => new Promise((done) => {
    if (!document.hidden) return done();
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
  });

  const isInUse = (node) =>
    node instanceof HTMLFormElement &&
    (node.dataset.dirty !== undefined || node.contains(document.activeElement));

  const callbacks = {
    // What somebody is filling in stays as it is.
    beforeNodeMorphed: (old) => !isInUse(old),
    beforeNodeRemoved: (old) => !isInUse(old),
    // What somebody has opened stays open.
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
  };

  const show = (region, text) => {
    const next = new DOMParser().parseFromString(text, "text/html").getElementById(region.id);
    if (!next) return location.reload();
    const logs = [...region.querySelectorAll(".log")];
    const followed = logs.filter((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40);
    window.Idiomorph.morph(region, next, {ignoreActiveValue: true, callbacks});
    for (const log of followed) log.scrollTop = log.scrollHeight;
    tell();
  };

  // Ask again and again whether a region is still as it is shown. The answer may take 20 seconds.
  const follow = async (id) => {
    let failures = 0;
    for (;;) {
      await visible();
      const region = document.getElementById(id);
      if (!region || !region.dataset.live) return;
      const began = Date.now();
      const stop = new AbortController();
      const hidden = () => document.hidden && stop.abort();
      document.addEventListener("visibilitychange", hidden);
      let pause = ALWAYS_PAUSE;
      try {
        const answer = await fetch(region.dataset.live, {
          headers: {"X-Slipway-Live": region.dataset.tag, Prefer: "wait=20"},
          cache: "no-store",
          redirect: "error",
          signal: stop.signal,
        });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        failures = 0;
        if (answer.status === 204) {
          // All places to wait in are taken: ask, but not without a pause.
          if (Date.now() - began < 1500) pause = EMPTY_PAUSE;
        } else {
          show(document.getElementById(id) || region, await answer.text());
        }
      } catch {
        if (!stop.signal.aborted) {
          failures += 1;
          pause = Math.min(LONGEST_PAUSE, 1000 * 2 ** failures);
        }
      } finally {
        document.removeEventListener("visibilitychange", hidden);
      }
      await sleep(pause);
    }
  };

  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  const duration = (seconds) => {
    const parts = [];
    let left = Math.round(seconds);
    for (const [unit, size] of UNITS) {
      const number = Math.floor(left / size);
      left -= number * size;
      if (number) parts.push(`${number} ${unit}`);
      else if (parts.length) break;
    }
    return parts.slice(0, 2).join(" ");
  };

  const tell = () => {
    for (const each of document.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.now() - Date.parse(each.dateTime)) / 1000;
      const words = Math.abs(seconds) < 2 ? "just now"
        : seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
      if (each.textContent !== words) each.textContent = words;
    }
  };

  document.addEventListener("input", (event) => {
    if (event.target.form) event.target.form.dataset.dirty = "";
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent !== undefined) return event.preventDefault();
    form.dataset.sent = "";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });

  // A page that is shown again by the button Back can be sent again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
  });

  for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
  document.querySelector("[data-focus]")?.focus();
  for (const region of document.querySelectorAll("[data-live]")) follow(region.id);
  setInterval(() => document.hidden || tell(), 5000);
})();
