// node render.mjs SPEC.jsonl OUTPUT_FOLDER CHROMIUM: types a config into the form, as a user would, and takes pictures.
// Run it where the packages of package.json are installed (`make form` does).
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const { build } = require("esbuild");
const { chromium } = require("playwright-core");
const [specFile, folder, browserPath] = process.argv.slice(2);
// What `source-backlog spec` prints: one message a line, one of which is the SPEC.
const messages = readFileSync(specFile, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const spec = messages.find((message) => message.type === "SPEC").spec.connectionSpecification;
const bundle = await build({
  entryPoints: [new URL("form.jsx", import.meta.url).pathname],
  nodePaths: [join(process.cwd(), "node_modules")],
  bundle: true,
  write: false,
  format: "iife",
  jsx: "automatic",
  loader: { ".jsx": "jsx" },
  define: { "process.env.NODE_ENV": '"production"' },
});
const style = readFileSync(new URL("form.css", import.meta.url), "utf8");
const page_ = `<!doctype html><meta charset="utf-8"><style>${style}</style><main><h1>Backlog</h1><div id="form"></div></main>
<script>window.SPEC=${JSON.stringify(spec).replaceAll("<", "\\u003c")}</script><script>${bundle.outputFiles[0].text}</script>`;
writeFileSync(join(folder, "form.html"), page_);

const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 900, height: 800 } });
await page.goto(`file://${join(folder, "form.html")}`);
const field = (label) => page.getByLabel(label, { exact: false }).first();
const submit = () => page.getByRole("button", { name: "Set up source" }).click();

await field("Space Domain").fill("my space");
await field("Start Date").fill("yesterday");
await field("Number of Workers").fill("0");
await submit();
const errors = await page.locator(".error").allTextContents();
await page.screenshot({ path: join(folder, "form-errors.png"), fullPage: true });

await field("Space Domain").fill("your-space.backlog.jp");
await page.locator("input[type=password]").first().fill("0123456789abcdef");
await field("Start Date").fill("2024-01-01T00:00:00Z");
await field("Number of Workers").fill("4");
await submit();
await page.waitForFunction(() => window.SUBMITTED);
const submitted = await page.evaluate(() => window.SUBMITTED);
await page.screenshot({ path: join(folder, "form.png"), fullPage: true });
await browser.close();
console.log(JSON.stringify({ errors, submitted }));
