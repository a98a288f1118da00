/** Results are handed on: nothing that the pipeline writes names the folders or the machine it was made on. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, hostname, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../src/version.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-secret-place-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)

/** With absolute paths, as scripts call it. */
function nodule(...args: string[]): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args, '--quiet'],
    { cwd: PACKAGE_ROOT, encoding: 'utf8' },
  )
  expect(status, `${args[0]}: ${stderr}`).toBe(0)
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

beforeAll(() => {
  const hypes = at('small.json')
  const sizes = { image_width: 96, image_height: 96, grid_width: 3, grid_height: 3, lstm_size: 8 }
  writeFileSync(hypes, JSON.stringify({ base: join(PACKAGE_ROOT, 'hypes', 'tiny.json'), ...sizes }))
  nodule('phantom', '-o', at('scans'), '--patients', '2', '--matrix', '96', '--spacing', '6', '-j', '1')
  nodule('prepare', at('scans'), '--hypes', hypes, '--split', '0.5,0,0.5', '-o', at('dataset'), '-j', '1')
  const [train, test] = ['train', 'test'].map((part) => at('dataset', `${part}.json`))
  nodule('train', hypes, '--train', train!, '--test', test!, '--steps', '2', '-o', at('run'))
  const model = at('model.onnx')
  nodule('export', at('run', 'checkpoints', 'last.safetensors'), '-o', model)
  const boxes = at('boxes.json')
  nodule('detect', '--list', test!, '-m', model, '-o', boxes)
  nodule('detect', at('scans'), '-m', model, '--second', 'none', '--min-confidence', '0', '-o', at('found'))
  nodule('evaluate', '--predictions', boxes, '--truth', test!, '-o', at('boxes-evaluation.json'))
  const scans = ['--scans', at('scans')]
  nodule('evaluate', '--predictions', at('found'), ...scans, '-o', at('evaluation.json'))
  nodule('report', at('run'), '-o', at('run.html'))
  nodule('report', '--detections', at('found'), ...scans, '-o', at('found.html'))
  nodule('segment', at('scans'), '-o', at('lungs'))
  nodule('anonymize', at('scans'), '-o', at('anonymous'))
}, 240_000)

it('no file names a folder of this machine, its host or its user', () => {
  const secrets = [root, PACKAGE_ROOT, hostname(), homedir()].filter((text) => text.length > 5)
  const written = files(root).filter((path) => path !== at('small.json'))
  const leaks: string[] = []
  for (const path of written) {
    const raw = readFileSync(path)
    const bytes = path.endsWith('.gz') ? gunzipSync(raw) : raw
    for (const secret of secrets) if (bytes.includes(secret)) leaks.push(`${relative(root, path)}: ${secret}`)
  }
  expect(leaks).toEqual([])
  // All kinds were looked at.
  for (const kind of ['.dcm', '.png', '.json', '.jsonl', '.safetensors', '.onnx', '.csv', '.html'])
    expect(
      written.some((path) => path.endsWith(kind)),
      kind,
    ).toBe(true)
  expect(written.some((path) => path.includes('tfevents'))).toBe(true)
})
