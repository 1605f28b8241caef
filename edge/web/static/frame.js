// What every page of the box has at its top.
import { ask } from "./api.js";
import { element } from "./dom.js";
import { TEXTS } from "./texts.js";

export function header(about, here, ...more) {
  const link = (name, path) => element("a", { href: path, "aria-current": name === here ? "page" : null }, TEXTS[name]);
  const leave = async () => {
    await ask("/api/logout", {});
    location.assign("/login");
  };
  return element("header", {}, element("h1", {}, about.site), ...more,
    element("nav", { "aria-label": TEXTS.title }, link("today", "/"),
      about.audit ? link("audit", "/audit") : null,
      about.setup ? [link("setup", "/setup"), link("check", "/check")] : null,
      about.password ? element("button", { type: "button", onclick: leave }, TEXTS.logout) : null));
}
