import { writeFileAtomic } from '../files.js'
import { RATING_NAMES } from './types.js'
import type { Ratings } from './types.js'
import { escapeXml } from '../clean.js'
import { append } from '../lists.js'

export interface PointToWrite {
  id: string
  sopInstanceUid: string
  /** z of the slice in patient mm. */
  z: number
  x: number
  y: number
}

export interface NoduleToWrite {
  id: string
  /** Absent: the nodule has a contour and no ratings. */
  ratings?: Ratings | undefined
  contours: {
    sopInstanceUid: string
    z: number
    inclusion: boolean
    /** Pixel indices, column x and row y: the first pixels outside of the nodule. */
    points: readonly { x: number; y: number }[]
  }[]
}

export interface SessionToWrite {
  readerId: string
  nodules: readonly NoduleToWrite[]
  smallNodules: readonly PointToWrite[]
  nonNodules: readonly PointToWrite[]
}

export interface LidcXmlToWrite {
  studyInstanceUid: string
  seriesInstanceUid: string
  sessions: readonly SessionToWrite[]
  /** What made the marks, for the header's TaskDescription. */
  task?: string
}

/** The text of a `LidcReadMessage`, as LIDC-IDRI's files have it. */
export function formatLidcXml(message: LidcXmlToWrite): string {
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<LidcReadMessage xmlns="http://www.nih.gov" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
    '  <ResponseHeader>',
    '    <Version>1.8.1</Version>',
    `    <TaskDescription>${escapeXml(message.task ?? 'Second unblinded read')}</TaskDescription>`,
    `    <SeriesInstanceUid>${escapeXml(message.seriesInstanceUid)}</SeriesInstanceUid>`,
    '    <ResponseDescription>1 - Reading complete</ResponseDescription>',
    `    <StudyInstanceUID>${escapeXml(message.studyInstanceUid)}</StudyInstanceUID>`,
    '  </ResponseHeader>',
  ]
  for (const session of message.sessions) {
    lines.push(
      '  <readingSession>',
      '    <annotationVersion>3.12</annotationVersion>',
      `    <servicingRadiologistID>${escapeXml(session.readerId)}</servicingRadiologistID>`,
    )
    for (const nodule of session.nodules) {
      lines.push('    <unblindedReadNodule>', `      <noduleID>${escapeXml(nodule.id)}</noduleID>`)
      const { ratings } = nodule
      if (ratings !== undefined) {
        lines.push('      <characteristics>')
        for (const name of RATING_NAMES) lines.push(`        <${name}>${ratings[name]}</${name}>`)
        lines.push('      </characteristics>')
      }
      for (const contour of nodule.contours) append(lines, roi(contour, contour.inclusion, contour.points))
      lines.push('    </unblindedReadNodule>')
    }
    for (const mark of session.smallNodules) {
      lines.push('    <unblindedReadNodule>', `      <noduleID>${escapeXml(mark.id)}</noduleID>`)
      append(lines, roi(mark, true, [mark]))
      lines.push('    </unblindedReadNodule>')
    }
    for (const mark of session.nonNodules)
      lines.push(
        '    <nonNodule>',
        `      <nonNoduleID>${escapeXml(mark.id)}</nonNoduleID>`,
        `      <imageZposition>${mark.z.toFixed(6)}</imageZposition>`,
        `      <imageSOP_UID>${escapeXml(mark.sopInstanceUid)}</imageSOP_UID>`,
        `      <locus><xCoord>${mark.x}</xCoord><yCoord>${mark.y}</yCoord></locus>`,
        '    </nonNodule>',
      )
    lines.push('  </readingSession>')
  }
  lines.push('</LidcReadMessage>', '')
  return lines.join('\n')
}

function roi(
  at: { z: number; sopInstanceUid: string },
  inclusion: boolean,
  points: readonly { x: number; y: number }[],
): string[] {
  return [
    '      <roi>',
    `        <imageZposition>${at.z.toFixed(6)}</imageZposition>`,
    `        <imageSOP_UID>${escapeXml(at.sopInstanceUid)}</imageSOP_UID>`,
    `        <inclusion>${inclusion ? 'TRUE' : 'FALSE'}</inclusion>`,
    ...points.map(
      (point) => `        <edgeMap><xCoord>${point.x}</xCoord><yCoord>${point.y}</yCoord></edgeMap>`,
    ),
    '      </roi>',
  ]
}

/** Writes reading sessions as LIDC XML. Throws NoduleError FILE. */
export async function writeLidcXml(path: string, message: LidcXmlToWrite): Promise<void> {
  await writeFileAtomic(path, formatLidcXml(message))
}
