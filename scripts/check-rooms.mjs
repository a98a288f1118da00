// The house rules: a room of src/ imports only from rooms above it in README's table (cli and index look at all of
// them); no file imports itself by a way round, types included; an index.ts only passes on; no file
// passes 400 lines.
// Usage: node scripts/check-rooms.mjs [ROOT]
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { root as ownRoot } from './steps.mjs'

// In the order in which data flows. The rooms of the first line may be used by all.
const ROOMS = [
  ...['', 'config', 'geometry', 'kernels', 'engine', 'formats'],
  ...[
    'dicom',
    'annotations',
    'volume',
    'scans',
    'phantom',
    'dataset',
    'targets',
    'model',
    'weights',
    'loss',
    'checkpoints',
    'patches',
  ],
  ...['onnx', 'nodules', 'pictures', 'inference', 'mining', 'evaluation', 'training', 'report'],
  ...['terminal', 'commands'],
]
const ABOVE_ALL = ['cli.ts', 'index.ts']
const MAX_LINES = 400

const root = process.argv[2] ?? ownRoot
const problems = []
const read = (...path) => readFileSync(join(root, ...path), 'utf8')
const roomOf = (name) => (name.includes('/') ? name.split('/')[0] : '')
const filesIn = (folder) =>
  existsSync(join(root, folder)) ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }) : []

/** The files that each file of src/ imports, for values or types. */
const imports = new Map()
for (const name of filesIn('src').sort()) {
  if (!name.endsWith('.ts')) continue
  const targets = []
  for (const [, target] of read('src', name).matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)'/gm)) {
    const path = normalize(join(dirname(name), target)).replace(/\.js$/, '.ts')
    if (path.startsWith('..')) problems.push(`src/${name}: imports ${target}, outside src/`)
    else targets.push(path)
  }
  imports.set(name, targets)
}

for (const [name, targets] of imports) {
  if (ABOVE_ALL.includes(name)) continue
  const room = roomOf(name)
  if (!ROOMS.includes(room)) {
    problems.push(`src/${name}: the room ${room} is not in the list of scripts/check-rooms.mjs`)
    continue
  }
  for (const target of targets)
    if (ROOMS.indexOf(roomOf(target)) > ROOMS.indexOf(room))
      problems.push(
        `src/${name}: ${room || 'src'} is above ${roomOf(target)} and may not import src/${target}`,
      )
}

/** What is left of a file without comments and lines that pass on what other files export. */
const ownCode = (text) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').replace(/export (type )?(\{[^}]*\}|\*) from '[^']*'/g, '')
for (const name of imports.keys())
  if (/(^|\/)index\.ts$/.test(name) && ownCode(read('src', name)).trim() !== '')
    problems.push(`src/${name}: an index.ts only passes on what other files of its room export`)

/** Follows the imports from a file; a file that is met again on its own way closes a circle. */
const finished = new Set()
function follow(name, way) {
  const start = way.indexOf(name)
  if (start >= 0) {
    problems.push(
      `a circle of imports: ${[...way.slice(start), name].map((one) => `src/${one}`).join(' -> ')}`,
    )
    return
  }
  if (finished.has(name)) return
  for (const target of imports.get(name) ?? []) follow(target, [...way, name])
  finished.add(name)
}
for (const name of imports.keys()) follow(name, [])

/** README's table names every room once, in this order. */
const table = [...read('README.md').matchAll(/^\|[^|]*\| `src\/(\w*)`/gm)].map(([, room]) => room)
if (table.join() !== ROOMS.join())
  problems.push(`README.md: its table of rooms is ${table.join(' ')}; the rooms are ${ROOMS.join(' ')}`)

for (const folder of ['src', 'native', 'test', 'benchmarks', 'scripts']) {
  for (const name of filesIn(folder)) {
    if (!/\.(ts|mjs|js|h|cpp|cu)$/.test(name)) continue
    const lines = read(folder, name).split('\n').length - 1
    if (lines > MAX_LINES) problems.push(`${folder}/${name}: ${lines} lines, more than ${MAX_LINES}`)
  }
}
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
