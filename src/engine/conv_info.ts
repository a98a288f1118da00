import * as tf from '@tensorflow/tfjs'
import type { NamedAttrMap } from '@tensorflow/tfjs'

export type Conv2DInfo = tf.backend_util.Conv2DInfo

/** The geometry of a convolution by the attributes of tfjs's kernel; undefined for NCHW. */
export function convInfo(
  attrs: NamedAttrMap,
  inShape: number[],
  filterShape: number[],
  depthwise: boolean,
): Conv2DInfo | undefined {
  const format = tf.backend_util.convertConv2DDataFormat((attrs['dataFormat'] ?? 'NHWC') as 'NHWC')
  if (format !== 'channelsLast') return undefined
  return tf.backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs['strides'] as number,
    (attrs['dilations'] as number | undefined) ?? 1,
    attrs['pad'] as 'same',
    attrs['dimRoundingMode'] as 'floor',
    depthwise,
    format,
  )
}
