// node scripts/speed-table.mjs [--check]: writes README's table of speeds from benchmarks/results/*.json, so that it
// says what was measured; --check only tells whether it does (npm run check).
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as prettier from 'prettier'
import { root } from './steps.mjs'

/** What README shows: [file of results, its case, how README calls it]. */
const works = [
  ['kernels', 'hu scan 240x512x512 -> int16', 'HU, 240 slices of 512x512, to int16'],
  [
    'kernels',
    'frames scan 240x512x512 -> 352x256, uint8 frames of 3',
    'the same slices to network input, 352x256 of 3 channels',
  ],
  ['lungs', 'lungs of 240x512x512', 'lungs of 240 slices of 512x512'],
  [
    'kernels',
    'hungarian 88 cells of 5x5, 1 thread',
    'Hungarian matching and its cost, 88 cells of 5x5, one thread',
  ],
  ['kernels', 'linearSumAssignment 500x500', 'linearSumAssignment 500x500'],
  ['kernels', 'linearSumAssignment 5000x5000', 'linearSumAssignment 5000x5000'],
  [
    'kernels',
    'rezoom fwd+grad 88x5 boxes, 32x44x256, 4 samples',
    'rezoom, forward and gradient, 440 boxes of 256 channels',
  ],
  ['train-step', /^lstm_rezoom_lung, batch 1,/, 'training step of `lstm_rezoom_lung`, batch 1'],
  ['train-step', /^lstm_rezoom_lung, batch 4,/, 'the same, batch 4'],
  ['train-step', /^lstm_resnet_rezoom_lung, batch 1,/, 'training step of `lstm_resnet_rezoom_lung`, batch 1'],
]
/** Not something to compare with. */
const goals = new Set(['the goal', '1 us a cell'])

const begin = '<!-- speed: written by scripts/speed-table.mjs -->'
const end = '<!-- /speed -->'

const results = new Map()
function load(file) {
  if (!results.has(file))
    results.set(file, JSON.parse(readFileSync(join(root, 'benchmarks', 'results', `${file}.json`), 'utf8')))
  return results.get(file)
}

const digits = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(value < 10 ? 2 : 3))
const time = (ms) =>
  ms < 0.1 ? `${digits(ms * 1000)} us` : ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`
const times = (ratio) => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}x`

function line([file, wanted, name]) {
  const rows = load(file).rows.filter((row) =>
    typeof wanted === 'string' ? row.case === wanted : wanted.test(row.case),
  )
  if (rows.length === 0) throw new Error(`speed-table: ${file}.json has no case ${wanted}`)
  const peers = rows
    .filter((row) => row.ratio !== null && !goals.has(row.peer))
    .map((row) => `${row.peer} ${times(row.ratio)}`)
  return `| ${name} | ${time(rows[0].ours_ms)} | ${peers.join('; ')} |`
}

const lines = works.map(line)
const dates = [...results].map(([file, { machine }]) => `${file} ${machine.date.slice(0, 10)}`)
const { cpu, cores, node } = load('kernels').machine
const table = `| work | time | times as fast as |\n| --- | --- | --- |\n${lines.join('\n')}\n\n${cpu}, ${cores} cores, Node ${node}; measured: ${dates.join(', ')}.`

const path = join(root, 'README.md')
const text = readFileSync(path, 'utf8')
const from = text.indexOf(begin)
const to = text.indexOf(end)
if (from < 0 || to < from) throw new Error(`speed-table: README.md lacks ${begin} or ${end}`)
const options = { ...(await prettier.resolveConfig(path)), parser: 'markdown' }
const wanted = await prettier.format(
  `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`,
  options,
)
if (wanted === text) process.exit(0)
if (process.argv.includes('--check')) {
  console.error(
    'README.md: its table of speeds is not that of benchmarks/results: node scripts/speed-table.mjs',
  )
  process.exit(1)
}
writeFileSync(path, wanted)
