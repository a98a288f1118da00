// node scripts/train-lung.mjs --data FOLDER [--output FOLDER] [--hosts NAME,...] [--base FOLDER]
// Trains the model that ships (models/README.md says on what): a first stage on nodule stacks and phantoms, then also on
// whole scans with real nodules put in and with its own false marks, and a second stage on the marks that it leaves.
// A step whose result is there already is left out, so that an interrupted run goes on.
//   --data   folder with lidc-nodule-stacks, lidc-xml and whole scans
//   --hosts  scans below --data that lend their lungs and false marks; all others stay unseen. "none": no whole scan
//   --base   another output folder whose first training and data sets, which depend on no host, are used
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { fail, root, run, say } from './steps.mjs'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: process.env.NODULE_DATA ?? '' },
    output: { type: 'string', default: join(root, 'lung-output') },
    hosts: { type: 'string', default: 'lidc-idri-0001,lidc-idri-0003,qin-lung-ct' },
    base: { type: 'string' },
  },
})
const data = resolve(values.data)
const stacks = join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks')
const xml = join(data, 'lidc-xml')
if (values.data === '' || !existsSync(join(stacks, 'index.csv')))
  fail(`no nodule stacks in ${stacks}: name the folder that holds lidc-nodule-stacks by --data`)
const output = resolve(values.output)
const base = resolve(values.base ?? output)
const hosts = values.hosts === 'none' ? [] : values.hosts.split(',').map((name) => join(data, name))
const missing = hosts.find((folder) => !existsSync(folder))
if (missing !== undefined) fail(`no scan in ${missing} (--hosts)`)
mkdirSync(base, { recursive: true })
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

/** Training goes on where it was interrupted. */
function train(title, folder, ...args) {
  const done = join(folder, '.done')
  const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : []
  step(title, done, 'train', ...args, '-o', folder, ...resume)
  writeFileSync(done, '')
  return join(folder, 'checkpoints', 'last.safetensors')
}

// Patients of the stacks by the SHA-256 of their ids: a fifth judges, a tenth chooses, the rest teaches. Whole scans
// and phantoms teach.
function writeSplit(file) {
  const lines = readFileSync(join(stacks, 'index.csv'), 'utf8').trim().split('\n').slice(1)
  const patients = [...new Set(lines.map((line) => line.split(',')[0]))]
  const hash = (id) => createHash('sha256').update(id).digest('hex')
  patients.sort((a, b) => (hash(a) < hash(b) ? -1 : 1))
  const [test, val] = [0.2, 0.3].map((share) => Math.round(share * patients.length))
  const rows = patients.map((id, n) => `${id},${n < test ? 'test' : n < val ? 'val' : 'train'}`)
  const known = new Set(patients)
  const others = ['LIDC-IDRI-0001', 'LIDC-IDRI-0003', 'QIN-LSC-0014', 'QIN-LSC-0028']
  for (const id of others) if (!known.has(id)) rows.push(`${id},train`)
  writeFileSync(file, `${rows.join('\n')}\n`)
}

const hypes = 'hypes/lung_modern.json'
const split = join(base, 'split.csv')
if (!existsSync(split)) writeSplit(split)
const bySplit = ['--hypes', hypes, '--split-file', split]

step(
  '1: nodule stacks to frames',
  join(base, 'stacks', 'manifest.json'),
  ...['prepare', '--stacks', stacks, '--xml', xml, ...bySplit, '-o', join(base, 'stacks')],
)
const phantoms = join(base, 'phantoms')
step(
  '2: synthetic patients',
  join(phantoms, 'list', 'manifest.json'),
  ...['phantom', '-o', join(phantoms, 'scans'), '--patients', '10', '--hard'],
  ...['--spacing', '2', '--nodules', '16', '--seed', '1'],
)
step(
  '2: synthetic patients to frames',
  join(phantoms, 'list', 'manifest.json'),
  ...['prepare', join(phantoms, 'scans'), '-o', join(phantoms, 'list')],
  ...['--hypes', hypes, '--split', '1,0,0', '--negatives', '0.5'],
)
const stackList = join(base, 'stacks', 'train.json')
const chosen = join(base, 'stacks', 'val.json')
const first = train(
  '3: the first stage on stacks',
  join(base, 'first'),
  ...[hypes, '--train', stackList, '--test', chosen],
)

const lists = [stackList, join(phantoms, 'list', 'train.json')]
if (hosts.length > 0) {
  const insertions = join(output, 'insertions')
  step(
    '4: real nodules put into whole scans',
    join(insertions, 'manifest.json'),
    ...['prepare', ...hosts, '--unread', '--insert', stacks, '--insertions', '14', '--variants', '8'],
    ...[...bySplit, '--negatives', '1', '-o', insertions],
  )
  lists.push(join(insertions, 'train.json'))
}
const second = train(
  '5: the first stage on all',
  join(output, 'all'),
  ...[hypes, '--train', ...lists, '--test', chosen],
  ...[
    '--set',
    `solver.weights=${first}`,
    '--set',
    'solver.max_iter=3000',
    '--set',
    'solver.learning_rate=0.001',
  ],
)
const model = join(output, 'lung.onnx')
step('6: export', model, 'export', second, '--frame', '256x320', '-o', model)

const cubes = (part) => join(output, 'cubes', part)
for (const part of ['train', 'val']) {
  const scans = part === 'train' ? [...hosts, join(phantoms, 'scans')] : []
  step(
    `7: marks of the ${part} patients`,
    join(cubes(part), '.done'),
    ...['mine', ...scans, '--stacks', stacks, '--xml', xml, '-m', model],
    ...['--split-file', split, '--part', part, '-o', cubes(part)],
    ...(existsSync(cubes(part)) ? ['--resume'] : []),
  )
  writeFileSync(join(cubes(part), '.done'), '')
}
const classifier = train(
  '8: the second stage',
  join(output, 'second'),
  'hypes/lung_second.json',
  '--train',
  cubes('train'),
)
