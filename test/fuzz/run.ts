/**
 * npm run fuzz -- [PARSER...] [--count 100000] [--seed 1]: mutants of every parser, or of those named. Goes on where it was
 * cut off; build/fuzz has the figures of each parser and the mutants that broke the rule.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { PACKAGE_ROOT } from '../../src/version.js'
import { temporaryFolder } from './folder.js'
import { noFigures, tryMutants } from './campaign.js'
import type { Figures } from './campaign.js'
import { targets } from './targets.js'

/** Mutants between two notes of how far it came. */
const PIECE = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
})
const count = Number(values.count)
const seed = Number(values.seed)
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed) || seed < 0)
  throw new Error(`--count and --seed are whole numbers, not ${values.count} and ${values.seed}`)

const root = join(PACKAGE_ROOT, 'build', 'fuzz')
mkdirSync(root, { recursive: true })
const folder = temporaryFolder()
console.log(`the mutant at work lies in ${folder}`)
const all = await targets(folder)
const names = all.map(({ name }) => name)
for (const name of positionals)
  if (!names.includes(name)) throw new Error(`no parser "${name}"; there are ${names.join(', ')}`)

let failed = 0
console.log('parser           mutants    read  longest ms  most MB  peak RSS MB  failures')
for (const target of all) {
  if (positionals.length > 0 && !positionals.includes(target.name)) continue
  const note = join(root, `${target.name} seed ${seed}.json`)
  const figures: Figures = existsSync(note)
    ? (JSON.parse(readFileSync(note, 'utf8')) as Figures)
    : noFigures()
  while (figures.mutants < count) {
    const to = Math.min(count, figures.mutants + PIECE)
    await tryMutants(target, { from: figures.mutants, to, seed, folder }, figures, (path, label) => {
      copyFileSync(path, join(root, `${target.name} ${label} ${basename(path)}`))
    })
    writeFileSync(`${note}.part`, JSON.stringify(figures, undefined, 1))
    renameSync(`${note}.part`, note)
  }
  const columns = [
    ...[figures.mutants, figures.read, Math.round(figures.longestMs)],
    ...[
      Math.round(figures.mostMemory / 2 ** 20),
      Math.round(figures.peakRss / 2 ** 20),
      figures.failures.length,
    ],
  ]
  const widths = [9, 8, 12, 9, 13, 10]
  console.log(target.name.padEnd(15) + columns.map((value, n) => String(value).padStart(widths[n]!)).join(''))
  for (const failure of figures.failures) console.log(`  ${failure}`)
  failed += figures.failures.length
}
rmSync(folder, { recursive: true, force: true })
process.exitCode = failed === 0 ? 0 : 1
