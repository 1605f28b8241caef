// Checks an AsyncAPI document by AsyncAPI's own parser: node check.mjs MODULES DOCUMENT
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [, , modules, document] = process.argv;
const { Parser } = createRequire(`${resolve(modules)}/`)("@asyncapi/parser");
const { document: parsed, diagnostics } = await new Parser().parse(readFileSync(document, "utf8"));
const serious = diagnostics.filter((one) => one.severity <= 1); // errors and warnings
for (const one of serious) console.error(`${one.path.join("/")}: ${one.message}`);
if (!parsed || serious.length) process.exit(1);
console.log(`AsyncAPI's parser accepts ${parsed.channels().all().length} channels`);
