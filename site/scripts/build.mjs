// Build the site: Vite's output in dist, the compressed files beside the others, and last the digest of the sources.
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "vite";
import { DIGEST, DIST, sourcesDigest } from "./sources.mjs";

const COMPRESSED = [".css", ".js", ".json", ".svg", ".txt", ".webmanifest"];
const BYTES_MIN = 1024; // less fits into one packet in any case

function compress(path) {
  const content = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  for (const [ending, packed] of [
    [".br", brotliCompressSync(content, { params })],
    [".gz", gzipSync(content, { level: 9 })],
  ]) {
    if (packed.length < content.length) writeFileSync(path + ending, packed);
  }
}

rmSync(DIGEST, { force: true }); // a build that fails leaves nothing to be served
const digest = sourcesDigest(); // before the build: what is edited meanwhile makes another
await build();
for (const entry of readdirSync(DIST, { withFileTypes: true, recursive: true })) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (!entry.isFile() || !COMPRESSED.includes(extname(path))) continue;
  if (readFileSync(path).length >= BYTES_MIN) compress(path);
}
writeFileSync(DIGEST, `${digest}\n`);
