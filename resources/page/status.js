// Keeps the page up to date over the hub's websocket. It only replaces what the hub has written: fragments of HTML in
// which every text was escaped there. Without this script the page reads the same, and loads itself every ten seconds.
"use strict";

(() => {
  const address = document.body.dataset.live;
  localTimes(document);
  if (!address) return;

  const STALE_MS = 5000;
  const SIGNED_OUT = 4401;
  const TOO_MANY = 4429;
  const html = window.trustedTypes
    ? trustedTypes.createPolicy("tally", { createHTML: (text) => text })
    : { createHTML: (text) => text };
  const live = document.getElementById("live");
  const words = live.querySelector(".words");
  let heard = 0;
  let failures = 0;
  let over = "";
  let leaving = false;

  addEventListener("beforeunload", () => { leaving = true; });
  connect();
  setInterval(tell, 250);

  function connect() {
    const socket = new WebSocket(location.origin.replace("http", "ws") + address, "tally.1");
    socket.onmessage = (event) => {
      heard = performance.now();
      failures = 0;
      take(JSON.parse(event.data));
      tell();
    };
    socket.onclose = (event) => {
      // Not at once while the page is being left: that would take the place of where it leads, "Signed out".
      if (event.code === SIGNED_OUT) return setTimeout(() => location.reload(), leaving ? STALE_MS : 0);
      if (event.code === TOO_MANY) over = "too many pages are open";
      else setTimeout(again, Math.min(15000, 500 * 2 ** failures) * (0.5 + Math.random()));
      failures += 1;
      tell();
    };
  }

  // A websocket does not tell why it was refused: the page itself does, and leads to the sign-in if that is over.
  async function again() {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", redirect: "manual" });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return location.reload();
    } catch {
      // the hub is away; the next try comes later
    }
    connect();
  }

  function take(message) {
    if (message.version !== document.body.dataset.version) return location.reload();
    for (const [name, text] of Object.entries(message.parts)) {
      const place = document.getElementById("part-" + name);
      if (!place) continue;
      const fresh = document.createElement("template");
      fresh.innerHTML = html.createHTML(text);
      localTimes(fresh.content);
      renew(place, fresh.content);
    }
  }

  function tell() {
    const age = (performance.now() - heard) / 1000;
    const fresh = heard > 0 && age * 1000 < STALE_MS && !over;
    const seconds = age < 9.95 ? age.toFixed(1) + " s" : age < 59.5 ? Math.round(age) + " s" : Math.round(age / 60) + " min";
    live.className = "live " + (fresh ? "ok" : "warn");
    const text = over || (!heard ? "connecting" : fresh ? "live, " + seconds + " ago" : "last seen " + seconds + " ago");
    if (words.textContent !== text) words.textContent = text;
  }

  // Makes the children of `old` like those of `fresh`, and touches only what differs: a selection, the focus and the
  // place of scrolling stay.
  function renew(old, fresh) {
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, number) => {
      const there = before[number];
      if (!there) old.append(node);
      else if (there.nodeName !== node.nodeName) there.replaceWith(node);
      else if (node.nodeType === Node.TEXT_NODE) {
        if (there.data !== node.data) there.data = node.data;
      } else {
        attributes(there, node);
        renew(there, node);
      }
    });
    before.slice(after.length).forEach((node) => node.remove());
  }

  function attributes(old, fresh) {
    for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }

  // The hub writes times in UTC; a reader wants their own.
  function localTimes(root) {
    for (const time of root.querySelectorAll("time[data-as]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.textContent =
        time.dataset.as === "clock"
          ? moment.toLocaleTimeString("en-GB")
          : moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
      time.title = moment.toLocaleString("en-GB");
    }
  }
})();
