// node scripts/train-lung.mjs --data FOLDER [--output FOLDER] [--hosts NAME,...]
// Trains the model that ships (models/README.md says on what): a first stage on nodule stacks, then also on phantoms; a
// second stage on the marks that it leaves there, then also on its false marks on whole scans. Twins that each leave
// out one of the whole scans calibrate the second stage, and are what benchmarks/quality judges.
// A step whose result is there already is left out, so that an interrupted run goes on.
//   --data   folder with lidc-nodule-stacks, lidc-xml and the whole scans
//   --hosts  whole scans below --data that lend their false marks, at least two
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { fail, root, run, say } from './steps.mjs'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: process.env.NODULE_DATA ?? '' },
    output: { type: 'string', default: join(root, 'lung-output') },
    hosts: { type: 'string', default: 'lidc-idri-0001,lidc-idri-0003' },
  },
})
const data = resolve(values.data)
const stacks = join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks')
const xml = join(data, 'lidc-xml')
if (values.data === '' || !existsSync(join(stacks, 'index.csv')))
  fail(`no nodule stacks in ${stacks}: name the folder that holds lidc-nodule-stacks by --data`)
const output = resolve(values.output)
const hosts = values.hosts.split(',')
if (hosts.length < 2) fail('--hosts: at least two scans: each twin leaves out one')
const missing = hosts.find((name) => !existsSync(join(data, name)))
if (missing !== undefined) fail(`no scan in ${join(data, missing)} (--hosts)`)
mkdirSync(output, { recursive: true })

/** A step that leaves `result`; left out where that is there. */
function step(title, result, ...args) {
  if (existsSync(result)) {
    console.log(`${title}: there already`)
    return
  }
  say(`${title}\n   nodule ${args.join(' ')}`)
  run(process.execPath, ['dist/src/cli.js', ...args])
}

const PHANTOMS = 10
const set = (...changes) => changes.flatMap((change) => ['--set', change])

/** Training goes on where it was interrupted. */
function train(title, folder, ...args) {
  const done = join(folder, '.done')
  const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : []
  step(title, done, 'train', ...args, '-o', folder, ...resume)
  writeFileSync(done, '')
  return join(folder, 'checkpoints', 'last.safetensors')
}

// Patients of the stacks by the SHA-256 of their ids: a fifth judges, a tenth chooses, the rest teaches. Phantoms teach.
function writeSplit(file) {
  const lines = readFileSync(join(stacks, 'index.csv'), 'utf8').trim().split('\n').slice(1)
  const patients = [...new Set(lines.map((line) => line.split(',')[0]))]
  const hash = (id) => createHash('sha256').update(id).digest('hex')
  patients.sort((a, b) => (hash(a) < hash(b) ? -1 : 1))
  const [test, val] = [0.2, 0.3].map((share) => Math.round(share * patients.length))
  const rows = patients.map((id, n) => `${id},${n < test ? 'test' : n < val ? 'val' : 'train'}`)
  for (let n = 1; n <= PHANTOMS; n++) rows.push(`PHANTOM-${String(n).padStart(4, '0')},train`)
  writeFileSync(file, `${rows.join('\n')}\n`)
}

const at = (...parts) => join(output, ...parts)
const [hypes, patchHypes] = ['hypes/lung_modern.json', 'hypes/lung_second.json']
const split = at('split.csv')
if (!existsSync(split)) writeSplit(split)

step(
  '1: nodule stacks to frames',
  at('stacks', 'manifest.json'),
  ...[
    'prepare',
    '--stacks',
    stacks,
    '--xml',
    xml,
    '--hypes',
    hypes,
    '--split-file',
    split,
    '-o',
    at('stacks'),
  ],
)
step(
  '2: synthetic patients',
  at('phantom-frames', 'manifest.json'),
  ...['phantom', '-o', at('phantoms'), '--patients', String(PHANTOMS), '--hard'],
  ...['--spacing', '2', '--nodules', '16', '--seed', '1'],
)
step(
  '2: synthetic patients to frames',
  at('phantom-frames', 'manifest.json'),
  ...['prepare', at('phantoms'), '-o', at('phantom-frames'), '--hypes', hypes, '--split', '1,0,0'],
  ...['--negatives', '0.5'],
)
const list = at('stacks', 'train.json')
const test = ['--test', at('stacks', 'val.json')]
const onStacks = train('3: first stage, on stacks', at('first'), hypes, '--train', list, ...test)
const onAll = train(
  '4: first stage, on phantoms too',
  at('first-all'),
  ...[hypes, '--train', list, at('phantom-frames', 'train.json'), ...test],
  ...set(`solver.weights=${onStacks}`, 'solver.max_iter=2000', 'solver.learning_rate=0.001'),
  ...set('solver.warmup_steps=50', 'solver.ema_decay=0.998'),
)
const model = at('lung.onnx')
step('5: first stage to ONNX', model, 'export', onAll, '--frame', '288x352', '-o', model)

const cubes = (name) => at('cubes', name)
const mine = (name, ...args) =>
  step(
    `6: marks: ${name}`,
    join(cubes(name), 'cubes.jsonl'),
    ...['mine', ...args, '-m', model, '--hypes', patchHypes, '-o', cubes(name)],
  )
const stackMarks = ['--stacks', stacks, '--xml', xml, '--min-score', '0.25', '--max-marks', '60']
mine('train', at('phantoms'), ...stackMarks, '--split-file', split, '--part', 'train')
mine('val', ...stackMarks, '--split-file', split, '--part', 'val')
for (const host of hosts) mine(host, join(data, host), '--min-score', '0.12', '--max-marks', '400')

const second = train(
  '7: second stage, on stacks and phantoms',
  at('second'),
  ...[patchHypes, '--train', cubes('train'), '--test', cubes('val')],
)
/** The second stage, taught by the false marks of some whole scans too. */
function taught(name, scans) {
  const checkpoint = train(
    `8: second stage, ${name}`,
    at(name),
    ...[patchHypes, '--train', cubes('train'), ...scans.map(cubes), '--test', cubes('val')],
    ...set(`solver.weights=${second}`, 'solver.max_iter=500', 'solver.learning_rate=0.0008'),
    ...set('solver.warmup_steps=30', 'solver.ema_decay=0.99'),
  )
  const file = at(`${name}.onnx`)
  step(`8: second stage, ${name}, to ONNX`, file, 'export', checkpoint, '-o', file)
  return file
}
const twins = hosts.map((host) => {
  const raw = taught(
    `without-${host}`,
    hosts.filter((other) => other !== host),
  )
  const file = at(`without-${host}_second.onnx`)
  step(
    `9: the twin without ${host} is calibrated on it`,
    file,
    ...['calibrate', raw, '--cubes', cubes('val'), cubes(host), '-m', model, '-o', file],
  )
  return file
})
const all = taught('with-all', hosts)
step(
  "9: the second stage gets the mean of its twins' calibrations",
  at('lung_second.onnx'),
  ...['calibrate', all, '--like', ...twins, '-o', at('lung_second.onnx')],
)
console.log(`\nmodel: ${model} with ${at('lung_second.onnx')}; judge it by benchmarks/quality`)
