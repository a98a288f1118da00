import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findSeries } from '../../src/dicom/index.js'
import { convertSeries } from '../../src/scans/index.js'
import { NoduleError } from '../../src/errors.js'
import { sliceFile, text } from '../dicom/bytes.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-convert-'))
  for (let n = 0; n < 6; n++) put(`${n}.dcm`, sliceFile({ z: 2 * n, instance: n, uid: `1.2.${n}` }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}

describe('slices that a conversion loses', () => {
  it('are named where their files are damaged', async () => {
    const whole = sliceFile({ z: 12, instance: 6, uid: '1.2.6' })
    const path = put('6.dcm', whole.subarray(0, whole.length - 8))
    const output = join(folder, 'a.mha')
    const { damaged, warnings } = await convertSeries([folder], output)
    expect(damaged).toEqual([
      { path, reason: expect.stringContaining('ends inside the pixel data') as string },
    ])
    expect(warnings).toEqual([])
    expect((await findSeries([output])).series[0]!.slices).toHaveLength(6)
  })

  it('are named where they are of another size', async () => {
    const paths = Array.from({ length: 2 }, (_, n) =>
      put(`${n + 6}.dcm`, sliceFile({ z: 12 + 2 * n, instance: n + 6, uid: `1.2.${n + 6}`, rows: 2 })),
    )
    const { damaged, warnings } = await convertSeries([folder], join(folder, 'a.mha'))
    expect(damaged).toEqual([])
    expect(warnings).toEqual([expect.stringMatching(/^2 of 8 images differ in size.*; left out: /)])
    expect(warnings[0]!.endsWith(`: ${paths.join(', ')}`)).toBe(true)
  })

  it('are named where they repeat positions; ten of many', async () => {
    for (let n = 0; n < 6; n++)
      for (let copy = 0; copy < 2; copy++)
        put(
          `copy${copy}-${n}.dcm`,
          sliceFile({ z: 2 * n, instance: 10 * (copy + 1) + n, uid: `1.3.${copy}.${n}` }),
        )
    const { warnings } = await convertSeries([folder], join(folder, 'a.nii.gz'))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(`${join(folder, 'copy0-0.dcm')}, `)
    expect(warnings[0]).toMatch(/ and 2 more$/)
  })

  it('are told of where they lie beside the others: the file has one line for all', async () => {
    put('3.dcm', sliceFile({ z: 6, x: 40, instance: 3, uid: '1.2.3' }))
    const { warnings } = await convertSeries([folder], join(folder, 'a.nii'))
    expect(warnings).toEqual([
      expect.stringMatching(
        /^the file stacks all slices along one line: 1 slice lies more than .* mm beside/,
      ),
    ])
  })
})

it.each(['PT', 'MR', ''])('what is no CT has no HU and is not written: modality "%s"', async (modality) => {
  for (let n = 0; n < 6; n++)
    put(
      `${n}.dcm`,
      sliceFile({
        ...{ z: 2 * n, instance: n, uid: `1.2.${n}` },
        without: ['00080060'],
        extra: [text('00080060', 'CS', modality)],
      }),
    )
  const output = join(folder, 'a.nii')
  const error = (await convertSeries([folder], output).catch((e: unknown) => e)) as NoduleError
  expect(error).toBeInstanceOf(NoduleError)
  expect(error.code).toBe('UNSUPPORTED')
  expect(error.message).toBe(
    `${folder}: (0008,0060): cannot write this volume in HU: expected CT but received ${modality || 'none'}`,
  )
  expect(existsSync(output)).toBe(false)
})
