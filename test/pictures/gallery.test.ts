import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makePatient, writePhantoms } from '../../src/phantom/index.js'
import { drawGallery, tissueAt, tissueClasses } from '../../src/pictures/index.js'
import { bodyOnSlice } from '../../src/pictures/tissue.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodule-gallery-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('drawGallery', () => {
  it('draws forms, anatomy and contours', async () => {
    await writePhantoms(join(folder, 'scans'), { patients: 1, matrix: 128, spacing: 5, nodules: 3, seed: 6 })
    const { paths, failed } = await drawGallery([join(folder, 'scans')], { output: join(folder, 'out') })
    expect(failed).toBe(0)
    const names = paths.map((path) => basename(path))
    expect(names[0]).toBe('forms.png')
    expect(names.filter((name) => name.includes('.anatomy'))).toHaveLength(1)
    expect(names.filter((name) => name.includes('_nodule'))).toHaveLength(3)
    // All of a scan are called after it alone, as `fileNames` has it.
    const stem = names.find((name) => name.includes('.anatomy'))!.replace('.anatomy.png', '')
    for (const name of names.slice(1)) expect(name.startsWith(stem)).toBe(true)
    const forms = await sharp(paths[0]).metadata()
    expect(forms.width).toBeGreaterThan(0)
    expect((forms.height - 24) % 176).toBe(0)
    const anatomy = await sharp(paths.find((path) => path.includes('.anatomy'))).metadata()
    expect([anatomy.width, anatomy.height]).toEqual([6 * 256, 2 * 256 + 24])
  })

  it('says why no nodule is drawn, where pictures of them are asked for', async () => {
    const scans = join(folder, 'alike')
    await writePhantoms(scans, { patients: 1, matrix: 96, spacing: 8, nodules: 2, seed: 6 })
    const told: string[] = []
    const options = { output: join(folder, 'none'), anatomy: false, onWarning: told.push.bind(told) }
    const { paths, failed } = await drawGallery([scans], { ...options, minReaders: 5 })
    expect([paths, failed]).toEqual([[], 0])
    expect(told).toEqual(['no nodule is drawn: of the 2 in 1 scan none has 5 readers'])
    told.length = 0
    await drawGallery([scans], { ...options, anatomy: true, forms: false, contours: false, minReaders: 5 })
    expect(told).toEqual([])
    const [patient] = await readdir(scans)
    const xml = (await readdir(scans, { recursive: true })).find((name) => name.endsWith('.xml'))!
    expect(xml).toContain(patient)
    const text = await readFile(join(scans, xml), 'utf8')
    await writeFile(
      join(scans, xml),
      text.replaceAll(/<unblindedReadNodule>[^]*?<\/unblindedReadNodule>/g, ''),
    )
    await drawGallery([scans], options)
    expect(told).toEqual(['no nodule is drawn: the readers of 1 scan outlined none'])
  })

  it("counts a damaged slice as failed, XML that is not LIDC's where it was named, and goes on", async () => {
    const [patient] = await writePhantoms(join(folder, 'slice'), {
      ...{ patients: 1, matrix: 96, spacing: 8, nodules: 2, seed: 6 },
    })
    const name = (await readdir(patient!.folder)).filter((entry) => entry.endsWith('.dcm')).sort()[0]!
    const path = join(patient!.folder, name)
    await writeFile(path, (await readFile(path)).subarray(0, -100))
    await writeFile(join(patient!.folder, 'pom.xml'), '<project/>')
    const pom = join(patient!.folder, 'pom.xml')
    for (const xml of [[], [pom]]) {
      const told: string[] = []
      const warned: string[] = []
      const { paths, failed, problems } = await drawGallery([join(folder, 'slice')], {
        ...{ output: join(folder, 'out2'), forms: false, contours: false, xml },
        onFailure: (message) => told.push(message),
        onWarning: (message) => warned.push(message),
      })
      expect(paths).toHaveLength(1)
      expect(failed).toBe(1 + xml.length)
      for (const name of [path, ...xml]) expect(problems.join('\n')).toContain(name)
      expect(told).toEqual(problems)
      expect(warned).toEqual(xml.length > 0 ? [] : [`1 XML file is no LIDC annotations, first ${pom}`])
    }
  })

  it.each([0, -1, 2.5, NaN])('refuses %s nodules a form before it reads a scan', async (perForm) => {
    await expect(drawGallery([join(folder, 'none')], { output: folder, perForm })).rejects.toThrow(
      `Expected integer between 1 and 1000 for perForm but received ${perForm}`,
    )
  })

  it('refuses to draw nothing, and a number of nodules a form without their picture', async () => {
    const none = { output: folder, forms: false, anatomy: false, contours: false }
    await expect(drawGallery([join(folder, 'none')], none)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: 'nothing to draw (forms, anatomy, contours): expected at least one of them but received none',
    })
    const o = { output: folder, forms: false, perForm: 3 }
    await expect(drawGallery([join(folder, 'none')], o)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: 'the option has no effect here (perForm): expected a picture of the forms but received none',
    })
  })

  it('needs an annotated scan', async () => {
    await expect(drawGallery([join(folder, 'out')], { output: folder })).rejects.toThrow('no annotated scan')
  })
})

describe('tissue classes', () => {
  it('give every HU one class in the lungs and one outside', () => {
    for (const inLungs of [true, false]) {
      const classes = tissueClasses.filter((one) => one.inLungs === inLungs)
      for (const [n, one] of classes.entries()) expect(one.low).toBe(classes[n - 1]?.high ?? -32768)
      for (const hu of [-32768, -1000, -850, -100, 40, 200, 3071]) expect(tissueAt(hu, inLungs)).toBeDefined()
    }
  })

  it('find the body without the table', () => {
    const { volume, lungs } = makePatient({ matrix: 128, spacing: 10, slices: 9, seed: 3 })
    const [, ny, nx] = volume.shape
    const body = bodyOnSlice(volume, 4)
    const cut = lungs.subarray(4 * ny * nx, 5 * ny * nx)
    let outside = 0
    for (let n = 0; n < body.length; n++) if (cut[n] === 1 && body[n] === 0) outside++
    expect(outside).toBe(0)
    const share = body.reduce((sum, value) => sum + value, 0) / body.length
    expect(share).toBeGreaterThan(0.3)
    expect(share).toBeLessThan(0.7)
    expect(body.subarray(0, nx).includes(1)).toBe(false)
    // The table lies behind the back, apart from it.
    const back = Math.max(...[...body.keys()].filter((n) => body[n] === 1).map((n) => Math.floor(n / nx)))
    expect(back).toBeLessThan(0.93 * ny)
  })
})
