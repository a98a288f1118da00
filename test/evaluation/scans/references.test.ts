import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluateFiles, readReferences } from '../../../src/evaluation/index.js'
import { annotateFolders, convertSeries, nearestFirst } from '../../../src/scans/index.js'
import { writeReport } from '../../../src/report/write_report.js'
import { writeTinyScan } from '../../inference/tiny_scan.js'

const root = mkdtempSync(join(tmpdir(), 'nodule-references-'))
afterAll(() => rmSync(root, { recursive: true }))

const UID = '1.2.826.0.1.5'

function write(path: string, content: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

/** A reading of one nodule, whose square begins at x and y. */
function reading(x: number, uid = UID, readers = 1): string {
  const corners = [
    [x, 20],
    [x + 6, 20],
    [x + 6, 26],
    [x, 26],
  ].map(([i, j]) => `<edgeMap><xCoord>${i}</xCoord><yCoord>${j}</yCoord></edgeMap>`)
  const roi = `<roi><imageZposition>-90</imageZposition><imageSOP_UID>1.2.826.0.1.9.2</imageSOP_UID><inclusion>TRUE</inclusion>${corners.join('')}</roi>`
  return (
    `<LidcReadMessage><ResponseHeader><SeriesInstanceUid>${uid}</SeriesInstanceUid></ResponseHeader>` +
    (
      `<readingSession><annotationVersion>3</annotationVersion><servicingRadiologistID>1</servicingRadiologistID>` +
      `<unblindedReadNodule><noduleID>1</noduleID>${roi}</unblindedReadNodule></readingSession>`
    ).repeat(readers) +
    '</LidcReadMessage>'
  )
}

/** Slices of a patient below a folder. */
async function slices(folder: string, patientId = 'A'): Promise<string[]> {
  return writeTinyScan(folder, { patientId, seriesInstanceUid: UID, slices: 4 })
}

/** Detections of the scan that mark nothing. */
function nothingFound(name: string): string {
  const content = {
    ...{ format: 'nodule-detections/1', patientId: 'A', studyInstanceUid: '1', seriesInstanceUid: UID },
    model: { path: 'a.onnx', sha256: 'a', step: 1, codeVersion: '1' },
    versions: { nodule: '1', onnxruntime: '1', node: '1' },
    ...{ parameters: {}, slices: [], warnings: [], nodules: [] },
  }
  return dirname(write(join(root, name, 'a.json'), JSON.stringify(content)))
}

let images: string
let detections: string
beforeAll(async () => {
  images = join(root, 'images')
  await slices(images)
  detections = nothingFound('found')
})

describe('XML of scans', () => {
  it('is found at any depth below the folders, and beside slices that are named', async () => {
    const both = join(root, 'both')
    const paths = await slices(join(both, 'img'))
    write(join(both, 'xml', 'deep', 'a.XML'), reading(20))
    const options = { predictions: [detections], minReaders: 1, bootstraps: 0 }
    const { json, warnings } = await evaluateFiles({ ...options, scans: [both] })
    expect(json).toMatchObject({ scans: 1, counts: { nodules: 1, fn: 1 } })
    expect(warnings).toEqual(['the predictions hold no mark'])
    cpSync(join(both, 'xml', 'deep', 'a.XML'), join(both, 'img', 'a.xml'))
    expect((await readReferences(paths)).scans).toHaveLength(1)
  })

  it('lies elsewhere by --xml: a file, or a folder of them', async () => {
    const xml = write(join(root, 'elsewhere', 'below', 'a.xml'), reading(20))
    const options = { predictions: [detections], scans: [images], minReaders: 1, bootstraps: 0 }
    for (const path of [xml, join(root, 'elsewhere')]) {
      const { json } = await evaluateFiles({ ...options, xml: [path] })
      expect(json, path).toMatchObject({ scans: 1, counts: { nodules: 1 } })
      const report = await writeReport({
        ...{ detections, scans: [images], xml: [path], output: join(root, 'report.html'), bootstraps: 0 },
      })
      expect(report.figures, path).toMatchObject({ scans: { evaluation: { scans: 1 } } })
    }
  })

  it('that another file is nearer than is told of, unless it is a copy', async () => {
    const place = join(root, 'corrected')
    await slices(place)
    write(join(place, 'a.xml'), reading(20))
    const copy = write(join(root, 'copies', 'a.xml'), reading(20))
    const corrected = write(join(root, 'corrections', 'a.xml'), reading(30))
    const told = `1 XML file of series whose slices have a nearer one is not used, first ${corrected}`
    for (const [xml, lines] of [
      [[copy], []],
      [[copy, corrected], [told]],
    ]) {
      expect((await readReferences([place], xml)).warnings).toEqual(lines)
      expect((await annotateFolders([place], { xml: xml! })).notes).toEqual(lines)
    }
  })

  it('that is damaged or foreign is told of, and another of the series is read', async () => {
    const place = join(root, 'damaged')
    await slices(place)
    const cut = write(join(place, 'a.xml'), reading(20).slice(0, 400))
    const foreign = write(join(place, 'pom.xml'), '<project/>')
    const none = await readReferences([place])
    expect(none.scans).toEqual([])
    expect(none.warnings).toEqual([
      `1 XML file is no LIDC annotations, first ${foreign}`,
      expect.stringMatching(/^\/.*a\.xml: /) as string,
      expect.stringContaining('1 CT series have no annotations') as string,
    ])
    await expect(evaluateFiles({ predictions: [detections], scans: [place] })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      actual: expect.stringContaining(`${cut}: `) as string,
      remedies: [{ parameter: 'xml' }],
    })
    const other = write(join(root, 'whole', 'a.xml'), reading(20))
    const { scans, warnings } = await readReferences([place], [other])
    expect(scans).toHaveLength(1)
    expect(warnings.join('\n')).toContain(cut)
  })

  it('of two patients with one series UID is the nearest one', async () => {
    const place = join(root, 'patients')
    for (const [n, patient] of ['A', 'B'].entries()) {
      await slices(join(place, patient, 'img'), patient)
      write(join(place, patient, 'xml', 'a.xml'), reading(20 + 10 * n))
    }
    const { scans, warnings } = await readReferences([place], [], { minReaders: 1 })
    expect(warnings).toEqual([])
    const x = scans.map(({ series, findings }) => [series.patientId, findings[0]!.x])
    expect(x).toEqual([
      ['A', expect.closeTo(-157.5 + 5 * 23)],
      ['B', expect.closeTo(-157.5 + 5 * 33)],
    ])
    const { annotated } = await annotateFolders([place])
    const boxes = annotated.map(({ series, nodules }) => [series.patientId, nodules[0]!.boxes[0]!.box.x1])
    expect(boxes).toEqual([
      ['A', 21],
      ['B', 31],
    ])
    const far = [join(place, 'A', 'xml', 'a.xml'), join(place, 'B', 'xml', 'a.xml'), join(root, 'c.xml')]
    expect(nearestFirst(far, join(place, 'B', 'img'))).toEqual([far[1], far[0], far[2]])
  })

  it.each([[''], ['A']])('of a scan and its volume file counts once; patient "%s"', async (patientId) => {
    const place = join(root, `twins${patientId}`)
    await slices(join(place, 'img'), patientId)
    // Found before the DICOM files.
    const volume = join(place, 'ahead', `${UID}.mhd`)
    mkdirSync(dirname(volume))
    await convertSeries([join(place, 'img')], volume)
    write(join(place, 'a.xml'), reading(20))
    const note = `${volume}: left out: the scan of ${patientId === '' ? '' : `${patientId} `}${UID}, by its series UID`
    const { scans, series, warnings } = await readReferences([place])
    expect(series.map((one) => one.patientId)).toEqual([patientId])
    expect(scans).toHaveLength(1)
    expect(warnings).toEqual([note])
    const { annotated, notes, problems } = await annotateFolders([place])
    expect(annotated.map((one) => one.series.patientId)).toEqual([patientId])
    expect([notes, problems]).toEqual([[note], []])
    // What makes no volume leaves the place to what does.
    for (const name of ['002', '003', '004']) rmSync(join(place, 'img', `${name}.dcm`))
    expect((await annotateFolders([place])).annotated.map((one) => one.series.patientId)).toEqual([UID])
  })

  it("of scans that are not on the list leaves the readers' points alone", async () => {
    const place = join(root, 'listed')
    for (const [patientId, seriesInstanceUid] of [
      ['A', UID],
      ['B', '1.2.826.0.1.6'],
    ] as const) {
      await writeTinyScan(join(place, patientId), { patientId, seriesInstanceUid, slices: 4 })
      write(join(place, patientId, 'a.xml'), reading(20, seriesInstanceUid, 2))
    }
    const options = { scans: [place], series: write(join(root, 'series.txt'), UID), bootstraps: 0 }
    const { json } = await evaluateFiles({ ...options, predictions: [detections], minReaders: 1 })
    const one = [
      { name: 'reader 1: 1 of 1', sensitivity: 1, falsePositivesPerScan: 0 },
      { name: 'reader 2: 1 of 1', sensitivity: 1, falsePositivesPerScan: 0 },
    ]
    expect(json).toMatchObject({ scans: 1, readers: one })
    const report = await writeReport({ ...options, detections, output: join(root, 'listed.html') })
    expect(report.figures).toMatchObject({ scans: { evaluation: { scans: 1 }, readers: one } })
  })

  it('of a series that makes no volume is told of', async () => {
    const place = join(root, 'single')
    await writeTinyScan(place, { patientId: 'A', seriesInstanceUid: UID, slices: 1 })
    const unread = await readReferences([place])
    expect(unread.warnings).toEqual([])
    write(join(place, 'a.xml'), reading(20))
    const why = `${place}: left out: one image only`
    const { scans, warnings } = await readReferences([place])
    expect([scans, warnings]).toEqual([[], [why]])
    await expect(evaluateFiles({ predictions: [detections], scans: [place] })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      actual: expect.stringContaining(why) as string,
    })
  })

  it('without scans, or beside a table, has no effect and is refused', async () => {
    const xml = [root]
    const refused = { code: 'INVALID_PARAMETER', parameters: ['xml'] }
    const table = write(join(root, 'true.csv'), 'seriesuid,coordX,coordY,coordZ,diameter_mm\n')
    await expect(evaluateFiles({ predictions: [detections], truth: table, xml })).rejects.toMatchObject(
      refused,
    )
    const output = join(root, 'refused.html')
    for (const options of [{}, { scans: [images], reference: table }])
      await expect(writeReport({ detections, output, xml, ...options })).rejects.toMatchObject(refused)
  })
})
