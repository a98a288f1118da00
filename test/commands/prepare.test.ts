import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { command } from '../../src/commands/prepare.js'
import { PACKAGE_ROOT } from '../../src/version.js'
import { writeScan } from '../dataset/scan_files.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-prepare-command-'))
afterAll(() => rmSync(root, { recursive: true }))

describe('nodule prepare', () => {
  it.each([2.5, -3, 20000])('refuses to draw %s frames before it prepares', async (draw) => {
    const work = (command.handler as (flags: unknown) => Promise<void>)({ draw })
    await expect(work).rejects.toThrow(`Expected integer between 0 and 10000 for draw but received ${draw}`)
  })

  it.each(['insertions', 'variants'])('refuses --%s where nothing is put in', async (name) => {
    const work = (command.handler as (flags: unknown) => Promise<void>)({ [name]: 3, draw: 0 })
    await expect(work).rejects.toThrow(`the option has no effect here (${name}): expected --insert with`)
  })

  it.each(['all', 'nodules'])('refuses a number of negatives with --slices %s', async (slices) => {
    const work = (command.handler as (flags: unknown) => Promise<void>)({ slices, negatives: 2, draw: 0 })
    await expect(work).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: `the option has no effect here (negatives): expected --slices ratio but received --slices ${slices}`,
    })
  })

  it('says that there is no training list to draw the sheet of', () => {
    writeScan(join(root, 'scans'), { patientId: 'P1', seriesUid: '1.2.1' })
    writeFileSync(join(root, 'parts.csv'), 'P1,test\n')
    const output = join(root, 'dataset')
    const args = ['prepare', join(root, 'scans'), '-o', output, '--split-file', join(root, 'parts.csv')]
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args, '--slices', 'all', '--sheet'],
      { cwd: PACKAGE_ROOT, encoding: 'utf8' },
    )
    expect(stderr).toContain('warning: no sheet: no training list has frames')
    expect(status).toBe(0)
  })

  it('says with a sheet what training says of the hypes and of the list', () => {
    const ball = { x: 26, y: 48, z: 12, radiusMm: 12 }
    writeScan(join(root, 'one'), { patientId: 'P1', seriesUid: '1.2.1', ball })
    const hypes = join(root, 'hypes.json')
    const jitter = { noise: 0.1 }
    writeFileSync(hypes, JSON.stringify({ biggest_box_px: 2, exp_name: 'x', jitter }))
    const args = ['prepare', join(root, 'one'), '-o', join(root, 'one-set'), '--split', '1,0,0', '--sheet']
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args, '--hypes', hypes],
      { cwd: PACKAGE_ROOT, encoding: 'utf8' },
    )
    expect(stderr).toContain(`warning: ${hypes}: without effect here: exp_name`)
    expect(stderr).toContain(`warning: ${hypes}: without effect: jitter.noise (solver.use_jitter is false)`)
    expect(stderr).toMatch(
      /warning: .*train\.json: (\d+) of \1 boxes train nothing .* of biggest_box_px \(2\)/,
    )
    expect(status).toBe(0)
  })
})
