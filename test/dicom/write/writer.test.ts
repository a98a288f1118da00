import { expect, it } from 'vitest'
import { parseDicom, sliceHeaders } from '../../../src/dicom/index.js'
import { encodeSlice } from '../../../src/dicom/write/writer.js'

it('a slice has the Acquisition Number that a CT image must have', () => {
  const bytes = encodeSlice({
    patientId: 'P',
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.3',
    sopInstanceUid: '1.2.3.4',
    frameOfReferenceUid: '1.9',
    instanceNumber: 1,
    rows: 2,
    columns: 2,
    pixels: new Int16Array(4),
    imagePosition: [0, 0, 0],
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    pixelSpacing: [1, 1],
    sliceThickness: 3,
    rescaleIntercept: -1024,
    rescaleSlope: 1,
    manufacturer: 'M',
    model: 'N',
    kernel: 'K',
    kvp: 120,
    tubeCurrent: 100,
    reconstructionDiameter: 350,
  })
  expect(sliceHeaders(parseDicom(bytes, 'a.dcm'), bytes.length)[0]!.acquisitionNumber).toBe(1)
})
