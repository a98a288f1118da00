import { parseHypes } from '../config/hypes.js'
import type { Hypes } from '../config/hypes.js'
import { invalidParameter } from '../check.js'
import type { GraphBuilder } from './builder.js'
import { DATA_TYPE } from './proto.js'

/**
 * Whether an exported model takes frames of any whole number of cells: one that sees a fixed scale does, because how
 * large the lungs are is not known before. (A deconvolution makes two cells of one: half of them would be padding.)
 */
export function takesAnyFrame(
  hypes: Pick<Hypes, 'deconv'> & { data: Pick<Hypes['data'], 'mm_per_pixel'> },
): boolean {
  return hypes.data.mm_per_pixel > 0 && !hypes.deconv
}

/** The hypes of the same network for frames of another size. Throws NoduleError (INVALID_PARAMETER). */
export function withFrame(hypes: Hypes, { width, height }: { width: number; height: number }): Hypes {
  const { region_size: cell } = hypes
  for (const [name, size] of Object.entries({ width, height }))
    if (!Number.isInteger(size) || size < cell || size > 4096 || size % cell !== 0)
      throw invalidParameter(`frame ${name}`, `multiple of the cell's ${cell} px, up to 4096`, size)
  return parseHypes({
    ...hypes,
    image_width: width,
    image_height: height,
    grid_width: width / cell,
    grid_height: height / cell,
  })
}

/** A length that the exporter knows, or the name of a float scalar of the graph. */
export type Extent = number | string

/** A frame's size as the graph sees it, in pixels. */
export interface FrameExtent {
  width: Extent
  height: Extent
}

/** The size of the frames of the hypes; where the model takes any, read from its input `frames` as it runs. */
export function frameExtent(graph: GraphBuilder, hypes: Hypes): FrameExtent {
  if (!takesAnyFrame(hypes)) return { width: hypes.image_width, height: hypes.image_height }
  const shape = graph.node('Shape', ['frames'], 'frame/shape')
  const side = (axis: number, name: string): string => {
    const index = graph.constant(`axis/${axis}`, [], BigInt64Array.of(BigInt(axis)))
    return graph.node(
      'Cast',
      [graph.node('Gather', [shape, index], `frame/${name}`)],
      `frame/${name}/float`,
      {
        to: DATA_TYPE.float,
      },
    )
  }
  return { width: side(3, 'width'), height: side(2, 'height') }
}

/** The name of a float scalar of the graph that holds the length. */
export function scalarOf(graph: GraphBuilder, extent: Extent): string {
  return typeof extent === 'number' ? graph.scalar(extent) : extent
}

/** extent / divisor. */
export function divided(graph: GraphBuilder, extent: Extent, divisor: number, name: string): Extent {
  return typeof extent === 'number'
    ? extent / divisor
    : graph.node('Div', [extent, graph.scalar(divisor)], name)
}

/** extent - less, but not below 0. (Not by Relu: onnxruntime takes one before a Clip away, also before its bound.) */
export function lessened(graph: GraphBuilder, extent: Extent, less: number, name: string): Extent {
  if (typeof extent === 'number') return Math.max(0, extent - less)
  const difference = graph.node('Sub', [extent, graph.scalar(less)], `${name}/difference`)
  return graph.node('Max', [difference, graph.scalar(0)], name)
}

/** The smaller one of the extent and 1. */
export function atMostOne(graph: GraphBuilder, extent: Extent, name: string): Extent {
  return typeof extent === 'number' ? Math.min(1, extent) : graph.node('Min', [extent, graph.scalar(1)], name)
}

/** a * b. */
export function product(graph: GraphBuilder, a: Extent, b: Extent, name: string): Extent {
  if (typeof a === 'number' && typeof b === 'number') return a * b
  return graph.node('Mul', [scalarOf(graph, a), scalarOf(graph, b)], name)
}

/** a + b. */
export function sum(graph: GraphBuilder, a: Extent, b: Extent, name: string): Extent {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  return graph.node('Add', [scalarOf(graph, a), scalarOf(graph, b)], name)
}
