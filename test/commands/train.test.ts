import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { command } from '../../src/commands/train.js'
import { PACKAGE_ROOT } from '../../src/version.js'

it('refuses to skip missing images of cubes', async () => {
  const flags = { hypes: join(PACKAGE_ROOT, 'hypes/lung_second.json'), output: 'nowhere', skipMissing: true }
  await expect((command.handler as (flags: unknown) => Promise<void>)(flags)).rejects.toMatchObject({
    code: 'INVALID_PARAMETER',
    message:
      'the option has no effect here (skipMissing): expected lists of frames but received the hypes of a second ' +
      'stage, which learns from cubes',
  })
})

it('says which options a sheet leaves unused', async () => {
  const root = mkdtempSync(join(tmpdir(), 'nodule-train-command-'))
  try {
    const [hypes, list, sheet] = ['hypes.json', 'list.json', 'sheet.png'].map((name) => join(root, name))
    const size = { image_width: 96, image_height: 64, grid_width: 3, grid_height: 2 }
    writeFileSync(hypes!, JSON.stringify({ ...size, slim_basename: 'tiny', batch_size: 1 }))
    const plain = sharp({ create: { width: 96, height: 64, channels: 3, background: '#444' } })
    await plain.png().toFile(join(root, 'a.png'))
    writeFileSync(list!, JSON.stringify([{ image_path: 'a.png', rects: [] }]))
    const draw = (...more: string[]): { status: number | null; stderr: string } =>
      spawnSync(
        process.execPath,
        [
          ...['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts')],
          ...['train', hypes!, '--train', list!, '--sheet', sheet!, ...more],
        ],
        { cwd: PACKAGE_ROOT, encoding: 'utf8' },
      )
    const full = draw('-o', join(root, 'run'), '--test', list!, '--max_iter', '3', '--workers', '1')
    expect(full.stderr).toContain(
      'warning: --sheet draws and trains nothing: without effect: --output, --steps, --test\n',
    )
    expect([full.status, existsSync(sheet!), existsSync(join(root, 'run'))]).toEqual([0, true, false])
    expect(draw('--workers', '-1').stderr).toContain('integer between 0 and 64 for --workers but received -1')
    expect(draw().stderr).toBe('')
  } finally {
    rmSync(root, { recursive: true })
  }
})
