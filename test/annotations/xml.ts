/** Writes small LIDC XML texts for tests. */

const RATINGS = [
  'subtlety',
  'internalStructure',
  'calcification',
  'sphericity',
  'margin',
  'lobulation',
  'spiculation',
  'texture',
  'malignancy',
]

export function characteristics(values: readonly (number | string)[] = [5, 1, 6, 3, 3, 3, 4, 5, 4]): string {
  return `<characteristics>${RATINGS.map((name, i) => `<${name}>${values[i]}</${name}>`).join('')}</characteristics>`
}

export function roi(
  z: number,
  points: readonly (readonly [number, number])[],
  inclusion = 'TRUE',
  uid = '',
): string {
  const edges = points.map(([x, y]) => `<edgeMap><xCoord>${x}</xCoord><yCoord>${y}</yCoord></edgeMap>`)
  return `<roi><imageZposition>${z}</imageZposition><imageSOP_UID>${uid}</imageSOP_UID><inclusion>${inclusion}</inclusion>${edges.join('')}</roi>`
}

export function nodule(id: string, ratings: string, ...rois: string[]): string {
  return `<unblindedReadNodule><noduleID>${id}</noduleID>${ratings}${rois.join('')}</unblindedReadNodule>`
}

export function nonNodule(z: number, x: number, y: number): string {
  return `<nonNodule><nonNoduleID>N</nonNoduleID><imageZposition>${z}</imageZposition><imageSOP_UID/><locus><xCoord>${x}</xCoord><yCoord>${y}</yCoord></locus></nonNodule>`
}

export function session(...content: string[]): string {
  return `<readingSession><annotationVersion>3.12</annotationVersion><servicingRadiologistID>anonymous</servicingRadiologistID>${content.join('')}</readingSession>`
}

export function message(...sessions: string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1" xmlns="http://www.nih.gov"><ResponseHeader><SeriesInstanceUid>1.2.3.4</SeriesInstanceUid><StudyInstanceUID>1.2.3</StudyInstanceUID></ResponseHeader>${sessions.join('')}</LidcReadMessage>`
}

/** The first pixels outside of a square of `size` pixels whose upper left pixel is (x, y). */
export function square(x: number, y: number, size: number): [number, number][] {
  const points: [number, number][] = []
  for (let i = -1; i < size; i++) points.push([x + i, y - 1])
  for (let i = -1; i < size; i++) points.push([x + size, y + i])
  for (let i = size; i > -1; i--) points.push([x + i, y + size])
  for (let i = size; i > -1; i--) points.push([x - 1, y + i])
  return points
}
