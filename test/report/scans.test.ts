import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readReferences } from '../../src/evaluation/index.js'
import { writeReport } from '../../src/report/write_report.js'
import { realData } from '../real_data.js'

const scan = realData('lidc-idri-0001')
const luna = realData('luna16')

interface PageData {
  pictures: { width: number; height: number; src: string }[]
  views: { picture: number; boxes: { kind: string; box: number[] }[]; crop: number[]; caption: string }[]
}

function pageData(path: string): PageData {
  const html = readFileSync(path, 'utf8')
  const text = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)![1]!
  return JSON.parse(text) as PageData
}

describe.skipIf(scan === undefined || luna === undefined)('a real scan', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodule-report-scan-'))

  test('pictures of hits and misses, from the XML and from LUNA16 alike', async () => {
    const { scans } = await readReferences([scan!])
    const { series, consensus } = scans[0]!
    const nodule = consensus[0]!
    const middle = nodule.boxes[nodule.boxes.length >> 1]!
    const detection = (id: number, offset: number, confidence: number): object => ({
      id,
      center: nodule.centroid.map((value) => value + offset),
      centerVoxel: [middle.k, 0, 0],
      boxDiameterMm: 20,
      extentMm: 20,
      confidence,
      slices: [middle.k, middle.k],
      box: middle.box,
    })
    const save = (name: string, nodules: object[]): string => {
      mkdirSync(join(folder, name))
      const { patientId, studyInstanceUid, seriesInstanceUid, geometry } = series
      const content = {
        ...{ format: 'nodule-detections/1', patientId, studyInstanceUid, seriesInstanceUid, warnings: [] },
        model: { path: 'm.onnx', sha256: '0', step: 1, codeVersion: '0', precision: 'float32' },
        versions: { nodule: '0', onnxruntime: '0', node: '0' },
        parameters: {},
        volume: { shape: [], spacing: [], origin: [], geometry },
        slices: [{ k: middle.k, boxes: [{ ...middle.box, score: 0.9, nodule: 1 }] }],
        nodules,
        timing: { total: 1 },
      }
      writeFileSync(join(folder, name, 'a.json'), JSON.stringify(content))
      return join(folder, name)
    }
    const hit = save('hit', [detection(1, 1, 0.9), detection(2, 90, 0.4)])
    const missed = save('missed', [])
    const output = join(folder, 'report.html')

    const report = await writeReport({ detections: hit, scans: [scan!], output, bootstraps: 20 })
    const found = pageData(output)
    expect(found.pictures).toHaveLength(1)
    expect(found.pictures[0]).toMatchObject({ width: 512, height: 512 })
    expect(found.views.map((view) => view.boxes.map((box) => box.kind))).toEqual(
      Array.from({ length: 3 }, () => ['truth', 'hit']),
    )
    const [x, y, width, height] = found.views[0]!.crop as [number, number, number, number]
    expect(x).toBeLessThan(middle.box.x1)
    expect(y + height).toBeGreaterThan(middle.box.y2)
    expect(width).toBe(height)
    const figures = report.figures as {
      scans: { evaluation: { counts: object }; nodules: { outcome: string }[] }
    }
    expect(figures.scans.evaluation.counts).toMatchObject({ tp: 1, fp: 1, fn: 0 })
    expect(figures.scans.nodules.map((row) => row.outcome)).toEqual(['hit', 'false positive'])

    const reference = join(luna!, 'luna16', 'annotations.csv')
    await writeReport({ detections: missed, scans: [scan!], reference, output, bootstraps: 20 })
    const other = pageData(output)
    expect(other.views).toHaveLength(1)
    expect(other.views[0]!.caption).toMatch(/LIDC-IDRI-0001, nodule \d+: 23\.4 mm, missed/)
    expect(other.views[0]!.boxes[0]!.kind).toBe('missed')
    // The box of LUNA16's sphere lies on the readers' outline.
    const box = other.views[0]!.boxes[0]!.box
    expect(Math.abs((box[0]! + box[2]!) / 2 - (middle.box.x1 + middle.box.x2) / 2)).toBeLessThan(6)
    expect(Math.abs((box[1]! + box[3]!) / 2 - (middle.box.y1 + middle.box.y2) / 2)).toBeLessThan(6)
  })
})
