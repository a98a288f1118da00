import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT, VERSION } from '../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

function nodule(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args], {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
  })
  return { code: result.status, stdout: result.stdout, stderr: result.stderr }
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const COMMANDS = [
  ...['dump', 'series', 'convert', 'anonymize', 'annotations', 'to-xml', 'phantom', 'segment', 'gallery'],
  ...['prepare', 'train', 'mine', 'engine', 'export', 'calibrate', 'detect', 'evaluate', 'report'],
  ...['bench', 'doctor', 'weights'],
]

const overview = nodule('--help').stdout

describe('nodule', () => {
  it('prints its version and lists every command', () => {
    for (const flag of ['--version', '-V']) expect(nodule(flag).stdout.trim()).toBe(VERSION)
    const listed = [...overview.matchAll(/^  nodule (\S+)/gm)].map(([, name]) => name)
    expect(new Set(listed)).toEqual(new Set(['completion', ...COMMANDS]))
    for (const word of ['-h', 'help']) expect(nodule(word).stdout).toBe(overview)
  })

  it.each(COMMANDS)('%s --help shows options and at least one example', (name) => {
    const help = nodule(name, '--help')
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('Options:')
    expect(help.stdout).toMatch(new RegExp(`Examples:\\s+nodule ${name}`))
    // The overview says the same of it.
    const line = overview.split('\n').find((text) => text.startsWith(`  nodule ${name} `))!
    expect(line.replace(/^ *nodule \S+ +/, '')).toBe(help.stdout.split('\n')[2])
  })

  it('completes commands and options, each by its first name', () => {
    expect(nodule('completion').stdout).toContain('nodule')
    const complete = (...words: string[]): string[] =>
      nodule('--get-yargs-completions', 'nodule', ...words)
        .stdout.trim()
        .split('\n')
    expect(complete('det')).toContain('detect')
    const offered = complete('detect', '--m')
    for (const name of ['--model', '--min-score', '--overlap', '--quiet', '--json'])
      expect(offered).toContain(name)
    for (const name of offered) expect(name).toMatch(/^--[a-z]{2}/)
    expect(offered).not.toContain('--tau')
  })

  it.each([
    [[], 'Name a command'],
    [['nonsense'], 'nodule: unknown command nonsense: nodule --help lists them'],
    [['detct', 'x'], 'nodule: unknown command detct: did you mean detect?'],
    [
      ['train', 'x.json'],
      'nodule train: Name a hypes file and the folder of the run: nodule train HYPES -o FOLDER',
    ],
    // TensorBox's names: taken, and the hypes file that is not there is told of.
    [
      [
        'train',
        '--hypes',
        'none.json',
        '--max_iter',
        '5',
        '--train',
        'x.json',
        '--weights',
        'w',
        '--gpu',
        '0',
      ],
      'Name a hypes file',
    ],
    [
      ['train', 'x.json', '-o', 'nowhere', '--wrong-flag'],
      'nodule train: unknown option --wrong-flag (nodule train --help)',
    ],
    [
      ['detect', 'x', '--modle', 'a'],
      'nodule detect: unknown option --modle: did you mean --model? (nodule detect --help)',
    ],
    [
      ['detect', 'x', '-o', 'found', '--region', 'lung'],
      'nodule detect: --region: expected one of "lungs", "all", not "lung" (nodule detect --help)',
    ],
    [
      ['engine', 'install', 'cuda'],
      'nodule engine: <name>: expected one of "native", "tensorflow", not "cuda" (nodule engine --help)',
    ],
    [['help', 'detct'], 'nodule: unknown command detct: did you mean detect?'],
    [['doctor', 'x'], 'nodule doctor: Unknown argument: x (nodule doctor --help)'],
    [['dump'], 'nodule dump: too few words: expected nodule dump <files..> (nodule dump --help)'],
    [['weights', 'convert'], 'too few words: expected nodule weights convert <file> (nodule weights --help)'],
    [
      ['prepare', '-o', 'dataset'],
      'nodule prepare: Name folders of scans, or stacks by --stacks (nodule prepare --help)',
    ],
    [['detect'], 'nodule detect: --output is missing: expected nodule detect [folders..] --output ...'],
    [
      ['detect', 'x', '-o', 'found', '--region', 'lungs', '--all-slices'],
      'nodule detect: --region lungs and --all-slices exclude each other (nodule detect --help)',
    ],
    [
      ['prepare', 'x', '-o', 'dataset', '--split', '0.8,0.1,0.1', '--folds', '5'],
      'nodule prepare: Arguments split and folds are mutually exclusive (nodule prepare --help)',
    ],
    [
      ['prepare', 'x', '-o', 'dataset', '--split', '0.8,0.1,0.1', '--split-file', 'split.csv'],
      'nodule prepare: Arguments split and split-file are mutually exclusive (nodule prepare --help)',
    ],
    [['detect', 'x', '-m', 'a', '-m', 'b', '-o', 'found'], '--model is given more than once'],
    [['detect', 'x', '-m', 'a', '-o', 'found', '--min-score', 'high'], '--min-score needs a number'],
    [['detect', 'x', '-m', 'a', '-o', 'found', '--min-score'], '--min-score needs a number'],
    [['detect', 'x', '-m', 'a', '-o', 'found', '--min-score=high'], '--min-score needs a number'],
    [['detect', 'x', '-m', 'a', '-o', 'found', '-j'], '-j needs a number'],
    [['phantom', '-o'], '--output needs a value'],
    [['dump', '-'], 'nodule dump: -: standard input is not read; name a file (nodule dump --help)'],
    [['dump', 'a.dcm', ''], 'nodule dump: an empty name was given (an unset variable?) (nodule dump --help)'],
    [['report', ''], 'nodule report: an empty name was given (an unset variable?)'],
    [['weights', 'convert', '', '-o', 'x'], 'nodule weights: an empty name was given (an unset variable?)'],
    [['series', '--', ''], 'nodule series: an empty name was given (an unset variable?)'],
    [['prepare', 'x', '-o', 'dataset', '--xml', ''], 'nodule prepare: an empty name was given'],
    [['prepare', 'x', '-o', 'dataset', '--xml='], 'nodule prepare: --xml needs a value'],
    [['prepare', 'x', '-o', ''], 'nodule prepare: --output needs a value'],
    [['weights', '-'], 'nodule weights: -: standard input is not read; name a file'],
    [['prepare', 'x', '-o', 'dataset', '--xml', '-'], '-: standard input is not read; name a file'],
    [['series', '-q', '-', 'hypes'], '-: standard input is not read; name a file'],
    [['phantom', '-o', 'x', '--first='], '--first needs a number'],
    [['evaluate', '--truth', 'x', '--min-score= '], '--min-score needs a number'],
    [['detect', 'x', '-o', 'found', '--no-second'], '--no-second: --second takes a value'],
    [['evaluate', '--truth', 'x', '--no-min-conf'], '--no-min-conf: --min-conf takes a value'],
    [['evaluate', '--truth', 'x', '--no-predictions'], '--no-predictions: --predictions takes a value'],
  ])('usage error %j ends with code 2', (args, message) => {
    const result = nodule(...args)
    expect(result.stderr).toContain(message)
    // Only who names no command gets the whole help.
    if (args.length > 0) expect(result.stderr.trim().split('\n')).toHaveLength(1)
    expect(result.code).toBe(2)
  })

  it('speaks English whatever the locale is, as its own words do', () => {
    const locale = { LC_ALL: 'de_DE.UTF-8', LC_MESSAGES: 'de_DE.UTF-8', LANG: 'de_DE.UTF-8' }
    const { stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), 'detect', 'x'],
      { cwd: PACKAGE_ROOT, encoding: 'utf8', env: { ...process.env, ...locale } },
    )
    expect(stderr).toContain('nodule detect: --output is missing: expected nodule detect')
  })

  it.each([
    [['series', 'hypes', '--', '-scan'], './-scan'],
    [['dump', '--', '--quiet'], './--quiet'],
    // A list of values ends there, too.
    [['prepare', '-o', join(folder, 'p'), '--xml', 'hypes', '--', 'none'], 'none'],
  ])('takes words behind -- as names: %j', (args, name) => {
    const result = nodule(...args)
    expect(result.stderr.trim()).toBe(`nodule: ${name}: cannot read: no such file or folder`)
    expect(result.code).toBe(1)
  })

  it('takes - as the name that an option gets', () => {
    const { code, stderr } = nodule('report', 'hypes', '-o', '-')
    expect(stderr).toContain('nothing to report')
    expect(code).toBe(1)
  })

  it('bad input ends with code 1 and one line that names file, place, expectation and finding', () => {
    const boxes = JSON.stringify([{ image_path: 'a.png', rects: [{ x1: 1, y1: 2, x2: 'b', y2: 4 }] }])
    const cases: [string[], RegExp][] = [
      [
        ['train', file('hypes.json', '{"rnn_length": 4}'), '-o', join(folder, 'run')],
        /hypes\.json: rnn_length: unknown key: expected one of "rnn_len"/,
      ],
      [
        ['train', file('types.json', '{"rnn_len": "4"}'), '-o', join(folder, 'run')],
        /types\.json: rnn_len: wrong value: expected integer .* received "4"/,
      ],
      [
        ['train', file('group.json', '{"leraning_rate": 4}'), '-o', join(folder, 'run')],
        /group\.json: leraning_rate: unknown key: expected one of "solver\.learning_rate"/,
      ],
      [
        ['train', file('bytes.json', '\u001b[31m{"rnn_len": \u0007}'), '-o', join(folder, 'run')],
        // eslint-disable-next-line no-control-regex
        /^(?!.*[\u001b\u0007]).*bytes\.json: not JSON/,
      ],
      [['phantom', '-o', join(folder, 'hypes.json')], /hypes\.json: cannot write results: is not a folder/],
      [
        ['phantom', '-o', join(folder, 'p'), '--spacing', '99'],
        /Expected number between 0\.4 and 10 for --spacing but received 99/,
      ],
      [['phantom', '-o', join(folder, 'p'), '-j', '0'], /Expected integer .* for --jobs but received 0/],
      [['phantom', '-o', join(folder, 'p'), '--nodules', '99'], /Expected .* for --nodules but received 99/],
      [['prepare', folder, '-o', join(folder, 'p'), '--min-box', '-1'], /for --min-box but received -1/],
      [['evaluate', '--predictions', join(folder, 'p.json')], /\(--truth, --scans, --labels\): expected one/],
      ...[
        '--second=a.onnx',
        '--min-confidence=0.5',
        '--region=all',
        '--all-slices',
        '--resume',
        '--jobs=2',
      ].map((option): [string[], RegExp] => [
        ['detect', '--list', file('l.json', '[]'), option, '-o', join(folder, 'found.json')],
        new RegExp(`l\\.json: ${option.split('=')[0]!} is for scans; this is a list of images`),
      ]),
      [
        ['evaluate', '--truth', file('t.csv', ''), '--predictions', file('p.csv', ''), '--rpc', 'x'],
        /no effect here \(--rpc\): expected a JSON list of true boxes/,
      ],
      [['anonymize', folder, '-o', join(folder, 'copies')], /copies: the results would lie among the inputs/],
      [
        ['dump', 'a.dcm', '--meta', '--json'],
        /no file meta information \(--meta\): expected none with --json/,
      ],
      [
        ['convert', folder, '--compress', '-o', join(folder, 'a.nii')],
        /a\.nii: nothing of this format can be compressed \(--compress\): expected a name that ends in/,
      ],
      [['dump', join(folder, 'absent.dcm')], /absent\.dcm: .*no such file/],
      [['annotations', join(folder, 'nowhere')], /nowhere: .*no such file or folder/],
      [['annotations', file('other.xml', '<?xml version="1.0"?><html/>')], /other\.xml: .*LidcReadMessage/],
      [
        ['evaluate', '--truth', file('t.json', boxes), '--predictions', file('p.json', boxes)],
        /[tp]\.json: \/0\/rects\/0\/x2: .*expected .*number.* received "b"/,
      ],
    ]
    for (const [args, message] of cases) {
      const result = nodule(...args)
      expect(result.stderr.trim()).toMatch(message)
      expect(result.stderr.trim().split('\n')).toHaveLength(1)
      expect(result.code).toBe(1)
    }
  }, 180_000)
})
