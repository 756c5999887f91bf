// The digest of the site's sources, as post/web/site.py computes it: the SHA-256 of what sha256sum prints for the files,
// sorted by their names in UTF-8, without hidden ones. Run, it prints the digest; with --current it prints nothing, and
// succeeds if dist was built from these sources.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SITE = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["src", "public"];
const FILES = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];
export const DIST = join(SITE, "dist");
export const DIGEST = join(DIST, "sources.sha256");

const sha256 = (content) => createHash("sha256").update(content).digest("hex");

function filesIn(folder) {
  if (!existsSync(join(SITE, folder))) return [];
  return readdirSync(join(SITE, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    if (entry.name.startsWith(".")) return [];
    return entry.isDirectory() ? filesIn(name) : [name];
  });
}

export function sourcesDigest() {
  const names = [...FOLDERS.flatMap(filesIn), ...FILES].filter((name) => existsSync(join(SITE, name)));
  names.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  return sha256(names.map((name) => `${sha256(readFileSync(join(SITE, name)))}  ${name}\n`).join(""));
}

export function isCurrent() {
  return existsSync(DIGEST) && readFileSync(DIGEST, "utf8").trim() === sourcesDigest();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--current")) process.exitCode = isCurrent() ? 0 : 1;
  else console.log(sourcesDigest());
}
