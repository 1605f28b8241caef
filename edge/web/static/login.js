import { ask } from "./api.js";
import { element } from "./dom.js";
import { TEXTS, text } from "./texts.js";

const problem = element("p", { role: "alert", class: "problem" });
const password = element("input", {
  type: "password", id: "password", autocomplete: "current-password", required: true, autofocus: true,
});

async function submit(event) {
  event.preventDefault();
  try {
    await ask("/api/login", { password: password.value });
    location.assign("/");
  } catch (error) {
    problem.textContent = error.status === 401 ? TEXTS.wrongPassword
      : error.status === 429 ? text("tooMany", { seconds: error.body.seconds })
      : text("failed", { reason: error.message });
    password.select();
  }
}

document.documentElement.lang = TEXTS.language;
document.title = TEXTS.title;
document.body.append(element("main", { class: "login" },
  element("h1", {}, TEXTS.title),
  element("form", { onsubmit: submit },
    element("label", { for: "password" }, TEXTS.password), password,
    element("button", { type: "submit" }, TEXTS.login), problem)));
password.focus();
