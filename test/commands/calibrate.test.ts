import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { command } from '../../src/commands/calibrate.js'

it('writes no second stage over the first stage, nor over one whose constants it takes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodule-calibrate-'))
  try {
    const output = join(folder, 'model.onnx')
    writeFileSync(output, 'a model')
    const flags = { second: join(folder, 'second.onnx'), output, cubes: undefined, like: undefined }
    const most = { ...flags, model: undefined, size: undefined, $0: 'nodule', _: [] }
    for (const given of [{ model: output, cubes: [folder] }, { like: [output] }])
      await expect(command.handler({ ...most, ...given })).rejects.toThrow(
        /model\.onnx: the result would replace its own input/,
      )
    expect(readFileSync(output, 'utf8')).toBe('a model')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
