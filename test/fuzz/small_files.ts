/** Small whole files of some formats. */
import type { OnnxModel } from '../../src/onnx/proto.js'
import { characteristics, message, nodule, nonNodule, roi, session, square } from '../annotations/xml.js'

export function xml(): string {
  const outline = roi(-5, square(10, 10, 6))
  return message(
    session(nodule('1', characteristics(), outline, roi(-2.5, square(11, 11, 5))), nonNodule(-5, 3, 4)),
    session(nodule('x', characteristics(), outline)),
  )
}

export function stacks(): string {
  const head =
    'patient,nodule,row,steps_from_anchor,series,sop_of_anchor,z_of_anchor,x0,y0,pixel_spacing,slice_spacing,scale,offset'
  return [head, ...[0, 1, 2].map((k) => `P1,n1,${k},${k - 1},1.2,1.2.3,-100,20,30,0.7,2.5,8,-1000`)].join(
    '\n',
  )
}

export function annotations(box: object): object {
  const mark = {
    ...{
      session: 0,
      noduleId: 'n',
      contours: [
        {
          sopInstanceUid: '1',
          z: -5,
          inclusion: true,
          points: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
    },
  }
  const point = { session: 0, id: 'p', sopInstanceUid: '1', z: 1, x: 2, y: 3 }
  return {
    format: 'nodule-annotations/2',
    series: [
      {
        ...{ studyInstanceUid: '1', seriesInstanceUid: '1.2', sessions: [{ readerId: 'r' }], box },
        nodules: [{ marks: [mark] }],
        ...{ smallNodules: [point], nonNodules: [point] },
      },
    ],
  }
}

export function model(props: Readonly<Record<string, string>>): OnnxModel {
  const all = { ...props, hypes: '{"solver": {"rnd_seed": 3}}', step: '12', seed: '1', code_version: '0.1.0' }
  return {
    ir_version: 8,
    producer_name: 'nodule',
    opset_import: [{ domain: '', version: 17 }],
    graph: { name: 'g', node: [], initializer: [], input: [], output: [] },
    metadata_props: Object.entries(all).map(([key, value]) => ({ key, value })),
  } as unknown as OnnxModel
}
