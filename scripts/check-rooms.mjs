// The house rule: a room of src/ imports only from rooms above it (cli, index and doctor look at all of them); no
// file passes 400 lines.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { root } from './steps.mjs'

// In the order in which data flows. The rooms of the first line may be used by all.
const ROOMS = [
  ...['', 'config', 'geometry', 'kernels', 'engine', 'formats'],
  ...['dicom', 'annotations', 'volume', 'scans', 'phantom', 'dataset', 'targets', 'model', 'loss', 'training'],
  ...['patches', 'onnx', 'nodules', 'pictures', 'inference', 'mining', 'evaluation', 'report', 'commands'],
]
const MAX_LINES = 400
const problems = []

const source = join(root, 'src')
for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.ts') || ['cli.ts', 'index.ts', 'doctor.ts'].includes(name)) continue
  const room = name.includes('/') ? name.split('/')[0] : ''
  const own = ROOMS.indexOf(room)
  if (own < 0) problems.push(`src/${name}: the room ${room} is not in the list of scripts/check-rooms.mjs`)
  const content = readFileSync(join(source, name), 'utf8')
  for (const [, target] of content.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
    const path = relative(source, join(source, dirname(name), target))
    const other = path.includes('/') ? path.split('/')[0] : ''
    if (path.startsWith('..')) problems.push(`src/${name}: imports ${target}, outside src/`)
    else if (ROOMS.indexOf(other) > own)
      problems.push(`src/${name}: ${room || 'src'} is above ${other} and may not import ${target}`)
  }
}
for (const folder of ['src', 'native', 'test', 'benchmarks', 'scripts']) {
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|mjs|h|cpp|cu)$/.test(name)) continue
    const lines = readFileSync(join(root, folder, name), 'utf8').split('\n').length - 1
    if (lines > MAX_LINES) problems.push(`${folder}/${name}: ${lines} lines, more than ${MAX_LINES}`)
  }
}
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
