import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checksText } from '../../src/terminal/doctor.js'
import type { Check } from '../../src/terminal/doctor.js'
import { defaultThreads } from '../../src/kernels/addon.js'
import { PACKAGE_ROOT } from '../../src/version.js'

function nodule(
  args: string[],
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  const flags = ['--import', 'tsx', join(PACKAGE_ROOT, 'src/cli.ts'), ...args]
  return spawnSync(process.execPath, flags, { encoding: 'utf8', env: { ...process.env, ...env } })
}

function checks(
  env: Record<string, string>,
  ...flags: string[]
): { found: Map<string, Check>; status: number | null } {
  const { stdout, status } = nodule(['doctor', '--json', ...flags], env)
  return {
    found: new Map((JSON.parse(stdout) as Check[]).map((finding) => [finding.what, finding])),
    status,
  }
}

describe('doctor', () => {
  it('says what is missing, how to get it in a clone, and fails for it when strict', () => {
    const env = { NODULE_ADDON: 'none', NODULE_TENSOR_ADDON: 'none', PATH: '/nowhere' }
    const { found, status } = checks(env, '--strict')
    expect(status).toBe(1)
    expect(found.get('native addon')).toMatchObject({
      state: 'missing',
      advice: 'apt-get install g++ make cmake, then npm run setup',
    })
    expect(found.get('engine native')).toMatchObject({
      state: 'missing',
      advice:
        'apt-get install g++ make cmake, then apt-get install libdnnl-dev ocl-icd-opencl-dev, then npm run setup',
    })
    expect(found.get('engine wasm')!.detail).toBe('trains by default here')
    // Found by drawing with them, not by a program.
    expect(found.get('fonts')).toMatchObject({ state: 'ok', detail: 'labels on pictures are drawn' })
  })

  it('marks what nobody needs here as optional, in the table too', () => {
    const text = checksText([
      { what: 'engine tensorflow', state: 'optional', detail: 'not installed', advice: 'to have it: X' },
      { what: 'fonts', state: 'missing', detail: 'none' },
    ])
    expect(text.split('\n').slice(2)).toEqual([
      'optional  engine tensorflow  not installed',
      '                               -> to have it: X',
      'missing   fonts              none',
      '',
    ])
  })
})

describe('NODULE_THREADS', () => {
  it.each(['abc', '0', '-1', '2.5', '1025', '0x2', ' 2', '1e2'])('is refused: %j', (value) => {
    process.env['NODULE_THREADS'] = value
    const message = `Expected integer between 1 and 1024 for NODULE_THREADS but received ${JSON.stringify(value)}`
    try {
      expect(() => defaultThreads()).toThrow(
        expect.objectContaining({ name: 'NoduleError', code: 'INVALID_PARAMETER', message }),
      )
    } finally {
      delete process.env['NODULE_THREADS']
    }
  })

  it('is refused by every command, whether it uses threads or not', () => {
    for (const command of ['dump', 'train']) {
      const { status, stderr } = nodule([command, '--help'], { NODULE_THREADS: 'abc' })
      expect(stderr).toBe(
        'nodule: Expected integer between 1 and 1024 for NODULE_THREADS but received "abc"\n',
      )
      expect(status).toBe(1)
    }
  })

  it('is what the engine uses; what is missing is no failure unless strict', () => {
    const { found, status } = checks({ NODULE_THREADS: '3', NODULE_ADDON: 'none' })
    expect(found.get('native addon')!.state).toBe('missing')
    expect(status).toBe(0)
    const engine = found.get('engine native')!
    if (engine.state === 'ok') expect(engine.detail).toContain('3 threads')
  })
})
