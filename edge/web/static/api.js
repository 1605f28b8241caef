// What the page asks the box.
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? String(status));
    this.status = status;
    this.body = body;
  }
}

// Milliseconds: the box answers within 20 seconds; one that lost its power or its network never does.
const LONGEST = 30000;

export async function ask(path, body) {
  const options = body === undefined ? { signal: AbortSignal.timeout(LONGEST) } : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({}));
  if (answer.status === 401 && location.pathname !== "/login") location.assign("/login");
  if (!answer.ok) throw new Refused(answer.status, found);
  return found;
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Calls `changed` at first and whenever the box has published something; `connected` with whether it answers.
export async function follow(changed, connected) {
  let version = "";
  let lost = false;
  for (;;) {
    try {
      if (document.hidden) {
        await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      }
      // Without a version the box answers at once: it may be back, and nothing new may come for long.
      const found = await ask(`/api/changes?after=${lost ? "" : version}`);
      if (found.version !== version) {
        await changed();
        version = found.version; // not before: what could not be read is asked for again
      }
      lost = false;
      connected(true);
      await pause(found.again_after);
    } catch {
      lost = true;
      connected(false);
      await pause(1);
    }
  }
}
