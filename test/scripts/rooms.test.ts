import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-rooms-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What scripts/check-rooms.mjs says of a house with these files beside the real README. */
function check(
  name: string,
  files: Readonly<Record<string, string>>,
): { status: number | null; text: string } {
  const root = join(folder, name)
  mkdirSync(root)
  cpSync(join(PACKAGE_ROOT, 'README.md'), join(root, 'README.md'))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const script = join(PACKAGE_ROOT, 'scripts/check-rooms.mjs')
  const { status, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' })
  return { status, text: stderr }
}

it('lets rooms import from above', () => {
  const files = {
    'src/errors.ts': '',
    'src/dicom/read/parse.ts': "import { NoduleError } from '../../errors.js'\n",
    'src/volume/hu_volume.ts': "import type { A } from '../dicom/read/parse.js'\n",
  }
  expect(check('right', files)).toEqual({ status: 0, text: '' })
})

it('finds an import from below, a foreign room and an import from outside', () => {
  const files = {
    'src/dicom/parse.ts': "import { a } from '../volume/hu_volume.js'\n",
    'src/volume/hu_volume.ts': "import { b } from '../../test/screen.js'\n",
    'src/cellar/a.ts': '',
  }
  expect(check('below', files)).toEqual({
    status: 1,
    text: [
      'src/volume/hu_volume.ts: imports ../../test/screen.js, outside src/',
      'src/cellar/a.ts: the room cellar is not in the list of scripts/check-rooms.mjs',
      'src/dicom/parse.ts: dicom is above volume and may not import src/volume/hu_volume.ts',
      '',
    ].join('\n'),
  })
})

it('finds circles of imports, of types and of several lines too', () => {
  const files = {
    'src/loss/a.ts': "import type { B } from './b.js'\n",
    'src/loss/b.ts': "export {\n  C,\n} from './c.js'\n",
    'src/loss/c.ts': "const { A } = await import('./a.js')\n",
  }
  expect(check('circle', files)).toEqual({
    status: 1,
    text: 'a circle of imports: src/loss/a.ts -> src/loss/b.ts -> src/loss/c.ts -> src/loss/a.ts\n',
  })
})

it('finds an index.ts that is more than a barrel', () => {
  const files = {
    'src/loss/index.ts': "/** One. */\nexport {\n  a,\n} from './a.js'\nexport type { B } from './a.js'\n",
    'src/loss/a.ts': '',
    'src/targets/index.ts': "export { a } from './a.js'\nexport const b = 1\n",
    'src/targets/a.ts': '',
  }
  const text = 'src/targets/index.ts: an index.ts only passes on what other files of its room export\n'
  expect(check('barrels', files)).toEqual({ status: 1, text })
})

it('finds a table in the README that tells other rooms, and a file that is too long', () => {
  const table = '| errors | `src/` | x |\n| configuration | `src/config` | y |\n'
  const { status, text } = check('table', { 'README.md': table, 'native/long.h': '\n'.repeat(401) })
  expect(status).toBe(1)
  expect(text).toMatch(/^README\.md: its table of rooms is {2}config; the rooms are {2}config geometry /)
  expect(text).toMatch(/^native\/long\.h: 401 lines, more than 400$/m)
})
