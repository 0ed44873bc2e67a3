// Bundles the scripts and styles of the pages into the Python package.
import { build } from 'esbuild'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const output = join(here, '..', 'src', 'fetusmap', 'report', 'bundle')

await rm(output, { recursive: true, force: true })
await mkdir(output, { recursive: true })
const result = await build({
  absWorkingDir: here,
  entryPoints: ['src/app.ts', 'src/app.css', 'src/app.html', 'src/case.ts', 'src/cohort.ts', 'src/page.css'],
  loader: { '.html': 'copy' },
  outdir: output,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  // NiiVue reads Zarr stores with it; the pages read one NIfTI, and it would triple their size.
  alias: { zarrita: './src/no-zarr.ts' },
})
await writeFile(join(output, 'third-party.txt'), await notices(Object.keys(result.metafile.inputs)))

/** Name, version, licence and licence text of every package that the bundles contain. */
async function notices(inputs) {
  const pattern = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//
  const names = new Set(inputs.map((path) => pattern.exec(path)?.[1]).filter(Boolean))
  const parts = []
  for (const name of [...names].sort()) {
    const folder = join(here, 'node_modules', ...name.split('/')) + sep
    const about = JSON.parse(await readFile(folder + 'package.json', 'utf8'))
    const author = typeof about.author === 'string' ? about.author : (about.author?.name ?? '')
    const files = (await readdir(folder)).filter((file) => /^licen[cs]e/i.test(file))
    const texts = await Promise.all(files.map((file) => readFile(folder + file, 'utf8')))
    const head = [`${name} ${about.version}`, `Licence: ${about.license}`]
    if (author) head.push(`Author: ${author}`)
    parts.push([...head, ...texts.map((text) => '\n' + text.trim())].join('\n'))
  }
  return parts.join(`\n\n${'-'.repeat(80)}\n\n`) + '\n'
}
