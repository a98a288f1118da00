import { markAsUntransferable } from 'node:worker_threads'
import { NoduleError } from '../errors.js'

/** How many kernels work on a buffer. */
const atWork = new WeakMap<ArrayBuffer, number>()
const TRANSFERS = ['transfer', 'transferToFixedLength'] as const

/**
 * Keeps the buffers of a kernel's arrays where they are until the returned function is called: memory that went elsewhere
 * during the work could be freed there. `postMessage` and `structuredClone` copy them from now on (Node 20) or refuse
 * (later ones); `transfer()`, which knows nothing of that mark (Node 22), throws a NoduleError as long as the work lasts.
 */
export function holdBuffers(value: object): () => void {
  const buffers = new Set(buffersOf(value))
  for (const buffer of buffers) {
    markAsUntransferable(buffer)
    const count = atWork.get(buffer) ?? 0
    atWork.set(buffer, count + 1)
    if (count > 0) continue
    for (const name of TRANSFERS)
      Reflect.defineProperty(buffer, name, { value: refuse, configurable: true, enumerable: false })
  }
  return () => {
    for (const buffer of buffers) {
      const count = atWork.get(buffer)! - 1
      atWork.set(buffer, count)
      if (count === 0) for (const name of TRANSFERS) Reflect.deleteProperty(buffer, name)
    }
  }
}

function refuse(): never {
  throw new NoduleError(
    'INVALID_PARAMETER',
    'a kernel works on this buffer: it can be transferred afterwards',
  )
}

function* buffersOf(value: object): Generator<ArrayBuffer> {
  for (const part of Object.values(value) as unknown[]) {
    if (ArrayBuffer.isView(part)) {
      if (part.buffer instanceof ArrayBuffer) yield part.buffer
    } else if (typeof part === 'object' && part !== null) yield* buffersOf(part)
  }
}
