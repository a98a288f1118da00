// node scripts/train-lung.mjs --data FOLDER [--output FOLDER] [--hosts NAME,...] [--part SHARE]
// Trains a model as the one that ships (models/README.md says on what that was, and how they differ). First stage: on nodule
// stacks; then also on thick stacks with nodules of other patients put in, and on a few phantoms. Second stage: on the marks
// that the first leaves in stacks and in stacks with nodules put in, those of low confidence too; then also on whole scans:
// their false marks, and nodules of the stacks put into copies of them.
// Two twins that each leave out every other whole scan, and the patients that choose and judge, calibrate the second stage,
// and are what benchmarks/quality judges.
// A step whose result is there already is left out, so that an interrupted run goes on.
//   --data   folder with lidc-nodule-stacks, lidc-xml and the whole scans
//   --hosts  whole scans below --data, at least two
//   --part   share of the steps and synthetic patients, to try the way itself on a folder with the stacks of few patients
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { fail, outputFolder, root, run, say } from './steps.mjs'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: process.env.NODULE_DATA ?? '' },
    output: { type: 'string', default: join(root, 'lung-output') },
    part: { type: 'string', default: '1' },
    hosts: {
      type: 'string',
      default: 'lidc-idri-0001,lidc-idri-0003,qin-lung-ct/QIN-LSC-0014,qin-lung-ct/QIN-LSC-0028',
    },
  },
})
if (!existsSync(join(root, 'dist', 'src', 'cli.js'))) fail('nodule is not built: npm run setup')
const data = resolve(values.data)
const stacks = join(data, 'lidc-nodule-stacks', 'lidc-nodule-stacks')
const xml = join(data, 'lidc-xml')
if (values.data === '' || !existsSync(join(stacks, 'index.csv')))
  fail(`no nodule stacks in ${stacks}: name the folder that holds lidc-nodule-stacks by --data`)
const share = Number(values.part)
if (!(share > 0 && share <= 1)) fail(`--part: a number above 0, at most 1, not ${values.part}`)
const output = outputFolder(values.output)
const hosts = values.hosts.split(',')
if (hosts.length < 2) fail('--hosts: at least two scans: each twin leaves out every other')
const missing = hosts.find((name) => !existsSync(join(data, name)))
if (missing !== undefined) fail(`no scan in ${join(data, missing)} (--hosts)`)
mkdirSync(output, { recursive: true })
/** What lies in the output at the end. */
const GIGABYTES = 9
const { bavail, bsize } = statfsSync(output)
const free = (bavail * bsize) / 1e9
if (!existsSync(join(output, 'split.csv')) && free < GIGABYTES * share)
  fail(
    `${output}: ${free.toFixed(0)} GB are free, and about ${(GIGABYTES * share).toFixed(0)} are needed (--output)`,
  )

/** A step that leaves `result`; left out where that is there. */
function step(title, result, ...args) {
  if (existsSync(result)) {
    console.log(`${title}: there already`)
    return
  }
  say(`${title}\n   nodule ${args.join(' ')}`)
  const begun = performance.now()
  run(process.execPath, ['dist/src/cli.js', ...args])
  console.log(`${title}: ${((performance.now() - begun) / 60_000).toFixed(1)} min`)
}

/** Few: where many are learnt, patients lose (benchmarks/quality/phantoms.md). */
const PHANTOMS = Math.ceil(10 * share)
const set = (...changes) => changes.flatMap((change) => ['--set', change])
const steps = (count) => set(`solver.max_iter=${Math.ceil(count * share)}`)

/** Training goes on where it was interrupted. */
function train(title, folder, ...args) {
  const done = join(folder, '.done')
  const resume = existsSync(join(folder, 'checkpoints')) ? ['--resume'] : []
  step(title, done, 'train', ...args, '-o', folder, ...resume)
  writeFileSync(done, '')
  return join(folder, 'checkpoints', 'last.safetensors')
}

/** What is passed on of a run: its weights, which the exported model names by their SHA-256. */
function strip(checkpoint, file) {
  step(`${basename(file)}: the weights alone`, file, 'weights', 'strip', checkpoint, '-o', file)
  return file
}

// Patients of the stacks: a fifth judges, a tenth chooses, the rest teaches. Phantoms teach.
async function writeSplit(file) {
  const { partsOf } = await import('../dist/src/dataset/stacks/parts.js')
  const lines = readFileSync(join(stacks, 'index.csv'), 'utf8').trim().split('\n').slice(1)
  const rows = [...partsOf(lines.map((line) => line.split(',')[0]))]
  const table = (some) => `${some.map((row) => row.join(',')).join('\n')}\n`
  writeFileSync(teachers, table(rows.filter(([, part]) => part === 'train')))
  for (let n = 1; n <= PHANTOMS; n++) rows.push([`PHANTOM-${String(n).padStart(4, '0')}`, 'train'])
  writeFileSync(file, table(rows))
}

const at = (...parts) => join(output, ...parts)
const [hypes, patchHypes] = ['hypes/lung_modern.json', 'hypes/lung_second.json']
const [split, teachers] = [at('split.csv'), at('teachers.csv')]
if (!existsSync(split)) await writeSplit(split)

const prepare = (title, folder, ...args) =>
  step(title, at(folder, 'manifest.json'), 'prepare', ...args, '--hypes', hypes, '-o', at(folder))
prepare('1: nodule stacks to frames', 'stacks', '--stacks', stacks, '--xml', xml, '--split-file', split)
const phantoms = at('phantoms')
const made = join(phantoms, '.done')
step(
  `2: ${PHANTOMS} synthetic patients`,
  made,
  ...['phantom', '-o', phantoms, '--patients', String(PHANTOMS), '--hard'],
  ...['--spacing', '2', '--nodules', '16', '--seed', '1'],
)
writeFileSync(made, '')
prepare('2: to frames', 'phantom-frames', phantoms, '--split', '1,0,0', '--negatives', '0.5')
prepare(
  '3: nodules put into stacks of other patients, to frames',
  'stack-copies',
  ...['--stacks', stacks, '--xml', xml, '--insert', stacks, '--insertions', '3', '--variants', '4'],
  ...['--split-file', teachers, '--seed', '21'],
)

const list = at('stacks', 'train.json')
const test = ['--test', at('stacks', 'val.json')]
const onStacks = train(
  '4: first stage, on stacks',
  at('first'),
  hypes,
  '--train',
  list,
  ...test,
  ...steps(9000),
)
const onAll = train(
  '5: first stage, on nodules put into stacks and on phantoms too; boxes count in shares of their size',
  at('first-all'),
  ...[hypes, '--train', at('stack-copies', 'train.json'), at('phantom-frames', 'train.json'), ...test],
  ...steps(4500),
  ...set(`solver.weights=${onStacks}`, 'solver.learning_rate=0.0015'),
  ...set('solver.warmup_steps=50', 'solver.ema_decay=0.998'),
  ...set('solver.relative_box_px=8', 'solver.head_weights=[1,0.3]'),
)
const EXPORTED = ['--frame', '288x352']
const model = at('lung.onnx')
const weights = strip(onAll, at('lung.safetensors'))
step('5: first stage to ONNX', model, 'export', weights, ...EXPORTED, '-o', model)
const int8 = at('lung_int8.onnx')
const ranges = ['--quantize', '--frames', at('phantom-frames', 'train.json')]
step('5: the same in int8', int8, 'export', weights, ...EXPORTED, ...ranges, '-o', int8)

const cubes = (...names) => names.map((name) => at('cubes', name))
const mine = (name, ...args) =>
  step(
    `6: marks of the first stage: ${name}`,
    join(...cubes(name), 'cubes.jsonl'),
    ...['mine', ...args, '-m', model, '--hypes', patchHypes, '-o', ...cubes(name)],
    ...(existsSync(...cubes(name)) ? ['--resume'] : []),
  )
const stackMarks = ['--stacks', stacks, '--xml', xml, '--max-marks', '60']
// What teaches is taken from far below the confidences that detection keeps: a stack has few false marks above them, and
// these marks are most of what patients other than the four of the whole scans can tell of false ones.
const teaching = ['--min-score', '0.05']
const part = (name) => ['--split-file', split, '--part', name]
mine('train', phantoms, ...stackMarks, ...teaching, ...part('train'))
mine('val', ...stackMarks, '--min-score', '0.25', ...part('val'))
for (const name of ['val', 'test']) mine(`${name}-too`, ...stackMarks, ...teaching, ...part(name))
mine('stack-copies', ...stackMarks, ...teaching, '--insertions', '3', '--seed', '31', ...part('train'))
const nameOf = (host) => basename(host)
for (const host of hosts) {
  const copies = (variants, seed, name) => [
    ...[join(data, host), '--stacks', stacks, '--unread', '--insertions', '14', '--variants', variants],
    ...['--seed', seed, '--min-score', '0.2', '--max-marks', '60', ...part(name)],
  ]
  mine(nameOf(host), join(data, host), '--unread', '--min-score', '0.12', '--max-marks', '400')
  mine(`${nameOf(host)}-copies`, ...copies('14', '5', 'train'))
  mine(`${nameOf(host)}-val`, ...copies('2', '6', 'val'))
}

const known = ['train', 'stack-copies']
const patches = (scans) => [patchHypes, '--train', ...cubes(...known), ...scans, '--test', ...cubes('val')]
const second = train('7: second stage, on stacks', at('second'), ...[...patches([]), ...steps(7000)])
/** The second stage, taught by some whole scans too, and by other cubes. */
function taught(name, scans, ...more) {
  const whole = [...more, ...scans.flatMap((host) => cubes(nameOf(host), `${nameOf(host)}-copies`))]
  const checkpoint = train(
    `8: second stage, ${name}`,
    at(name),
    ...[...patches(whole), ...steps(900), ...set(`solver.weights=${second}`, 'solver.learning_rate=0.0008')],
    ...set('solver.warmup_steps=30', 'solver.ema_decay=0.997'),
  )
  const file = at(`${name}.onnx`)
  const bare = strip(checkpoint, at(`${name}.safetensors`))
  step(`8: second stage, ${name}, to ONNX`, file, 'export', bare, '-o', file)
  return file
}
const twins = [0, 1].map((half) => {
  const left = hosts.filter((_, n) => n % 2 === half)
  const name = `without-${left.map(nameOf).join('-')}`
  const raw = taught(
    name,
    hosts.filter((host) => !left.includes(host)),
  )
  const file = at(`${name}_second.onnx`)
  const unseen = cubes('val', ...left.flatMap((host) => [nameOf(host), `${nameOf(host)}-val`]))
  step(
    `9: the twin is calibrated on what it has not seen: ${left.join(', ')}`,
    file,
    ...['calibrate', raw, '--cubes', ...unseen, '--size', '0', '-m', model, '-o', file],
  )
  return file
})
// What ships has learnt from the patients too that chose and judged: nobody judges it.
const all = taught('with-all', hosts, ...cubes('val-too', 'test-too'))
const rounded = at('with-all_int8.onnx')
step(
  '9: the same in int8',
  rounded,
  ...['export', at('with-all.safetensors'), '--quantize', '--cubes', ...cubes(...known), '-o', rounded],
)
for (const [made, name] of [
  [all, 'lung_second.onnx'],
  [rounded, 'lung_int8_second.onnx'],
])
  step(
    `9: ${name}: the mean of the twins' calibrations`,
    at(name),
    ...['calibrate', made, '--like', ...twins, '-o', at(name)],
  )
console.log(`\nmodel: ${model} with ${at('lung_second.onnx')}; judge it by benchmarks/quality`)
