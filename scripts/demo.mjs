// npm run demo [-- --output FOLDER] [--short]: the main job from nothing: set-up, synthetic patients, data set, training,
// ONNX, detection on patients that the model has not seen, evaluation, and a report to open.
// --short: a few patients and steps, to see that everything works; the model is worth nothing.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { doctor, fail, outputFolder, printMissing, root, run, say } from './steps.mjs'

const { values } = parseArgs({
  options: {
    output: { type: 'string', default: join(root, 'demo-output') },
    short: { type: 'boolean', default: false },
  },
})
const KNOWN_PATIENTS = values.short ? 2 : 12
const UNSEEN_PATIENTS = values.short ? 1 : 3
const output = outputFolder(values.output)
const at = (...parts) => join(output, ...parts)
// An earlier demo's folder is replaced; anything else stays.
const mark = at('.nodule-demo')
const ours = output === join(root, 'demo-output') || existsSync(mark)
if (!ours && existsSync(output) && readdirSync(output).length > 0)
  fail(`${output} holds something else than a demo: name another folder by --output`)
const started = Date.now()
const times = []

/** Runs one `nodule` command as a numbered step and keeps its time. */
function step(title, ...args) {
  say(`${title}\n   nodule ${args.join(' ')}`)
  const before = Date.now()
  run(process.execPath, ['dist/src/cli.js', ...args])
  times.push([title, (Date.now() - before) / 1000])
}

run(process.execPath, ['scripts/setup.mjs'])
times.push(['set-up', (Date.now() - started) / 1000])
rmSync(output, { recursive: true, force: true })
mkdirSync(output, { recursive: true })
writeFileSync(mark, '')

// Without the native engine (no oneDNN) a step takes ten times as long: fewer steps, a worse model.
const fast = doctor().some(({ what, state }) => /^engine (native|tensorflow)$/.test(what) && state === 'ok')
const steps = values.short ? 40 : fast ? undefined : 400
if (!fast)
  console.log('\nno fast training engine here (see nodule doctor): a short training, so expect a poor model')

const scan = ['--spacing', '2.5']
step(
  '1 of 7: patients to learn from',
  'phantom',
  '-o',
  at('scans/known'),
  '--patients',
  String(KNOWN_PATIENTS),
  // More nodules than anybody has: the frames teach more.
  ...[...scan, '--nodules', '16'],
)
step(
  '2 of 7: patients that the model will not see',
  // Another seed than the patients had on whom the hypes were chosen.
  ...['phantom', '-o', at('scans/unseen'), '--patients', String(UNSEEN_PATIENTS)],
  ...['--first', '901', '--seed', '9', ...scan, '--nodules', '12'],
)
step(
  '3 of 7: data set',
  ...['prepare', at('scans/known'), '-o', at('run/known'), '--hypes', 'hypes/tiny.json', '--split', '1,0,0'],
  ...['--negatives', '0.3'],
)
step(
  '3 of 7: data set of the unseen patients',
  ...[
    'prepare',
    at('scans/unseen'),
    '-o',
    at('run/unseen'),
    '--hypes',
    'hypes/tiny.json',
    '--split',
    '0,0,1',
  ],
)
step(
  '4 of 7: training',
  ...[
    'train',
    'hypes/tiny.json',
    '--train',
    at('run/known/train.json'),
    '--test',
    at('run/unseen/test.json'),
  ],
  ...['-o', at('run/training')],
  ...(steps === undefined ? [] : ['--steps', String(steps)]),
)
step('5 of 7: export', 'export', at('run/training/checkpoints/last.safetensors'), '-o', at('run/model.onnx'))
step(
  '6 of 7: detection in whole scans',
  ...['detect', at('scans/unseen'), '--model', at('run/model.onnx'), '-o', at('run/detections'), '--overlay'],
)
step(
  '6 of 7: detection on the frames of the test list',
  ...['detect', '--list', at('run/unseen/test.json'), '--model', at('run/model.onnx')],
  ...['-o', at('run/predictions.json')],
)
step(
  '7 of 7: evaluation',
  ...['evaluate', '--predictions', at('run/predictions.json'), '--truth', at('run/unseen/test.json')],
  ...['-o', at('run/evaluation.json')],
)
/** The last line of a file of JSON lines. */
const lastOf = (path) => JSON.parse(readFileSync(path, 'utf8').trim().split('\n').at(-1))
// The figures say what they were made with: a machine without oneDNN gets a worse model.
const { engine } = lastOf(at('run/training/run.jsonl'))
const trained = `trained on ${engine}, ${lastOf(at('run/training/log.jsonl')).step + 1} steps`
step(
  '7 of 7: report',
  ...['report', at('run'), '--truth', at('run/unseen/test.json'), '--scans', at('scans/unseen')],
  ...['-o', at('report.html'), '--title', `nodule demo, ${trained}`],
)

// The model that ships has learnt from patients: what it makes of the same phantoms, judged nodule by nodule.
const judged = [
  ['trained just now', at('run/detections')],
  ['shipped with the package', at('run/shipped')],
]
step(
  '7 of 7: the shipped model on the same patients',
  ...['detect', at('scans/unseen'), '-o', at('run/shipped'), '--overlay'],
)
const cpms = judged.map(([name, folder], n) => {
  const file = at(`run/nodules-${n}.json`)
  step(
    `7 of 7: nodules found by the model ${name}`,
    ...['evaluate', '--predictions', folder, '--scans', at('scans/unseen'), '-o', file],
  )
  return [name, JSON.parse(readFileSync(file, 'utf8')).cpm.value]
})

const { ap } = JSON.parse(readFileSync(at('run/evaluation.json'), 'utf8'))
const seconds = (value) => `${value.toFixed(1)} s`.padStart(9)
console.log('\n== done')
for (const [title, time] of times) console.log(`${seconds(time)}  ${title}`)
console.log(`${seconds((Date.now() - started) / 1000)}  altogether`)
console.log(`\naverage precision on unseen patients, slice level, IoU 0.5: ${ap.toFixed(3)} (${trained})`)
for (const [name, cpm] of cpms)
  console.log(`CPM (mean sensitivity at 1/8 to 8 false marks a scan), model ${name}: ${cpm.toFixed(3)}`)
console.log(`report: ${at('report.html')}`)
const missing = printMissing()
writeFileSync(
  at('result.json'),
  `${JSON.stringify({ ap, cpm: Object.fromEntries(cpms), engine, trained, missing, short: values.short }, null, 2)}\n`,
)
