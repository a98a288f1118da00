import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiler = process.env['CXX'] ?? 'c++'
const missing = spawnSync(compiler, ['--version']).status !== 0

describe.skipIf(missing)(`the threads of the CPU kernels (compiler: ${compiler})`, () => {
  it('pass on what the work of any of them throws, once all have left it', { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodule-parallel-'))
    try {
      const program = join(folder, 'parallel')
      const sources = ['native/common/parallel.cpp', 'test/fixtures/kernels/parallel.cpp']
      execFileSync(compiler, ['-std=c++17', '-pthread', '-Inative', ...sources, '-o', program], { cwd: root })
      expect(execFileSync(program, { encoding: 'utf8', timeout: 20_000 })).toBe('1000\n')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
