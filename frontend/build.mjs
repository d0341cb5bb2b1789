// Builds what the browser loads of other people's work, the same bytes each time:
//
//   npm ci --ignore-scripts && npm run build      writes web/static/editor.js, its licences and checksums.txt
//   npm run build -- --check                      writes nothing, and says whether the committed files are these

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const project = dirname(here);

const built = await build({
  absWorkingDir: here,
  entryPoints: ["editor.js"],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/* Built from frontend/editor.js, CodeMirror and Lezer. Licences: editor.licences.txt beside this file. */" },
  metafile: true,
  write: false,
});

/** The packages of which something is in the bundle, and what their authors ask to be said. */
function licences(inputs) {
  const packages = new Set(
    Object.keys(inputs)
      .map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1])
      .filter(Boolean),
  );
  const entries = [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    if (!file) throw new Error(`${name}: brings no licence`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `What web/static/editor.js is built of, beside our own frontend/editor.js.\n\n${entries.join(`\n${"-".repeat(100)}\n\n`)}`;
}

const files = {
  "web/static/editor.js": built.outputFiles[0].text,
  "web/static/editor.licences.txt": licences(built.metafile.inputs),
};
files["frontend/checksums.txt"] = Object.entries(files)
  .map(([name, text]) => `${createHash("sha256").update(text).digest("hex")}  ${name}\n`)
  .join("");

for (const [name, text] of Object.entries(files)) {
  const path = join(project, name);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
    console.log(`${relative(project, path)}: ${Buffer.byteLength(text).toLocaleString("en")} bytes`);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`${name}: is not what this folder builds`);
    process.exitCode = 1;
  }
}
