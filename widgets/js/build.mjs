// Builds the one bundle that slimlab_widgets ships, or with --check tells whether the committed one is current.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, "..", "slimlab_widgets", "static");
const check = process.argv.includes("--check");

const result = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { slim: "src/index.ts", "slim-style": "src/style.css" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2021",
  legalComments: "none",
  outdir: target,
  write: !check,
});

if (check) {
  let stale = 0;
  for (const file of result.outputFiles) {
    const committed = await readFile(file.path, "utf8").catch(() => null);
    if (committed !== file.text) {
      stale += 1;
      console.error(`${path.relative(here, file.path)} is not what the sources give. Run: npm run build`);
    }
  }
  if (stale) process.exit(1);
  console.log("The committed bundle is current.");
}
