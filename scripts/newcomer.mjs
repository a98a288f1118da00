// What a newcomer does, from nothing, on a machine where all of this is new (scripts/bare-debian.sh node
// scripts/newcomer.mjs): the set-up and a short demo in a clone; then the packed package in an empty project: doctor, ESM
// and CommonJS, types, a detection. Fails where the native addon or the native engine is missing in either.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fail, root, run, say } from './steps.mjs'

const folder = mkdtempSync(join(tmpdir(), 'nodule-newcomer-'))
const demo = join(folder, 'demo')
const app = join(folder, 'app')
const times = []

function timed(title, work) {
  say(title)
  const before = Date.now()
  work()
  times.push([title, (Date.now() - before) / 1000])
}

timed('the set-up', () => run('npm', ['run', '--silent', 'setup']))
timed('doctor', () => run(process.execPath, ['dist/src/cli.js', 'doctor', '--strict']))
timed('a short demo', () => run(process.execPath, ['scripts/demo.mjs', '--short', '--output', demo]))
const { engine, missing } = JSON.parse(readFileSync(join(demo, 'result.json'), 'utf8'))
if (engine !== 'native' || missing.length > 0)
  fail(`the demo trained on ${engine}; missing: ${missing.join(', ')}`)

timed('the package', () => run('npm', ['pack', '--silent', '--pack-destination', folder]))
const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
const here = { cwd: app }
mkdirSync(app)
writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', private: true }))
timed('npm install of the package in an empty project', () =>
  run('npm', ['install', '--no-audit', '--no-fund', join(folder, tarball)], here),
)
timed('its doctor', () => run('npx', ['nodule', 'doctor', '--strict'], here))
timed('its import, require and types', () => {
  const check = `if (typeof huConvert !== 'function' || !addonStatus().available) throw new Error('no native kernels')`
  const names = '{ addonStatus, huConvert }'
  writeFileSync(join(app, 'a.mjs'), `import ${names} from '@nodule-ct/nodule'\n${check}\n`)
  writeFileSync(join(app, 'a.cjs'), `const ${names} = require('@nodule-ct/nodule')\n${check}\n`)
  for (const name of ['a.mjs', 'a.cjs']) run(process.execPath, [name], here)
  checkTypes()
})
const scans = join(demo, 'scans', 'unseen')
timed('its detection', () =>
  run('npx', ['nodule', 'detect', scans, '--model', join(demo, 'run', 'model.onnx'), '-o', 'found'], here),
)
const found = readdirSync(join(app, 'found')).filter((name) => name.endsWith('.json'))
if (found.length === 0) fail('the detection wrote nothing')

say('done')
for (const [title, seconds] of times) console.log(`${seconds.toFixed(1).padStart(7)} s  ${title}`)

/** A program that uses the package's types, with all declarations checked: none of ours may have an error; tfjs's have. */
function checkTypes() {
  const options = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, skipLibCheck: false }
  const types = { typeRoots: [join(root, 'node_modules', '@types')], types: ['node'] }
  writeFileSync(
    join(app, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, ...types }, files: ['b.mts', 'c.cts'] }),
  )
  writeFileSync(
    join(app, 'b.mts'),
    `import * as nodule from '@nodule-ct/nodule'\nexport const f = nodule.huConvert\n`,
  )
  writeFileSync(
    join(app, 'c.cts'),
    `import nodule = require('@nodule-ct/nodule')\nexport const f = nodule.huConvert\n`,
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', app], { cwd: app, encoding: 'utf8' })
  const errors = stdout.split('\n').filter((line) => /error TS\d+/.test(line))
  const ours = errors.filter(
    (line) => !/^\S*node_modules\//.test(line) || line.includes('node_modules/@nodule-ct/'),
  )
  if (ours.length > 0) fail(`the package's types:\n${ours.join('\n')}`)
  console.log(`types: no error of ours; ${errors.length} of other packages, which skipLibCheck hides`)
}
