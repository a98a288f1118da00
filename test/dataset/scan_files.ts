import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A small chest as DICOM files with a LIDC XML file: an ellipse of water, two lungs, one ball in the right lung. */
export interface SmallScan {
  patientId: string
  seriesUid: string
  /** Center of the ball, voxel indices (x, y, z), and radius in mm; none: a scan without nodules. */
  ball?: { x: number; y: number; z: number; radiusMm: number }
  /** Readers who outline the ball; four readings in all. */
  readers?: number
}

export const SIZE = 96
export const SLICES = 24
export const SPACING = 3.6
export const SLICE_MM = 5

/** Writes SLICES files of SIZE x SIZE pixels and annotations.xml into the folder. */
export function writeScan(folder: string, scan: SmallScan): void {
  mkdirSync(folder, { recursive: true })
  for (let k = 0; k < SLICES; k++) writeFileSync(join(folder, `${k}.dcm`), sliceFile(scan, k))
  writeFileSync(join(folder, 'annotations.xml'), annotations(scan))
}

function huAt(scan: SmallScan, x: number, y: number, z: number): number {
  const inside = (cx: number, cy: number, rx: number, ry: number): boolean =>
    ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1
  if (!inside(48, 48, 44, 32)) return -1000
  const { ball } = scan
  if (ball !== undefined) {
    const dx = (x - ball.x) * SPACING
    const dy = (y - ball.y) * SPACING
    const dz = (z - ball.z) * SLICE_MM
    if (dx * dx + dy * dy + dz * dz <= ball.radiusMm ** 2) return 30
  }
  // The lungs taper off towards both ends of the scan.
  const taper = Math.sqrt(Math.max(0, 1 - ((z - SLICES / 2) / (SLICES / 2 - 2)) ** 2))
  return inside(26, 48, 15 * taper, 24 * taper) || inside(70, 48, 15 * taper, 24 * taper) ? -850 : 20
}

function sopUid(scan: SmallScan, k: number): string {
  return `${scan.seriesUid}.${k + 1}`
}

function sliceFile(scan: SmallScan, k: number): Buffer {
  const pixels = Buffer.alloc(SIZE * SIZE * 2)
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++) pixels.writeInt16LE(huAt(scan, x, y, k) + 1024, (y * SIZE + x) * 2)
  const meta = Buffer.concat([
    text(2, 2, 'UI', '1.2.840.10008.5.1.4.1.1.2'),
    text(2, 3, 'UI', sopUid(scan, k)),
    text(2, 0x10, 'UI', '1.2.840.10008.1.2.1'),
  ])
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(2, 0, 'UL', uint32(meta.length)),
    meta,
    text(8, 0x16, 'UI', '1.2.840.10008.5.1.4.1.1.2'),
    text(8, 0x18, 'UI', sopUid(scan, k)),
    text(8, 0x60, 'CS', 'CT'),
    text(0x10, 0x20, 'LO', scan.patientId),
    text(0x18, 0x50, 'DS', String(SLICE_MM)),
    text(0x20, 0xd, 'UI', `${scan.seriesUid}.0`),
    text(0x20, 0xe, 'UI', scan.seriesUid),
    text(0x20, 0x13, 'IS', String(k + 1)),
    text(0x20, 0x32, 'DS', `-170\\-170\\${-60 + k * SLICE_MM}`),
    text(0x20, 0x37, 'DS', '1\\0\\0\\0\\1\\0'),
    element(0x28, 2, 'US', uint16(1)),
    text(0x28, 4, 'CS', 'MONOCHROME2'),
    element(0x28, 0x10, 'US', uint16(SIZE)),
    element(0x28, 0x11, 'US', uint16(SIZE)),
    text(0x28, 0x30, 'DS', `${SPACING}\\${SPACING}`),
    element(0x28, 0x100, 'US', uint16(16)),
    element(0x28, 0x101, 'US', uint16(16)),
    element(0x28, 0x102, 'US', uint16(15)),
    element(0x28, 0x103, 'US', uint16(1)),
    text(0x28, 0x1052, 'DS', '-1024'),
    text(0x28, 0x1053, 'DS', '1'),
    element(0x7fe0, 0x10, 'OW', pixels),
  ])
}

/** A data element, explicit VR little endian. */
function element(group: number, number: number, vr: string, value: Buffer): Buffer {
  const tag = Buffer.concat([uint16(group), uint16(number), Buffer.from(vr)])
  return Buffer.concat(
    vr === 'OW' ? [tag, uint16(0), uint32(value.length), value] : [tag, uint16(value.length), value],
  )
}

function text(group: number, number: number, vr: string, value: string): Buffer {
  const padding = value.length % 2 === 0 ? '' : vr === 'UI' ? '\0' : ' '
  return element(group, number, vr, Buffer.from(value + padding))
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function annotations(scan: SmallScan): string {
  const sessions = Array.from({ length: 4 }, (_, reader) => {
    const marks = reader < (scan.readers ?? 4) ? nodule(scan) : ''
    return `<readingSession><annotationVersion>1.0</annotationVersion><servicingRadiologistID>r${reader}</servicingRadiologistID>${marks}</readingSession>`
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<LidcReadMessage uid="1.2" xmlns="http://www.nih.gov">',
    `<ResponseHeader><Version>1.0</Version><SeriesInstanceUid>${scan.seriesUid}</SeriesInstanceUid><StudyInstanceUID>${scan.seriesUid}.0</StudyInstanceUID></ResponseHeader>`,
    ...sessions,
    '</LidcReadMessage>',
  ].join('\n')
}

/** The ball's outline on each slice: a ring of pixels, the first outside of it. */
function nodule(scan: SmallScan): string {
  const { ball } = scan
  if (ball === undefined) return ''
  const rois: string[] = []
  for (let k = 0; k < SLICES; k++) {
    const rest = ball.radiusMm ** 2 - ((k - ball.z) * SLICE_MM) ** 2
    if (rest <= 0) continue
    const radius = Math.sqrt(rest) / SPACING + 0.5
    const points = Array.from({ length: 48 }, (_, n) => {
      const angle = (n / 48) * 2 * Math.PI
      const [x, y] = [
        Math.round(ball.x + radius * Math.cos(angle)),
        Math.round(ball.y + radius * Math.sin(angle)),
      ]
      return `<edgeMap><xCoord>${x}</xCoord><yCoord>${y}</yCoord></edgeMap>`
    })
    rois.push(
      `<roi><imageZposition>${-60 + k * SLICE_MM}</imageZposition><imageSOP_UID>${sopUid(scan, k)}</imageSOP_UID><inclusion>TRUE</inclusion>${[...points, points[0]].join('')}</roi>`,
    )
  }
  const ratings = [
    'subtlety',
    'internalStructure',
    'calcification',
    'sphericity',
    'margin',
    'lobulation',
    'spiculation',
    'texture',
    'malignancy',
  ].map((name) => `<${name}>3</${name}>`)
  return `<unblindedReadNodule><noduleID>1</noduleID><characteristics>${ratings.join('')}</characteristics>${rois.join('')}</unblindedReadNodule>`
}
