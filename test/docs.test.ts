import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { HYPES_KEYS } from '../src/config/hypes.js'
import { PATCH_HYPES_KEYS } from '../src/config/patch_hypes.js'
import { defaultConfidences } from '../src/inference/detect_volume.js'
import { LINK_DEFAULTS } from '../src/nodules/index.js'
import { PACKAGE_ROOT } from '../src/version.js'

/** What the papers name must be there: files, headings, commands, their options, keys of hypes, defaults. */
const read = (path: string): string => readFileSync(join(PACKAGE_ROOT, path), 'utf8')
const under = (folder: string): string[] =>
  readdirSync(join(PACKAGE_ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
const PAPERS = ['README.md', ...['docs', 'models', 'native', 'benchmarks', 'test'].flatMap(under)]

const COMMANDS = new Map(
  readdirSync(join(PACKAGE_ROOT, 'src/commands'))
    .filter((name) => name !== 'paths.ts')
    .map((name) => [name.replace('.ts', ''), read(`src/commands/${name}`)]),
)

/** Whatever takes options. */
const PROGRAMS = [
  ...COMMANDS.values(),
  ...readdirSync(join(PACKAGE_ROOT, 'scripts')).map((name) => read(`scripts/${name}`)),
  ...['benchmarks/run.ts', 'test/fuzz/run.ts'].map(read),
]
/** Of compilers and others. */
const FOREIGN = ['--use_fast_math']

const KEYS = new Set(
  [HYPES_KEYS, PATCH_HYPES_KEYS].flatMap((keys) =>
    Object.entries(keys).flatMap(([group, inner]) => Object.keys(inner).map((key) => `${group}.${key}`)),
  ),
)

/** Whether the command, whose source this is, has the option; "no-" turns one off. */
function hasOption(source: string, name: string): boolean {
  const plain = name.replace(/^no-/, '')
  if (['json', 'quiet', 'version', 'help'].includes(name)) return true
  return source.includes(`'${plain}'`) || new RegExp(`^\\s+'?${plain}'?: \\{ type`, 'm').test(source)
}

/** GitHub's name of a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

/** Calls of nodule in code spans and blocks, with the words of each up to a comment or another command. */
function calls(text: string): { command: string; words: string }[] {
  const shell = text.replaceAll(/```python[\s\S]*?```/g, '')
  const code = [...shell.matchAll(/```[\s\S]*?```|`[^`]+`/g)].map(([part]) => part).join('\n')
  const lines = code.replaceAll(/\\\n/g, ' ').split('\n')
  return lines.flatMap((line) =>
    [...line.matchAll(/(?:nodule|\$0) ([a-z][a-z-]*)((?: [^#`;]*)?)/g)].map(([, command, words]) => ({
      command: command!,
      words: words!.split(/ && | \| /)[0]!,
    })),
  )
}

function wrongCalls(text: string): string[] {
  return calls(text).flatMap(({ command, words }) => {
    const source = COMMANDS.get(command)
    if (source === undefined) return [`nodule ${command}`]
    return [...words.matchAll(/(?<=\s)--?([a-z][\w-]*)/g)]
      .filter(([, name]) => !hasOption(source, name!))
      .map(([flag]) => `nodule ${command} ${flag}`)
  })
}

describe.each(PAPERS)('%s', (paper) => {
  const text = read(paper)

  it('links to what is there', () => {
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].filter(([, link]) => {
      if (/^https?:/.test(link!)) return false
      const [path, heading] = link!.split('#') as [string, string?]
      const target = path === '' ? paper : normalize(join(dirname(paper), path))
      if (!existsSync(join(PACKAGE_ROOT, target))) return true
      return (
        heading !== undefined &&
        ![...read(target).matchAll(/^#+ (.*)$/gm)].some(([, title]) => anchor(title!) === heading)
      )
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })

  it('names files of the repository that are there', () => {
    const named = /`((?:src|test|native|scripts|hypes|docs|models|benchmarks)\/[\w./-]+)`/g
    // NAME and X stand for names.
    const missing = [...text.matchAll(named)].filter(
      ([, path]) => !/\b(NAME|X)\b/.test(path!) && !existsSync(join(PACKAGE_ROOT, path!)),
    )
    expect(missing.map(([path]) => path)).toEqual([])
  })

  it('calls commands by their names and options', () => expect(wrongCalls(text)).toEqual([]))

  it('names options that somebody has', () => {
    const unknown = [...text.matchAll(/`(--[a-z][\w-]*)/g)].filter(
      ([, flag]) => !FOREIGN.includes(flag!) && !PROGRAMS.some((source) => hasOption(source, flag!.slice(2))),
    )
    expect(unknown.map(([flag]) => flag)).toEqual([])
  })

  it('names keys of hypes that exist', () => {
    const named = [...text.matchAll(/`((?:solver|logging|data|augment|jitter|cube|sampling)\.\w+)/g)].map(
      ([, key]) => key!,
    )
    // TensorBox's, without effect here.
    expect(named.filter((key) => key !== 'solver.gpu' && !KEYS.has(key))).toEqual([])
  })
})

it.each([...COMMANDS.keys()])('the examples of nodule %s are calls of it', (name) => {
  const examples = [...COMMANDS.get(name)!.matchAll(/\$0 [^'"]+/g)].map(([line]) => `\`${line}\``)
  expect(examples.length).toBeGreaterThan(0)
  expect(wrongCalls(examples.join('\n'))).toEqual([])
})

it('README leads to what the package carries, or to folders that it says are of a clone', () => {
  const text = read('README.md')
  const { files } = JSON.parse(read('package.json')) as { files: string[] }
  const ofClone = ['benchmarks', 'src', 'test']
  for (const folder of ofClone)
    expect(/Links to (.*?) lead into a clone/s.exec(text)![1]).toContain(`\`${folder}/\``)
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^https?:/.test(link))
  const carried = (link: string): boolean =>
    [...files, ...ofClone].some((name) => link === name || link.startsWith(`${name}/`))
  expect(links.filter((link) => !carried(link))).toEqual([])
})

it('finds a command and an option that are not there', () => {
  expect(wrongCalls('`nodule detect A -m B --modl C`, `nodule detct`')).toEqual([
    'nodule detect --modl',
    'nodule detct',
  ])
})

it('tells the keys of a detected nodule', () => {
  const keys = [...read('docs/detect.md').matchAll(/^\| (`(?!predictions|SERIES).*?) \|/gm)].flatMap(
    ([, cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, key]) => key!),
  )
  expect(keys).toContain('centerVoxel')
  const source = read('src/inference/detections.ts')
  expect(keys.filter((key) => !new RegExp(`^  ${key}\\??: `, 'm').test(source))).toEqual([])
})

it('tells the defaults of detection', () => {
  const { minConfidence } = defaultConfidences({ second: {} as never })
  expect(read('docs/detect.md')).toContain(`at confidence ${minConfidence},`)
  expect(read('models/README.md')).toContain(`the default confidence (${minConfidence})`)
  expect(read('models/README.md')).toContain(`the diameter is ${LINK_DEFAULTS.diameterScale} times`)
  expect(read('README.md')).toContain(`slice boxes, times ${LINK_DEFAULTS.diameterScale} `)
})
