import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isWanted } from '../../benchmarks/measure.js'
import { PACKAGE_ROOT } from '../../src/version.js'

function bench(...flags: string[]): { status: number | null; stdout: string; stderr: string } {
  const file = join(PACKAGE_ROOT, 'benchmarks', 'run.ts')
  return spawnSync(process.execPath, ['--import', 'tsx', file, ...flags], { encoding: 'utf8' })
}

describe('npm run bench', () => {
  it('stops at its time limit, says so, and prints lines', () => {
    const { status, stdout } = bench('evaluation', '--limit', '0.05', '--beside', '1')
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\d .*; load before: [\d.]+/)
    expect(lines).toContain('stopped after 0.05 s in evaluation: what it had not ended is missing')
    expect(stdout).not.toContain('\\u000a')
    expect(status).toBe(0)
  })

  it.each([
    ['limit', '0'],
    ['limit', 'soon'],
    ['beside', '1.5'],
    ['beside', '65'],
    ['seconds', '-1'],
  ])('refuses --%s %s', (flag, value) => {
    const { status, stderr } = bench('evaluation', `--${flag}=${value}`)
    expect(stderr).toContain(`bench: Expected `)
    expect(stderr).toContain(flag)
    expect(status).toBe(1)
  })

  it('takes cases and peers by a part of their names', () => {
    expect(isWanted('lstm_rezoom_lung, batch 1', ['tiny', 'rezoom'])).toBe(true)
    expect(isWanted('lstm_rezoom_lung, batch 1', ['resnet'])).toBe(false)
    expect(isWanted('anything', [])).toBe(true)
  })
})
